//! The two sides of a move: a file, or a database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use strongroom_domain::store::Store;
use strongroom_store::migrate::{Source, Target};
use strongroom_store::postgres::{Options, PostgresStore};
use strongroom_store::sqlite::SqliteStore;

use super::failure;
use crate::failure::{Failure, Kind};
use crate::folder::{self, Folder};
use crate::settings;

/// A store, as it is named on the command line.
#[derive(Clone)]
pub(super) enum Named {
    File(PathBuf),
    Database(String),
}

impl FromStr for Named {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            // One that is to be made has a slash at its end.
            let is_folder = path.ends_with('/') || Path::new(path).is_dir();
            let file = if is_folder { folder::store_path(Path::new(path)) } else { path.into() };
            return Ok(Self::File(file));
        }
        let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if is_url {
            return Ok(Self::Database(text.to_owned()));
        }
        // It is not told, since it may hold a password.
        Err(Failure::new("--from or --to names no store")
            .todo("it is sqlite:FOLDER, sqlite:FILE or postgres://USER@HOST/NAME")
            .kind(Kind::Usage))
    }
}

/// A store's place.
pub(super) enum Place {
    File(PathBuf),
    Database { url: String, password_file: Option<PathBuf>, ca: Option<PathBuf>, options: Box<Options> },
}

/// The database that is named.
pub(super) fn given(
    url: &str,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
) -> Result<Place, Failure> {
    let options = settings::connect(url, password_file.as_deref())?;
    let options = match &ca {
        Some(ca) => options.authorities(ca),
        None => options,
    };
    Ok(Place::Database { url: url.to_owned(), password_file, ca, options: Box::new(options) })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Database { options, .. } => write!(f, "the database {}", options.place()),
        }
    }
}

impl Place {
    /// Takes the data folder that a store is to be in, where it is one.
    pub(super) fn take_folder(&self) -> Result<Option<Folder>, Failure> {
        match self {
            Self::File(path) => match path.parent() {
                Some(data_dir) if folder::store_path(data_dir) == *path => {
                    Folder::take_or(data_dir, "name a folder without a store").map(Some)
                }
                _ => Ok(None),
            },
            Self::Database { .. } => Ok(None),
        }
    }

    /// Where the root key's file is, if nothing is said of it.
    pub(super) fn root_key_file(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.with_file_name("root.key")),
            Self::Database { .. } => None,
        }
    }

    /// The store, to be read.
    pub(super) async fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        match self {
            Self::File(path) => {
                let failed = || Failure::new(format!("{self} cannot be read"));
                self.must_exist(path)?;
                let store = SqliteStore::open_current_to_read(path);
                Ok(Arc::new(store.map_err(|error| failed().because(error))?))
            }
            Self::Database { options, .. } => {
                let store = PostgresStore::open_current_to_read(options).await;
                Ok(Arc::new(store.map_err(settings::unusable)?))
            }
        }
    }

    fn must_exist(&self, path: &Path) -> Result<(), Failure> {
        if path.exists() {
            return Ok(());
        }
        let todo = "name the data folder, or the store's file in it, after sqlite:";
        Err(Failure::new(format!("there is no store {self}")).todo(todo).kind(Kind::Missing))
    }

    /// The store, to be read as it is at one moment.
    pub(super) async fn source(&self) -> Result<Source, Failure> {
        let source = match self {
            Self::File(path) => Source::file(path),
            Self::Database { options, .. } => Source::database(options).await,
        };
        source.map_err(|error| failure(&format!("{self} cannot be read"), error))
    }

    /// The store, to be filled.
    pub(super) async fn target(&self) -> Result<Target, Failure> {
        let target = match self {
            Self::File(path) => Target::file(path),
            Self::Database { options, .. } => Target::database(options).await,
        };
        target.map_err(|error| failure(&format!("nothing can be moved to {self}"), error))
    }

    /// What names it to a server. A file of another name has to become that of a data folder first.
    pub(super) fn flags(&self) -> String {
        match self {
            Self::File(path) => format!("--data-dir {}", path.parent().unwrap_or(path).display()),
            Self::Database { url, password_file, ca, .. } => {
                let flag = |name: &str, path: &Option<PathBuf>| {
                    path.as_ref().map(|path| format!(" {name} {}", path.display())).unwrap_or_default()
                };
                let (password, ca) =
                    (flag("--database-password-file", password_file), flag("--database-ca", ca));
                format!("--database '{url}'{password}{ca}")
            }
        }
    }
}
