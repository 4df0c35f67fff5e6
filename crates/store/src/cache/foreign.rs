//! What others' changes put out of memory, by the records that tell of them.

use std::collections::HashSet;

use strongroom_domain::audit::{Action, Event, Object, Record};
use strongroom_domain::store::OthersChanges;

use super::caches::Replaced;

/// Each thing once; everything, when it is not known.
pub(super) fn replaced_by(changes: &OthersChanges) -> Vec<Replaced> {
    if changes.unknown {
        return vec![Replaced::Everything];
    }
    let mut all = HashSet::new();
    if changes.untold {
        all.insert(Replaced::AllSealed);
    }
    for record in &changes.records {
        match replaced_by_one(record) {
            Ok(replaced) => all.extend(replaced),
            // It was altered, or is of a later version of this program.
            Err(_) => return vec![Replaced::Everything],
        }
    }
    all.into_iter().collect()
}

fn replaced_by_one(record: &Record) -> strongroom_domain::Result<Option<Replaced>> {
    let event = Event::from_canonical(&record.canonical)?;
    // What is not there is not kept in memory, so that nothing new replaces anything.
    let is_new = event.is(Action::Created);
    let account = event.account;
    Ok(match &event.object {
        // It comes into lists.
        Object::Secret { .. } if is_new => Some(Replaced::SecretList),
        // No record of a secret carries what was told of its end.
        Object::Secret { .. } if event.is(Action::Expiring) || event.is(Action::Expired) => None,
        Object::Secret { id, .. } => Some(Replaced::Secret(account, *id)),
        Object::IpPolicy { .. } | Object::IpPolicyRule { .. } | Object::IpRestriction { .. } => {
            Some(Replaced::Gate(account))
        }
        Object::Vault { .. } | Object::ApiKey { .. } | Object::ServiceUser { .. } if is_new => None,
        Object::Vault { id, .. } | Object::VaultKeep { id, .. } => Some(Replaced::Vault(account, *id)),
        Object::VaultKey { id, .. } | Object::DataKeys { id, .. } => Some(Replaced::VaultKeys(account, *id)),
        Object::RootKey { .. } => Some(Replaced::AllVaultKeys),
        Object::ApiKey { id, .. } => Some(Replaced::Key(*id)),
        Object::ServiceUser { .. } => Some(Replaced::ServiceUser),
        // None of these is kept in memory.
        Object::Value { .. }
        | Object::KeySlot { .. }
        | Object::Server { .. }
        | Object::AuditLog { .. }
        | Object::Webhook { .. } => None,
    })
}
