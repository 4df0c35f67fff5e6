//! Vault keys, by their ids.

use jiff::Timestamp;
use strongroom_domain::KeyId;
use strongroom_domain::app::RootRotated;
use strongroom_domain::page::Listing;
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
    root_key: (KeyId, Timestamp),
    next: &Next,
    origin: &Origin,
) -> wire::VaultKeyList {
    let uri = format!("{origin}/strongroom/keys");
    let keys: Vec<_> = page.items.iter().map(|key| vault_key(key, is_failing(key), origin)).collect();
    let next_page_uri = following(page.more, &uri, keys.last().map(|key| &key.vault.id), next);
    let (id, made_at) = root_key;
    let root_key = wire::RootKey { id: id.to_string(), created_at: time(made_at) };
    wire::VaultKeyList { root_key, keys, uri, next_page_uri }
}

/// A root key that was rotated.
pub(crate) fn root_key_rotated(rotated: &RootRotated) -> wire::RootKeyRotated {
    wire::RootKeyRotated {
        id: rotated.key.to_string(),
        previous_key: rotated.previous.to_string(),
        wrapped: rotated.wrapped,
    }
}
