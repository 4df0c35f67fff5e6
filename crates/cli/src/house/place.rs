//! Where the store is: a file in the data folder, or a database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_domain::Error;
use strongroom_domain::store::Store;
use strongroom_store::cache::CachedStore;
use strongroom_store::postgres::PostgresStore;
use strongroom_store::sqlite::SqliteStore;

use crate::failure::{Failure, Kind};
use crate::folder;
use crate::root_key::Ways;
use crate::settings::{Settings, unusable};

/// A store that was looked at. To open it for writing may already change it, so that is done only once it is known what opens
/// its root key.
pub(super) enum Place {
    File(PathBuf),
    Database { store: PostgresStore, stale_ok: bool },
}

impl Place {
    /// Looks at the store; tells the ways to its root key, if it has an account.
    pub(super) async fn look(settings: &Settings) -> Result<(Self, Option<Ways>), Failure> {
        let Some(database) = &settings.database else {
            let path = folder::store_path(&settings.data_dir);
            let ways = if path.exists() { ways_of_file(&path).await? } else { None };
            return Ok((Self::File(path), ways));
        };
        let store = PostgresStore::connect(&database.options).await.map_err(unusable)?;
        let ways = if store.is_blank() { None } else { Ways::of(&store).await.map_err(unreadable)? };
        Ok((Self::Database { store, stale_ok: database.stale_ok }, ways))
    }

    /// Opens the store for writing, with what is read often kept in memory.
    pub(super) async fn open(self) -> Result<Arc<dyn Store>, Failure> {
        let failed = || Failure::new("the store cannot be opened");
        match self {
            Self::File(path) => {
                let store = SqliteStore::open(&path).map_err(|error| failed().because(error))?;
                Ok(Arc::new(CachedStore::new(Arc::new(store))))
            }
            Self::Database { store, stale_ok } => {
                store.migrate().await.map_err(unusable)?;
                Ok(Arc::new(CachedStore::shared(Arc::new(store), stale_ok)))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Database { store, .. } => write!(f, "at {}", store.place()),
        }
    }
}

/// The account and the key slots of a store in a file, if it has an account.
async fn ways_of_file(path: &Path) -> Result<Option<Ways>, Failure> {
    let store = SqliteStore::open_to_read(path)
        .map_err(|error| Failure::new("the store cannot be read").because(error))?;
    // A first start that was cut off leaves a file with nothing in it.
    if store.is_blank().map_err(unreadable)? {
        return Ok(None);
    }
    Ways::of(&store).await.map_err(unreadable)
}

fn unreadable(error: strongroom_domain::Error) -> Failure {
    let kind = if matches!(error, Error::Unavailable(_)) { Kind::Unavailable } else { Kind::Other };
    Failure::new("the store cannot be read").because(error).kind(kind)
}
