//! Key slots: the ways to the root key, any of which suffices.

use jiff::Timestamp;
use strongroom_crypto::{
    KeyId, RootKey, SealedRootKey, SlotEnrolment, SlotKey, SlotKind, SlotPlace, slot_key_id,
};

use crate::error::{Noun, Result, Rule};
use crate::ids::{AccountId, KeySlotId, PrincipalId};
use crate::limits::Limits;
use crate::text::Name;

/// A way to the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySlot {
    /// Its id.
    pub id: KeySlotId,
    /// What it is called, unique in the account.
    pub name: String,
    /// How its key is kept.
    pub kind: SlotKind,
    /// How the slot's key is got, in the words of its kind: JSON without any secret in clear.
    pub opener: String,
    /// The root key, sealed to it.
    pub sealed: SealedRootKey,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: PrincipalId,
}

impl KeySlot {
    /// Slots of an account.
    pub const MAX: u64 = 32;
    /// Bytes of an opener.
    pub const OPENER_MAX: usize = 16 * 1024;

    /// Where it is, for what is bound to that.
    #[must_use]
    pub fn place(&self, account: AccountId) -> SlotPlace {
        place(account, self.id, self.kind)
    }

    /// What its key is called.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        slot_key_id(&self.sealed.public)
    }

    /// Opens the root key.
    ///
    /// # Errors
    /// `Internal` if it does not open: another key, or an altered slot.
    pub fn open(&self, account: AccountId, key: &SlotKey, root: KeyId) -> Result<RootKey> {
        Ok(key.open_root_key(&self.sealed, &self.place(account), root)?)
    }
}

/// Where a slot is.
#[must_use]
pub fn place(account: AccountId, slot: KeySlotId, kind: SlotKind) -> SlotPlace {
    SlotPlace { account: *account.ksuid().as_bytes(), slot: *slot.ksuid().as_bytes(), kind }
}

/// A slot to be made. Its id is chosen before, since what seals its key is bound to that.
pub struct KeySlotDraft {
    /// Its id.
    pub id: KeySlotId,
    /// What it is to be called.
    pub name: Name,
    /// How its key is kept.
    pub kind: SlotKind,
    /// How its key is got.
    pub opener: String,
    /// What root keys are sealed to.
    pub enrolment: SlotEnrolment,
}

/// Checks what a slot is to be called.
///
/// # Errors
/// The rules of names.
pub fn parse_name(text: String, limits: &Limits) -> Result<Name, Rule> {
    Name::parse(Noun::KeySlot, text, limits)
}
