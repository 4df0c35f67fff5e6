//! Opening the house: folder, store, root key, and the first start.

use std::path::Path;
use std::sync::Arc;

use strongroom_crypto::{KeyId, RootKey, SystemRng};
use strongroom_domain::app::App;
use strongroom_domain::clock::SystemClock;
use strongroom_domain::store::Store;
use strongroom_domain::token::Token;
use strongroom_store::cache::CachedStore;
use strongroom_store::sqlite::SqliteStore;

use crate::failure::Failure;
use crate::folder::{self, RootKeyFile};
use crate::hygiene;
use crate::settings::Settings;

/// An opened house.
pub(crate) struct House {
    pub(crate) app: App,
    /// The first API key's token, when this was the first start.
    pub(crate) first_token: Option<Token>,
    /// The root key's file, which nobody else changes for as long as this is there.
    pub(crate) root_key_file: RootKeyFile,
}

/// Opens the house; the first time, makes it. The caller has taken the folder.
pub(crate) async fn open(settings: &Settings) -> Result<House, Failure> {
    let path = folder::store_path(&settings.data_dir);
    let file = RootKeyFile::take(&settings.root_key_file)?;
    let needed = if path.exists() { needed_key(&path).await? } else { None };
    let known_key = match needed {
        Some(needed) => folder::root_key_of(&settings.root_key_file, needed)?,
        None => folder::root_key_read(&settings.root_key_file)?,
    };
    if let Some(needed) = needed {
        check_root_key(settings, needed, known_key.as_ref())?;
    }
    let store = SqliteStore::open(&path)
        .map_err(|error| Failure::new("the store cannot be opened").because(error))?;
    let store: Arc<dyn Store> = Arc::new(CachedStore::new(Arc::new(store)));
    let failed = |error: strongroom_domain::Error| Failure::new("the store cannot be read").because(error);
    let account = store.account_find().await.map_err(failed)?;
    let root_key = known_key.map_or_else(|| folder::root_key_make(&settings.root_key_file), Ok)?;
    let first_token = match account {
        Some(_) => None,
        None => Some(install(settings, &root_key, &*store).await?),
    };
    hygiene::lock(&root_key);
    if needed.is_some()
        && let Err(error) = file.recover(root_key.id())
    {
        tracing::warn!(%error, "a rotation of the root key was cut off, and cannot be ended yet; the next start tries again");
    }
    let app = App::open(store, root_key, settings.limits, Arc::new(SystemClock), Arc::new(SystemRng)).await;
    let app = app.map_err(|error| Failure::new("the store cannot be opened").because(error))?;
    if app.audit_key_was_lost().await.map_err(failed)? {
        tracing::warn!(
            "THE KEY OF THE AUDIT LOG'S CHECKPOINTS WAS MISSING, and another was made: somebody may have removed it; \
             checkpoints that were kept before are of the old one"
        );
    }
    Ok(House { app, first_token, root_key_file: file })
}

/// The root key that a store is under, if it has an account. Asked before anything is opened for writing, which may already
/// change the store.
async fn needed_key(path: &Path) -> Result<Option<KeyId>, Failure> {
    let unreadable = || Failure::new("the store cannot be read");
    let store = SqliteStore::open_to_read(path).map_err(|error| unreadable().because(error))?;
    // A first start that was cut off leaves a file with nothing in it.
    if store.is_blank().map_err(|error| unreadable().because(error))? {
        return Ok(None);
    }
    let account = store.account_find().await.map_err(|error| unreadable().because(error))?;
    Ok(account.map(|account| account.root_key))
}

fn check_root_key(settings: &Settings, needed: KeyId, key: Option<&RootKey>) -> Result<(), Failure> {
    let file = settings.root_key_file.display();
    match key {
        None => Err(Failure::new(format!(
            "the root key file {file} is missing: the store needs root key {needed}"
        ))
        .todo("put a copy of the file back, or name it with --root-key-file")),
        Some(key) if key.id() != needed => Err(Failure::new(format!(
            "the root key file {file} holds another key than the store was sealed under: expected key {needed}, found key {}; \
             nothing was changed",
            key.id()
        ))
        .todo("name the right file with --root-key-file")),
        Some(_) => Ok(()),
    }
}

async fn install(settings: &Settings, key: &RootKey, store: &dyn Store) -> Result<Token, Failure> {
    let failed = || Failure::new("the first start failed");
    let installed = App::install(key, Arc::new(SystemClock), Arc::new(SystemRng));
    let installed = installed.map_err(|error| failed().because(error))?;
    // The token is on disk before its hash is: a crash in between makes another, one after it loses nothing.
    let path = folder::first_key_path(&settings.data_dir);
    let text = zeroize::Zeroizing::new(format!("{}\n", installed.token().expose_secret()));
    folder::write_private(&path, &text).map_err(|error| failed().because(error))?;
    installed.commit(store).await.map_err(|error| failed().because(error))
}
