//! Opening the house: folder, store, root key, and the first start.

use std::sync::Arc;

use strongroom_crypto::{RootKey, SystemRng};
use strongroom_domain::app::{App, OpenError};
use strongroom_domain::clock::SystemClock;
use strongroom_domain::store::Store;
use strongroom_domain::token::Token;
use strongroom_store::cache::CachedStore;
use strongroom_store::sqlite::SqliteStore;

use crate::failure::Failure;
use crate::folder::{self, Folder};
use crate::hygiene;
use crate::settings::Settings;

/// An opened house. Its folder is this process's until it is dropped.
pub(crate) struct House {
    pub(crate) app: App,
    /// The first API key's token, when this was the first start.
    pub(crate) first_token: Option<Token>,
    pub(crate) folder: Folder,
}

/// Opens the house; the first time, makes it.
pub(crate) async fn open(settings: &Settings) -> Result<House, Failure> {
    let folder = Folder::take(&settings.data_dir)?;
    let path = folder::store_path(&settings.data_dir);
    let known_key = folder::root_key_read(&settings.root_key_file)?;
    let store = SqliteStore::open(&path)
        .map_err(|error| Failure::new("the store cannot be opened").because(error))?;
    let store: Arc<dyn Store> = Arc::new(CachedStore::new(Arc::new(store)));
    let failed = |error: strongroom_domain::Error| Failure::new("the store cannot be read").because(error);
    let account = store.account_find().await.map_err(failed)?;
    let (root_key, first_token) = match (account, known_key) {
        (Some(_), Some(key)) => (key, None),
        (Some(account), None) => {
            let file = settings.root_key_file.display();
            return Err(Failure::new(format!(
                "the root key file {file} is missing: the store needs root key {}",
                account.root_key
            ))
            .todo("put a copy of the file back, or name it with --root-key-file"));
        }
        (None, key) => {
            let key = key.map_or_else(|| folder::root_key_make(&settings.root_key_file), Ok)?;
            let token = install(settings, &key, &*store).await?;
            (key, Some(token))
        }
    };
    hygiene::lock(&root_key);
    let app = App::open(store, root_key, settings.limits, Arc::new(SystemClock), Arc::new(SystemRng)).await;
    let app = app.map_err(|error| open_failure(error, settings))?;
    Ok(House { app, first_token, folder })
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

fn open_failure(error: OpenError, settings: &Settings) -> Failure {
    match error {
        OpenError::WrongRootKey { expected, found } => Failure::new(format!(
            "the root key file {} holds another key than the store was sealed under: expected key {expected}, found key \
             {found}; nothing was changed",
            settings.root_key_file.display()
        ))
        .todo("name the right file with --root-key-file"),
        other => Failure::new("the store cannot be opened").because(other),
    }
}
