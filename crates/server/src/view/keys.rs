//! Vault keys, by their ids.

use strongroom_domain::page::Listing;
use strongroom_domain::principal::Account;
use strongroom_domain::rotation::KeyUse;
use strongroom_wire as wire;

use super::{Next, following, time, vault_ref};
use crate::origin::Origin;

/// A vault's key. `failing` is whether the last try to go on with its rotation failed.
#[must_use]
pub fn vault_key(key: &KeyUse, failing: bool, origin: &Origin) -> wire::VaultKey {
    wire::VaultKey {
        id: key.key.to_string(),
        vault: vault_ref(key.vault.id, origin),
        vault_name: key.vault.name.clone(),
        created_at: time(key.vault.keyed_at),
        values: key.values,
        rotation: key.rotation.map(|(rotation, left)| wire::KeyRotation {
            kind: rotation.kind.as_str().to_owned(),
            started_at: time(rotation.started_at),
            done: rotation.done,
            left,
            failing,
        }),
    }
}

/// A page of them.
#[must_use]
pub fn vault_keys(
    page: &Listing<KeyUse>,
    is_failing: impl Fn(&KeyUse) -> bool,
    account: &Account,
    next: &Next,
    origin: &Origin,
) -> wire::VaultKeyList {
    let uri = format!("{origin}/strongroom/keys");
    let keys: Vec<_> = page.items.iter().map(|key| vault_key(key, is_failing(key), origin)).collect();
    let next_page_uri = following(page.more, &uri, keys.last().map(|key| &key.vault.id), next);
    wire::VaultKeyList { root_key: account.root_key.to_string(), keys, uri, next_page_uri }
}
