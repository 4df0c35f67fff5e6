//! What is kept of values, without the values.

use strongroom_domain::secret::{Kept, Secret};
use strongroom_domain::vault::Vault;
use strongroom_wire as wire;

use super::{principal, time, vault};
use crate::origin::Origin;

/// What is kept of a secret's values.
#[must_use]
pub fn versions(secret: &Secret, kept: &[Kept], origin: &Origin) -> wire::SecretVersionList {
    let version = |kept: &Kept| wire::SecretVersion {
        version: kept.number,
        current: kept.replaced_at.is_none(),
        created_at: time(kept.created_at),
        created_by: kept.created_by.map(principal),
        replaced_at: kept.replaced_at.map(time),
    };
    wire::SecretVersionList {
        versions: kept.iter().map(version).collect(),
        uri: format!("{origin}/strongroom/secrets/{}/versions", secret.id),
    }
}

/// A vault, and how many values it keeps.
#[must_use]
pub fn vault_detail(of: &Vault, origin: &Origin) -> wire::VaultDetail {
    wire::VaultDetail {
        vault: vault(of, origin),
        keep_versions: of.keep.versions,
        keep_versions_for: of.keep.versions_for,
    }
}
