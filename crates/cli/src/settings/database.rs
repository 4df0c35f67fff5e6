//! The database that a store is in, where it is not a file of this machine's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use strongroom_slots::is_private;
use strongroom_store::postgres::{self, OpenError};
use zeroize::Zeroizing;

use super::Options;
use crate::failure::{Failure, Kind};
use crate::units;

/// The database, as it is set.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) options: postgres::Options,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    connections: usize,
    prepare: bool,
    pub(crate) stale_ok: bool,
    /// How long a server waits for it at its start; `None` is without end.
    pub(crate) wait: Option<Duration>,
}

/// The database that the options name, if they name one.
pub(super) fn of(options: &Options) -> Result<Option<Database>, Failure> {
    let Some(url) = &options.database else {
        let alone = [
            ("--database-password-file", options.database_password_file.is_some()),
            ("--database-ca", options.database_ca.is_some()),
            ("--database-connections", options.database_connections.is_some()),
            ("--database-wait", options.database_wait.is_some()),
        ];
        return match alone.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Failure::new(format!("{flag} is for a database, and none is named"))
                .todo("name it with --database postgres://user@host/name")),
            None => Ok(None),
        };
    };
    let named = connect(url, options.database_password_file.as_deref())?;
    let connections =
        options.database_connections.map_or(postgres::Options::CONNECTIONS, |number| number.get() as usize);
    let prepare = options.database_prepare.unwrap_or(true);
    let named = named.connections(connections).prepare(prepare);
    let named = match &options.database_ca {
        Some(ca) => named.authorities(ca),
        None => named,
    };
    Ok(Some(Database {
        options: named,
        password_file: options.database_password_file.clone(),
        ca: options.database_ca.clone(),
        connections,
        prepare,
        stale_ok: options.database_stale_ok.unwrap_or(false),
        wait: options.database_wait.map(|wait| Duration::from_secs(wait.0.into())),
    }))
}

/// A database by its URL, which must not hold the password: others on the machine may see it in a list of processes.
pub(crate) fn connect(url: &str, password_file: Option<&Path>) -> Result<postgres::Options, Failure> {
    let options = postgres::Options::parse(url)
        .map_err(|error| Failure::new("the database cannot be used").because(error))?;
    if options.has_password() {
        return Err(Failure::new("the database's URL holds a password, which others may see there")
            .todo("write it to a file of your own and name that with --database-password-file"));
    }
    match password_file {
        Some(path) => Ok(options.password(password(path)?.as_bytes()).password_source(each_time(path))),
        None => Ok(options),
    }
}

/// Reads the password again for each connection, so that a changed one needs no start.
fn each_time(path: &Path) -> impl Fn() -> Option<Zeroizing<Vec<u8>>> + Send + Sync + 'static {
    let path = path.to_owned();
    move || match password(&path) {
        Ok(mut password) => Some(Zeroizing::new(std::mem::take(&mut *password).into_bytes())),
        Err(failure) => {
            tracing::warn!(%failure, "the password of the start is shown to the database");
            None
        }
    }
}

/// Why the store in a database cannot be used, and what to do about it.
pub(crate) fn unusable(error: OpenError) -> Failure {
    if let OpenError::Older { place, found: 0, .. } = &error {
        return Failure::new(format!("there is no store in the database {place}"))
            .todo("strongroom serve makes one there, strongroom migrate-store moves one there");
    }
    let todo = match &error {
        OpenError::Older { .. } => "start the server of this version on it once",
        OpenError::Newer { .. } => "use a later version",
        OpenError::Unfinished { .. } => {
            "run strongroom migrate-store once more, which begins it anew, or use another database"
        }
        OpenError::Encoding { .. } => {
            "make another with CREATE DATABASE strongroom ENCODING 'UTF8' TEMPLATE template0"
        }
        OpenError::Options(_) | OpenError::Database { .. } => {
            "see that it runs, that --database names it, and that its password is right"
        }
    };
    let kind = if error.may_pass() { Kind::Unavailable } else { Kind::Other };
    Failure::new("the database cannot be used").because(error).todo(todo).kind(kind)
}

/// The password in a file that only its owner may read, without the line's end.
fn password(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = || Failure::new(format!("the database's password file {} cannot be used", path.display()));
    let about = std::fs::metadata(path).map_err(|error| failed().because(error))?;
    if !is_private(&about) {
        let what = format!("the database's password file {} can be read by other users", path.display());
        return Err(Failure::new(what).todo(format!("chmod 600 {}", path.display())));
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| failed().because(error))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(failed().todo("it is empty: write the password to it")),
        password => Ok(Zeroizing::new(password.to_owned())),
    }
}

/// The settings as they are shown.
pub(super) fn rows(database: Option<&Database>) -> Vec<(&'static str, String)> {
    let none = || "none".to_owned();
    let path = |path: &PathBuf| path.display().to_string();
    let on = |on: bool| on.to_string();
    vec![
        (
            "database",
            database.map_or_else(none, |database| format!("postgres://{}", database.options.place())),
        ),
        (
            "database_password_file",
            database.and_then(|database| database.password_file.as_ref()).map_or_else(none, path),
        ),
        (
            "database_ca",
            database
                .and_then(|database| database.ca.as_ref())
                .map_or_else(|| "the system's".to_owned(), path),
        ),
        (
            "database_connections",
            database.map_or(postgres::Options::CONNECTIONS, |database| database.connections).to_string(),
        ),
        ("database_prepare", on(database.is_none_or(|database| database.prepare))),
        (
            "database_wait",
            database.and_then(|database| database.wait).map_or_else(
                || "unlimited".to_owned(),
                |wait| units::span(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)),
            ),
        ),
        ("database_stale_ok", on(database.is_some_and(|database| database.stale_ok))),
    ]
}
