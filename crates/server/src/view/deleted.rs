//! What was deleted and can be brought back.

use strongroom_domain::deleted::{Deleted, Leftovers, Retention};
use strongroom_domain::secret::Secret;
use strongroom_domain::vault::Vault;
use strongroom_wire as wire;

use super::{Next, following, principal, secret, time, vault};
use crate::origin::Origin;

/// A page of deleted things.
#[must_use]
pub fn deleted(page: &Leftovers, retention: Retention, next: &Next, origin: &Origin) -> wire::DeletedList {
    let uri = format!("{origin}/strongroom/deleted");
    let secrets: Vec<_> = page.secrets.iter().map(|item| deleted_secret(item, retention, origin)).collect();
    let vaults: Vec<_> = page.vaults.iter().map(|item| deleted_vault(item, retention, origin)).collect();
    // The page ends with the lesser of the last ids: they sort by time, whatever they are of.
    let secret = page.secrets.last().map(|item| (item.was.id.ksuid(), item.was.id.to_string()));
    let vault = page.vaults.last().map(|item| (item.was.id.ksuid(), item.was.id.to_string()));
    let last = secret.into_iter().chain(vault).min().map(|(_, id)| id);
    wire::DeletedList { next_page_uri: following(page.more, &uri, last.as_ref(), next), secrets, vaults, uri }
}

fn deleted_secret(item: &Deleted<Secret>, retention: Retention, origin: &Origin) -> wire::DeletedSecret {
    let Deleted { was, deletion } = item;
    wire::DeletedSecret {
        secret: secret(was, origin),
        version: was.version,
        deleted_at: time(deletion.at),
        deleted_by: principal(deletion.by),
        purged_at: time(retention.end(deletion.at)),
    }
}

fn deleted_vault(item: &Deleted<Vault>, retention: Retention, origin: &Origin) -> wire::DeletedVault {
    let Deleted { was, deletion } = item;
    wire::DeletedVault {
        vault: vault(was, origin),
        deleted_at: time(deletion.at),
        deleted_by: principal(deletion.by),
        purged_at: time(retention.end(deletion.at)),
    }
}
