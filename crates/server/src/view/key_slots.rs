//! Key slots, and whether the server is sealed.

use strongroom_domain::key_slot::KeySlot;
use strongroom_wire as wire;

use super::time;
use crate::origin::Origin;
use crate::sealing::Shares;

/// A slot.
#[must_use]
pub fn key_slot(slot: &KeySlot, origin: &Origin) -> wire::KeySlot {
    wire::KeySlot {
        uri: format!("{origin}/strongroom/key_slots/{}", slot.id),
        id: slot.id.to_string(),
        name: slot.name.clone(),
        kind: slot.kind.as_str().to_owned(),
        key_id: slot.key_id().to_string(),
        opens_by_itself: slot.kind.opens_by_itself(),
        created_at: time(slot.created_at),
        created_by: slot.created_by.to_string(),
    }
}

/// All of them.
pub(crate) fn key_slots(slots: &[KeySlot], origin: &Origin) -> wire::KeySlotList {
    wire::KeySlotList {
        key_slots: slots.iter().map(|slot| key_slot(slot, origin)).collect(),
        uri: format!("{origin}/strongroom/key_slots"),
    }
}

/// Whether the server is sealed; while it is, by what it is unsealed.
pub(crate) fn seal(sealed: bool, slots: &[KeySlot], shares: Vec<Shares>) -> wire::Seal {
    let mut kinds: Vec<String> = slots.iter().map(|slot| slot.kind.as_str().to_owned()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let shares =
        shares.into_iter().map(|Shares { set, given, needed }| wire::SharesGiven { set, given, needed });
    wire::Seal { sealed, kinds, shares: shares.collect() }
}
