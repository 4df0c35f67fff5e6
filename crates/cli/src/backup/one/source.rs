//! The backup that a secret is taken from: read as it is, and opened with its own root key.

use std::fmt;
use std::path::Path;

use strongroom_client::reference::Reference;
use strongroom_crypto::RootKey;
use strongroom_domain::deleted::Deletion;
use strongroom_domain::page::{Page, PageLimit, Query};
use strongroom_domain::principal::Account;
use strongroom_domain::secret::{Kept, Secret};
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;
use strongroom_store::sqlite::{OpenError, SqliteStore};
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};
use crate::folder;
use crate::root_key::{Shut, Ways};
use crate::settings::Settings;

pub(super) struct Source {
    store: SqliteStore,
    account: Account,
    root_key: RootKey,
}

/// A secret of the backup, and the version that is meant.
pub(super) struct Found {
    pub(super) secret: Secret,
    deletion: Option<Deletion>,
    version: Kept,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, deletion, version } = self;
        let (vault, name) = (&secret.vault_name, &secret.name);
        write!(f, "{vault}:{name}@{} of the backup, written {}", version.number, version.created_at)?;
        deletion.map_or(Ok(()), |deletion| write!(f, " (deleted {})", deletion.at))
    }
}

impl Source {
    /// Opens a backup, looks for damage, and compares the root key.
    pub(super) async fn open(file: &Path, settings: &Settings) -> Result<Self, Failure> {
        let shown = file.display();
        if !file.exists() {
            return Err(Failure::new(format!("there is no file {shown}")).kind(Kind::Missing));
        }
        let failed = || Failure::new(format!("the backup {shown} cannot be read"));
        let store = SqliteStore::open_current_to_read(file).map_err(|error| match error {
            OpenError::Older { .. } => failed().because(error).todo(
                "restore it into an empty folder, start this version on it once, and take the secret from that folder's \
                 strongroom.db",
            ),
            error => failed().because(error),
        })?;
        match store.check().await.map_err(|error| failed().because(error))? {
            None => {}
            Some(damage) => return Err(Failure::new(format!("the backup {shown} is damaged: {damage}"))),
        }
        let ways = Ways::of(&store).await.map_err(|error| failed().because(error))?;
        let ways = ways.ok_or_else(|| failed().because("it holds no account"))?;
        let root_key = root_key(&settings.root_key_file, &ways)?;
        Ok(Self { store, account: ways.account, root_key })
    }

    /// The secret of that name and a version of its value. A deleted one is meant if no other has the name, or by its id.
    pub(super) async fn find(
        &self,
        name: &Reference,
        id: Option<&str>,
        version: Option<u32>,
    ) -> Result<Found, Failure> {
        let mut found = self.deleted(name).await?;
        if let Some(live) = self.live(name).await? {
            if id.is_none() {
                found.clear();
            }
            found.push((live, None));
        }
        found.retain(|(secret, _)| id.is_none_or(|id| secret.id.to_string() == id));
        let (secret, deletion) = one(found, name)?;
        let version = self.version(&secret, deletion.is_some(), version).await?;
        Ok(Found { secret, deletion, version })
    }

    async fn live(&self, name: &Reference) -> Result<Option<Secret>, Failure> {
        let account = self.account.id;
        let vault = self.store.vault_find_by_name(account, &name.vault).await.map_err(unreadable)?;
        let Some(vault) = vault else { return Ok(None) };
        let secret = self.store.secret_find_by_name(account, vault.id, &name.name).await;
        Ok(secret.map_err(unreadable)?.map(|secret| Secret::clone(&secret)))
    }

    async fn deleted(&self, name: &Reference) -> Result<Vec<(Secret, Option<Deletion>)>, Failure> {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let query = Query { page: Page { before, limit: PageLimit::MAX }, filter: None, scope: None };
            let page = self.store.deleted_list(self.account.id, query).await.map_err(unreadable)?;
            before = page.last();
            let more = page.more;
            let named = page
                .secrets
                .into_iter()
                .filter(|deleted| (&deleted.was.vault_name, &deleted.was.name) == (&name.vault, &name.name));
            found.extend(named.map(|deleted| (deleted.was, Some(deleted.deletion))));
            if !more {
                return Ok(found);
            }
        }
    }

    async fn version(&self, secret: &Secret, is_deleted: bool, number: Option<u32>) -> Result<Kept, Failure> {
        let account = self.account.id;
        let kept = match is_deleted {
            true => self.store.deleted_version_kept(account, secret.id),
            false => self.store.version_kept(account, secret.id).await,
        };
        let mut kept = kept.map_err(unreadable)?;
        let number = number.unwrap_or(secret.version);
        let place = kept.iter().position(|version| version.number == number).ok_or_else(|| {
            let there: Vec<String> = kept.iter().rev().map(|version| version.number.to_string()).collect();
            let what =
                format!("version {number} of {}:{} is not in the backup", secret.vault_name, secret.name);
            Failure::new(what).todo(format!("it has {}", there.join(", "))).kind(Kind::Missing)
        })?;
        Ok(kept.swap_remove(place))
    }

    /// The value, in clear: to be sealed by the server.
    pub(super) async fn value(&self, found: &Found) -> Result<Zeroizing<String>, Failure> {
        let (account, id) = (self.account.id, found.secret.id);
        let number = found.version.number;
        let version = match found.deletion {
            Some(_) => self.store.deleted_version_find(account, id, number),
            None => self.store.version_find(account, id, number).await,
        };
        let version = version.map_err(unreadable)?;
        let vault = self.vault(&found.secret).await?;
        let altered = || Failure::new(format!("{found} does not open: the backup was altered"));
        let (version, vault) = version.zip(vault).ok_or_else(altered)?;
        let keys = vault.open_keys(account, &self.root_key);
        let opened = keys.and_then(|keys| keys.open(&version.sealed, &found.secret.place(account, number)));
        let value = opened.map_err(|error| altered().because(error))?;
        // To be sent to the server is what it was opened for.
        let text = String::from_utf8(value.expose_secret().to_vec());
        text.map(Zeroizing::new).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            altered()
        })
    }

    /// The vault that a secret is in, deleted or not.
    async fn vault(&self, secret: &Secret) -> Result<Option<Vault>, Failure> {
        let (account, id) = (self.account.id, secret.vault_id);
        if let Some(vault) = self.store.vault_find(account, id).await.map_err(unreadable)? {
            return Ok(Some(Vault::clone(&vault)));
        }
        let deleted = self.store.deleted_vault_find(account, id).await.map_err(unreadable)?;
        Ok(deleted.map(|deleted| deleted.was))
    }
}

fn unreadable(error: strongroom_domain::Error) -> Failure {
    Failure::new("the backup cannot be read").because(error)
}

fn root_key(file: &Path, ways: &Ways) -> Result<RootKey, Failure> {
    let (shown, needed) = (file.display(), ways.expected());
    let key = folder::key_file_read(file)?;
    let what = match ways.by_file(key.as_ref()) {
        Ok(key) => return Ok(key),
        Err(Shut::Other(found)) => format!("the backup needs key {needed}, and {shown} holds {found}"),
        Err(Shut::Missing) => format!("the backup needs key {needed}, and there is no file {shown}"),
        Err(Shut::Altered(slot)) => {
            format!("the key in {shown} does not open the backup's key slot '{slot}', which was altered")
        }
    };
    Err(Failure::new(what).todo("name the right file with --root-key-file"))
}

/// The one that was found; none and several are each told with what to do.
fn one(
    mut found: Vec<(Secret, Option<Deletion>)>,
    name: &Reference,
) -> Result<(Secret, Option<Deletion>), Failure> {
    if found.len() > 1 {
        let ids: Vec<String> = found
            .iter()
            .filter_map(|(secret, deletion)| Some(format!("{} was deleted {}", secret.id, (*deletion)?.at)))
            .collect();
        return Err(Failure::new(format!("the backup has several deleted secrets called {name}"))
            .todo(format!("name one with --id:\n  {}", ids.join("\n  ")))
            .kind(Kind::Invalid));
    }
    found.pop().ok_or_else(|| {
        Failure::new(format!("there is no secret {name} in the backup, nor a deleted one"))
            .todo("is it another name, or another id?")
            .kind(Kind::Missing)
    })
}
