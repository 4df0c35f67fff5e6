//! The database file: how it is opened, and how it gets from one shape to the next.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction};
use strongroom_domain::audit::Broken;

use super::log_tree::{self, Failed};

/// The migrations, in order; each is run once, in one transaction with those that are due with it. Numbers are never reused and nothing goes back.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration::sql(include_str!("../../migrations/sqlite/0001_first.sql")),
    Migration::sql(include_str!("../../migrations/sqlite/0002_grants.sql")),
    Migration::sql(include_str!("../../migrations/sqlite/0003_versions.sql")),
    Migration { sql: include_str!("../../migrations/sqlite/0004_log.sql"), then: log_tree::grow },
    Migration::sql(include_str!("../../migrations/sqlite/0005_expiry_and_answers.sql")),
    Migration::sql(include_str!("../../migrations/sqlite/0006_pruned_log.sql")),
    Migration::sql(include_str!("../../migrations/sqlite/0007_webhooks.sql")),
    Migration::sql(include_str!("../../migrations/sqlite/0008_ip_restrictions.sql")),
    Migration::sql(include_str!("../../migrations/sqlite/0009_client_certificates.sql")),
    Migration::sql(include_str!("../../migrations/sqlite/0010_key_rotation.sql")),
    Migration::sql(include_str!("../../migrations/sqlite/0011_key_slots.sql")),
];

/// From one shape of the file to the next.
#[derive(Clone, Copy)]
pub(super) struct Migration {
    pub(super) sql: &'static str,
    /// What SQL cannot do, after it and in the same transaction.
    then: fn(&Transaction<'_>) -> Result<(), Failed>,
}

impl Migration {
    const fn sql(sql: &'static str) -> Self {
        Self { sql, then: |_| Ok(()) }
    }
}

/// Marks the file as Strongroom's: `SRm1`.
const APPLICATION_ID: i32 = 0x5352_6d31;

/// How long SQLite waits for a lock that another process holds (a backup, a verification).
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Prepared statements that each connection keeps.
const STATEMENTS: usize = 64;

/// Pages in the write-ahead log before it is moved into the database: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4096;

/// Why a database file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file belongs to another program.
    #[error("{path} is not a Strongroom store")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later version of Strongroom.
    #[error(
        "{path} was written by a newer Strongroom (store version {found}, this one knows up to {known}); \
         nothing was changed: start the newer version"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version that it has.
        found: usize,
        /// The last version that is known.
        known: usize,
    },
    /// The file was written by an earlier version of Strongroom, and is only to be read.
    #[error(
        "{path} was written by an older Strongroom (store version {found}, this one reads {known}); \
         nothing was changed: start the server on it once"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// The version that it has.
        found: usize,
        /// The version that is known.
        known: usize,
    },
    /// The audit log of a store of an earlier version is not whole, so it gets no tree.
    #[error(
        "the audit log in {path} was tampered with or damaged: {broken}; nothing was changed: restore a backup, \
         or start the older version"
    )]
    BrokenLog {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        broken: Broken,
    },
    /// SQLite refuses.
    #[error("{path} cannot be opened")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// How a connection is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading and writing; makes the file when there is none.
    Write,
    /// Reading alone.
    Read,
}

/// Opens a connection with the settings that all of them share.
pub(super) fn connect(path: &Path, access: Access) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | match access {
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            // A reader of a write-ahead log writes to its shared memory, so the file itself is opened for both.
            Access::Read => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise SQLite may prepare a statement anew for each value that is bound to it, in case the plan should change.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Temporary tables and indices stay out of files.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if access == Access::Read {
        connection.pragma_update(None, "query_only", true)?;
        // The last to close would move a log that a crash left behind into the store. An empty one it only removes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, log_is_left(path))?;
    }
    Ok(connection)
}

/// Whether a store's log has something in it, such as after a crash.
pub(super) fn log_is_left(path: &Path) -> bool {
    std::fs::metadata(log_path(path)).is_ok_and(|log| log.len() > 0)
}

/// Where SQLite keeps the log of a store.
pub(super) fn log_path(path: &Path) -> PathBuf {
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    log.into()
}

/// Opens the connection that writes, and brings the file to the current shape.
///
/// # Errors
/// [`OpenError`]. A file that is foreign or newer is left untouched.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    // Looked at before anything is set: setting the journal mode would already write.
    if path.exists() {
        check_version(&connect(path, Access::Read).map_err(failed)?, path)?;
    } else {
        // SQLite gives its log the mode of the file that is there already.
        make_private(path)
            .map_err(|error| failed(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))?;
    }
    let mut connection = connect(path, Access::Write).map_err(failed)?;
    configure_writer(&connection).map_err(failed)?;
    migrate(&mut connection, path, MIGRATIONS).map_err(|error| match error {
        Failed::Sqlite(source) => failed(source),
        Failed::Broken(broken) => OpenError::BrokenLog { path: path.to_owned(), broken },
    })?;
    Ok(connection)
}

/// Makes an empty file that only its owner may read.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map(drop)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit returns when the log is on disk: this is what "answered means kept" rests on.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is overwritten, so that no sealed value stays behind in a free page.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)
}

/// Refuses a file that is not ours, or newer than what we know.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let found = version(connection).map_err(failed)?;
    let empty = application == 0 && found == 0;
    if application != APPLICATION_ID && !empty {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > MIGRATIONS.len() {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    Ok(())
}

/// Refuses a file that has to be brought to the current shape before it can be read. An empty one need not.
pub(super) fn check_current(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = version(connection).map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
    let known = MIGRATIONS.len();
    if (1..known).contains(&found) {
        return Err(OpenError::Older { path: path.to_owned(), found, known });
    }
    Ok(())
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Runs the migrations that the file has not seen. A copy is made before a file with data in it is changed.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<(), Failed> {
    let done = version(connection)?;
    if (1..migrations.len()).contains(&done) {
        let copy = path.with_extension(format!("before-version-{}.db", done + 1));
        // One that an earlier try left behind, which failed and was undone, holds nothing that this one will not.
        let _ = std::fs::remove_file(&copy);
        super::backup::copy(connection, &copy, |_, _| ())?;
    }
    if done >= migrations.len() {
        return Ok(());
    }
    // All or none: a store that cannot be brought to the last shape is left for the version that it is of.
    let step = connection.transaction()?;
    for migration in &migrations[done..] {
        step.execute_batch(migration.sql)?;
        (migration.then)(&step)?;
    }
    step.pragma_update(None, "application_id", APPLICATION_ID)?;
    step.pragma_update(None, "user_version", migrations.len())?;
    Ok(step.commit()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_runs_once_and_leaves_a_copy_of_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut connection = open_writer(&path).unwrap();
        connection.execute("UPDATE audit_head SET sequence = 7", []).unwrap();
        let next = Migration::sql("UPDATE audit_head SET sequence = 8");
        let more: Vec<Migration> = MIGRATIONS.iter().copied().chain([next]).collect();
        for _ in 0..2 {
            migrate(&mut connection, &path, &more).unwrap();
        }
        let sequence = |connection: &Connection| {
            connection.query_row("SELECT sequence FROM audit_head", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let (known, next) = (MIGRATIONS.len(), MIGRATIONS.len() + 1);
        assert_eq!((version(&connection).unwrap(), sequence(&connection)), (next, 8));
        let copy =
            connect(&folder.path().join(format!("store.before-version-{next}.db")), Access::Read).unwrap();
        assert_eq!((version(&copy).unwrap(), sequence(&copy)), (known, 7));
    }

    #[test]
    fn a_failed_migration_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut connection = open_writer(&path).unwrap();
        let mut bad = MIGRATIONS.to_vec();
        bad.push(Migration::sql("CREATE TABLE half (x); SELECT * FROM nowhere"));
        assert!(migrate(&mut connection, &path, &bad).is_err());
        assert_eq!(version(&connection).unwrap(), MIGRATIONS.len());
        assert!(connection.prepare("SELECT * FROM half").is_err());
    }

    #[test]
    fn foreign_and_newer_files_are_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        for (name, pragma) in [("foreign.db", "application_id"), ("newer.db", "user_version")] {
            let path = folder.path().join(name);
            drop(open_writer(&path).unwrap());
            Connection::open(&path).unwrap().pragma_update(None, pragma, 99).unwrap();
            let before = std::fs::read(&path).unwrap();
            let error = open_writer(&path).unwrap_err();
            assert!(
                matches!(error, OpenError::Foreign { .. } | OpenError::Newer { found: 99, .. }),
                "{error}"
            );
            assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
        }
    }
}
