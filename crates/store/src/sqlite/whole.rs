//! A whole store, read at one moment or filled: for moving it to another place.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, params_from_iter};
use strongroom_domain::Result;

use super::error::plain;
use super::resolved::Latest;
use super::schema::{self, Access, OpenError};
use super::{SqliteStore, audit, backup, resolved};
use crate::migrate::{Cell, Kind, MoveError, PAGE, RESOLVED, Row, Table, corrupt, quoted};

/// An account's number and a secret, in the order of their table's rows.
type Key = (i64, Vec<u8>);

/// A store as it is at one moment, whatever is written to it meanwhile.
pub(crate) struct Snapshot {
    connection: Connection,
    /// What the file's version was: another one once somebody wrote it.
    version: i64,
    /// The last uses of secrets that are in no table yet.
    latest: BTreeMap<Key, Row>,
}

impl Snapshot {
    /// Begins to read.
    pub(crate) fn take(path: &Path) -> Result<Self, MoveError> {
        let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let connection = schema::connect(path, Access::Read).map_err(failed)?;
        schema::check_version(&connection, path)?;
        schema::check_current(&connection, path)?;
        Ok(Self::of(connection).map_err(failed)?)
    }

    fn of(connection: Connection) -> rusqlite::Result<Self> {
        connection.execute_batch("BEGIN")?;
        // The moment is that of the first reading.
        audit::head(&connection)?;
        let version = version(&connection)?;
        let latest = Latest::read(&connection)?.rows();
        Ok(Self { connection, version, latest })
    }

    /// A page of a table, after a row. One that is not full is the last.
    pub(crate) fn page(&self, table: &Table, after: Option<&Row>) -> Result<Vec<Row>> {
        let stored = self.stored(table, after)?;
        if table.name == RESOLVED { self.with_latest(table, after, stored) } else { Ok(stored) }
    }

    fn stored(&self, table: &Table, after: Option<&Row>) -> Result<Vec<Row>> {
        let mut select = self.connection.prepare_cached(&table.page(after.is_some(), PAGE)).map_err(plain)?;
        let key = after.map_or(&[][..], |row| &row[..table.key]);
        let mut found = select.query(params_from_iter(key)).map_err(plain)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(plain)? {
            let cell = |(index, (_, kind))| cell(row.get_ref(index).ok()?, kind);
            let cells: Option<Row> = table.columns.iter().copied().enumerate().map(cell).collect();
            rows.push(cells.ok_or_else(|| corrupt(table))?);
        }
        Ok(rows)
    }

    /// Puts what is in no table yet among the stored rows, in the order of both: the next page begins after the last row of this
    /// one. A secret may have been destroyed since.
    fn with_latest(&self, table: &Table, after: Option<&Row>, stored: Vec<Row>) -> Result<Vec<Row>> {
        let key = |row: &Row| row[0].int().zip(row[1].bytes()).map(|(number, id)| (number, id.to_vec()));
        let keyed = stored.into_iter().map(|row| Some((key(&row)?, row)));
        let mut rows: BTreeMap<Key, Row> = keyed.collect::<Option<_>>().ok_or_else(|| corrupt(table))?;
        let mut is_there = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM secret WHERE account = ?1 AND id = ?2) \
                 OR EXISTS (SELECT 1 FROM deleted_secret WHERE account = ?1 AND id = ?2)",
            )
            .map_err(plain)?;
        let start = after.and_then(key).map_or(Unbounded, Excluded);
        let mut added = 0;
        for ((account, secret), row) in self.latest.range((start, Unbounded)) {
            if added == PAGE {
                break;
            }
            if is_there.query_row((account, secret), |row| row.get(0)).map_err(plain)? {
                rows.insert((*account, secret.clone()), row.clone());
                added += 1;
            }
        }
        Ok(rows.into_values().take(PAGE).collect())
    }

    /// Whether the file was written since; from then on nothing more is read of that moment.
    pub(crate) fn was_written(self) -> Result<bool> {
        self.connection.execute_batch("ROLLBACK").map_err(plain)?;
        Ok(version(&self.connection).map_err(plain)? != self.version)
    }
}

/// Another number after each commit of another connection.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn cell(value: ValueRef<'_>, kind: Kind) -> Option<Cell> {
    match (value, kind) {
        (ValueRef::Null, _) => Some(Cell::Null),
        (ValueRef::Integer(value), Kind::Int) => Some(Cell::Int(value)),
        (ValueRef::Integer(value @ (0 | 1)), Kind::Bool) => Some(Cell::Int(value)),
        (ValueRef::Text(text), Kind::Text) => Some(Cell::Text(str::from_utf8(text).ok()?.to_owned())),
        (ValueRef::Blob(bytes), Kind::Bytes) => Some(Cell::Bytes(bytes.to_vec())),
        _ => None,
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Latest {
    /// What is noted, as rows of its table.
    fn rows(&self) -> BTreeMap<Key, Row> {
        let row = |(account, secret, resolved): resolved::Note| {
            let bytes = |id: &[u8]| Cell::Bytes(id.to_vec());
            let (secret, by) = (secret.ksuid(), resolved.by.ksuid());
            let at = Cell::Int(resolved.at.as_second());
            let row = vec![Cell::Int(account), bytes(secret.as_bytes()), at, bytes(by.as_bytes())];
            ((account, secret.as_bytes().to_vec()), row)
        };
        self.notes().into_iter().map(row).collect()
    }
}

/// A store that is being filled, in a file of another name, which is removed if it comes to nothing.
pub(crate) struct Filling {
    connection: Connection,
    part: Part,
}

impl Filling {
    /// Begins one in the place of what an earlier one left that was cut off.
    pub(crate) fn begin(to: &Path) -> Result<Self, MoveError> {
        if to.exists() {
            return Err(MoveError::Occupied(to.display().to_string()));
        }
        let part = to.with_added_extension("part");
        remove_left(&part, to)?;
        let connection = schema::open_writer(&part)?;
        let part = Part { path: part, to: to.to_owned(), accepted: false };
        // It is written once, and no store if that is cut off: nothing has to be undone, and it is on disk at the end.
        let prepared = connection
            .pragma_update(None, "journal_mode", "DELETE")
            .and_then(|()| connection.pragma_update(None, "journal_mode", "OFF"))
            .and_then(|()| connection.pragma_update(None, "synchronous", "OFF"))
            .and_then(|()| connection.execute_batch("BEGIN EXCLUSIVE"));
        prepared.map_err(|error| MoveError::Write(plain(error)))?;
        Ok(Self { connection, part })
    }

    /// Writes rows.
    pub(crate) fn write(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        let bound: Vec<String> = (1..=table.columns.len()).map(|number| format!("${number}")).collect();
        let (name, bound) = (quoted(table.name), bound.join(", "));
        let insert = if table.one_row { "INSERT OR REPLACE" } else { "INSERT" };
        let sql = format!("{insert} INTO {name} ({}) VALUES ({bound})", table.names());
        let mut insert = self.connection.prepare_cached(&sql).map_err(plain)?;
        for row in rows {
            insert.execute(params_from_iter(row)).map_err(plain)?;
        }
        Ok(())
    }

    /// Brings it to disk.
    pub(crate) fn end(self) -> Result<Filled, MoveError> {
        let Self { connection, part } = self;
        let ended = resolved::set_upto(&connection).and_then(|_| connection.execute_batch("COMMIT"));
        ended
            .and_then(|()| connection.close().map_err(|(_, error)| error))
            .map_err(|error| MoveError::Write(plain(error)))?;
        Ok(Filled { part })
    }
}

/// Removes what is left of an earlier filling, unless it is under way.
fn remove_left(part: &Path, to: &Path) -> Result<(), MoveError> {
    if !part.exists() {
        return Ok(());
    }
    let taken = schema::connect(part, Access::Write).and_then(|connection| {
        connection.busy_timeout(Duration::ZERO)?;
        connection.execute_batch("BEGIN EXCLUSIVE")
    });
    // One that was cut off may not be a database any more.
    if taken.is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)) {
        return Err(MoveError::UnderWay(to.display().to_string()));
    }
    remove(part).map_err(|source| MoveError::Io { path: part.to_owned(), source })
}

/// Removes a database with what SQLite keeps beside it.
fn remove(path: &Path) -> std::io::Result<()> {
    let beside = |suffix: &str| {
        let mut beside = path.to_owned().into_os_string();
        beside.push(suffix);
        beside
    };
    for suffix in ["-journal", "-wal", "-shm", ""] {
        match std::fs::remove_file(beside(suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The file under its other name.
struct Part {
    path: PathBuf,
    to: PathBuf,
    accepted: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.accepted {
            // What stays is removed by the next one that is begun.
            let _ = remove(&self.path);
        }
    }
}

/// A store that is filled, and has its own name once it is accepted.
pub(crate) struct Filled {
    part: Part,
}

impl Filled {
    pub(crate) fn path(&self) -> &Path {
        &self.part.path
    }

    pub(crate) fn store(&self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open_current_to_read(&self.part.path)
    }

    pub(crate) fn accept(mut self) -> Result<(), MoveError> {
        let to = self.part.to.clone();
        if to.exists() {
            return Err(MoveError::Occupied(to.display().to_string()));
        }
        backup::finish(&self.part.path, &to).map_err(|source| MoveError::Io { path: to, source })?;
        self.part.accepted = true;
        Ok(())
    }
}
