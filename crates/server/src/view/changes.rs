//! The feed of changes.

use strongroom_domain::audit::Whereabouts;
use strongroom_domain::change::{Change, Changes, Thing};
use strongroom_domain::ids::VaultId;
use strongroom_wire as wire;

use super::time;

/// A stretch of the feed.
#[must_use]
pub fn changes(page: &Changes) -> wire::ChangeList {
    wire::ChangeList {
        changes: page.changes.iter().map(change).collect(),
        cursor: page.cursor.to_string(),
        more: page.more,
    }
}

/// One change.
#[must_use]
pub fn change(change: &Change) -> wire::Change {
    let (mut secret, mut vault) = (None, None);
    let previous = match &change.thing {
        Thing::Secret { id, now, previous } => {
            secret = Some(wire::ChangedSecret {
                id: id.to_string(),
                name: now.name.clone(),
                version: now.version,
                vault: vault_of(now),
            });
            let from =
                |was: &Whereabouts| wire::ChangedFrom { name: was.name.clone(), vault: Some(vault_of(was)) };
            previous.as_ref().map(from)
        }
        Thing::Vault { id, name, previous } => {
            vault = Some(named(*id, name));
            previous.as_ref().map(|name| wire::ChangedFrom { name: name.clone(), vault: None })
        }
    };
    wire::Change {
        cursor: change.cursor.to_string(),
        kind: change.kind.clone().into_owned(),
        event_id: change.event.to_string(),
        at: time(change.at),
        secret,
        vault,
        previous,
    }
}

fn vault_of(at: &Whereabouts) -> wire::ChangedVault {
    named(at.vault, &at.vault_name)
}

fn named(id: VaultId, name: &str) -> wire::ChangedVault {
    wire::ChangedVault { id: id.to_string(), name: name.to_owned() }
}
