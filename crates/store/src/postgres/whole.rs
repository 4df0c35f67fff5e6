//! A whole store, read at one moment or filled: for moving it to another place.

use std::sync::Arc;

use strongroom_domain::{Error, Result};
use tokio_postgres::types::{ToSql, Type};

use super::PostgresStore;
use super::connect::Options;
use super::error::plain;
use super::row::{get, get_opt};
use super::schema::{KNOWN, OpenError, UNFINISHED};
use super::session::{Reader, Session};
use super::statistics;
use super::value::{Value, values};
use crate::migrate::{Cell, Kind, MoveError, PAGE, Row, TABLES, Table, corrupt, quoted};

/// A store as it is at one moment, whatever is written to it meanwhile.
pub(crate) struct Snapshot {
    store: Arc<PostgresStore>,
    session: Session,
    commits: u64,
}

/// While the other side is read or written, or what was copied is looked at, nothing is asked on a connection, for however long that
/// takes; a server may be set to end such transactions.
const UNHURRIED: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

const COMMITS: &str = "SELECT commits FROM audit_head WHERE id = 1";

impl Snapshot {
    /// Begins to read.
    pub(crate) async fn take(store: Arc<PostgresStore>) -> Result<Self> {
        let session = store.pool().session().await?;
        session.set_unclean(true);
        session.command(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {UNHURRIED}")).await?;
        // The moment is that of the first reading.
        let commits = session.query_one(COMMITS, &[]).await?;
        Ok(Self { store, session, commits })
    }

    /// A page of a table, after a row. One that is not full is the last.
    pub(crate) async fn page(&self, table: &Table, after: Option<&Row>) -> Result<Vec<Row>> {
        let key = after.map_or(&[][..], |row| &row[..table.key]);
        let key: Option<Vec<Value<'_>>> = key.iter().map(key_value).collect();
        let key = key.ok_or_else(|| corrupt(table))?;
        let found = self.session.walk(&table.page(after.is_some(), PAGE), &key).await?;
        let view = |row: &tokio_postgres::Row| {
            let cells = table.columns.iter().enumerate();
            cells.map(|(index, (_, kind))| cell(row, index, *kind)).collect::<Result<Row>>()
        };
        found.iter().map(view).collect()
    }

    /// Whether the store was written since; from then on nothing more is read of that moment.
    pub(crate) async fn was_written(self) -> Result<bool> {
        drop(self.session);
        Ok(self.store.pool().query_one::<u64>(COMMITS, &[]).await? != self.commits)
    }
}

fn key_value(cell: &Cell) -> Option<Value<'_>> {
    match cell {
        Cell::Int(value) => Some((*value).into()),
        Cell::Bytes(bytes) => Some(bytes.into()),
        Cell::Null | Cell::Text(_) => None,
    }
}

fn cell(row: &tokio_postgres::Row, index: usize, kind: Kind) -> Result<Cell> {
    let cell = match kind {
        Kind::Int => get_opt(row, index)?.map(Cell::Int),
        Kind::Bool => get_opt::<bool>(row, index)?.map(|value| Cell::Int(value.into())),
        Kind::Text => get_opt(row, index)?.map(Cell::Text),
        Kind::Bytes => get_opt(row, index)?.map(Cell::Bytes),
    };
    Ok(cell.unwrap_or(Cell::Null))
}

/// A store that is being filled, in one transaction. Whoever starts on it meanwhile waits for the end of it.
pub(crate) struct Filling {
    store: Arc<PostgresStore>,
    session: Session,
}

impl Filling {
    /// Begins one where there is no store, or in the place of what an earlier one left that was not accepted.
    pub(crate) async fn begin(options: &Options) -> Result<Self, MoveError> {
        let store = PostgresStore::connect_as_it_is(options).await?;
        if store.version > KNOWN && store.version != UNFINISHED {
            return Err(OpenError::Newer { place: store.place, found: store.version, known: KNOWN }.into());
        }
        if store.version < KNOWN {
            store.migrate().await?;
        }
        let store = Arc::new(store);
        // Marked before anything is written, so that no server begins with it meanwhile.
        let (session, version) = begin(&store).await?;
        if !make_empty(&session, version).await.map_err(MoveError::Write)? {
            return Err(MoveError::Occupied(store.place.clone()));
        }
        set_version(&session, UNFINISHED).await.map_err(MoveError::Write)?;
        commit(&session).await.map_err(MoveError::Write)?;
        let session = begin_again(&store).await?;
        if !is_empty(&session).await.map_err(MoveError::Write)? {
            return Err(MoveError::Occupied(store.place.clone()));
        }
        Ok(Self { store, session })
    }

    /// Writes rows.
    pub(crate) async fn write(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if rows.iter().flatten().any(|cell| matches!(cell, Cell::Text(text) if text.contains('\0'))) {
            return Err(Error::Internal(Box::new(Nul(table.name))));
        }
        let columns = table.columns.iter().enumerate();
        let columns: Option<Vec<Column>> =
            columns.map(|(index, (_, kind))| Column::of(rows, index, *kind)).collect();
        let columns = columns.ok_or_else(|| corrupt(table))?;
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = columns.iter().map(Column::typed).collect();
        self.session.execute_once(&statement(table), &typed).await.map(drop)
    }

    /// Commits all of it.
    pub(crate) async fn end(self) -> Result<Filled, MoveError> {
        let Self { store, session } = self;
        commit(&session).await.map_err(MoveError::Write)?;
        statistics::renew(store.pool()).await.map_err(MoveError::Write)?;
        // Held while it is looked at too, so that no other begins anew meanwhile.
        let session = begin_again(&store).await?;
        Ok(Filled { store, session })
    }
}

/// Begins a transaction that holds the row of the version, and says which that is.
async fn begin(store: &PostgresStore) -> Result<(Session, u64), MoveError> {
    const HOLD: &str = "SELECT version FROM store_version WHERE id = 1 FOR UPDATE SKIP LOCKED";
    let begun = async {
        let session = store.pool().session().await?;
        session.set_unclean(true);
        session.command(&format!("BEGIN; {UNHURRIED}")).await?;
        let version = session.query_opt(HOLD, &[], |row| get(row, 0)).await?;
        Ok((session, version))
    };
    let (session, version) = begun.await.map_err(MoveError::Write)?;
    // The row is there: if it is not found, another holds it.
    Ok((session, version.ok_or_else(|| MoveError::UnderWay(store.place.clone()))?))
}

/// The same for the next part of a move.
async fn begin_again(store: &PostgresStore) -> Result<Session, MoveError> {
    match begin(store).await? {
        (session, UNFINISHED) => Ok(session),
        _ => Err(MoveError::UnderWay(store.place.clone())),
    }
}

async fn commit(session: &Session) -> Result<()> {
    session.command("COMMIT").await?;
    session.set_unclean(false);
    Ok(())
}

async fn set_version(session: &Session, version: u64) -> Result<()> {
    let sql = "UPDATE store_version SET version = $1 WHERE id = 1";
    session.execute(sql, &values![version], plain).await.map(drop)
}

/// Sees to it that there is nothing: takes away what was left unfinished. Says whether it is so.
async fn make_empty(session: &Session, version: u64) -> Result<bool> {
    if version != UNFINISHED {
        return Ok(version == KNOWN && is_empty(session).await?);
    }
    let tables = TABLES.iter().filter(|table| !table.one_row).map(|table| quoted(table.name));
    session.command(&format!("TRUNCATE {}", tables.collect::<Vec<_>>().join(", "))).await?;
    session.execute("UPDATE audit_head SET sequence = 0", &[], plain).await?;
    Ok(true)
}

/// Whether there is no store. Who makes an account waits for the row that is locked here, and then finds that there is one.
async fn is_empty(session: &Session) -> Result<bool> {
    let records: u64 =
        session.query_one("SELECT sequence FROM audit_head WHERE id = 1 FOR UPDATE", &[]).await?;
    let account: bool = session.query_one("SELECT EXISTS (SELECT 1 FROM account)", &[]).await?;
    Ok(records == 0 && !account)
}

/// A file may hold what a database cannot: an early version took it.
#[derive(Debug, thiserror::Error)]
#[error(
    "a row of the table {0} has a text with a NUL, which PostgreSQL cannot keep: change it in the old store first"
)]
struct Nul(&'static str);

/// The statement that writes rows, each column an array.
fn statement(table: &Table) -> String {
    let arrays = table.columns.iter().zip(1..).map(|((_, kind), number)| {
        let kind = match kind {
            Kind::Int => "BIGINT",
            Kind::Bool => "BOOLEAN",
            Kind::Text => "TEXT",
            Kind::Bytes => "BYTEA",
        };
        format!("${number}::{kind}[]")
    });
    let (name, names, arrays) = (quoted(table.name), table.names(), arrays.collect::<Vec<_>>().join(", "));
    if !table.one_row {
        return format!("INSERT INTO {name} ({names}) SELECT * FROM unnest({arrays})");
    }
    // Others may wait for the row, which must then be there.
    let set = table.columns[table.key..].iter().map(|(name, _)| format!("{0} = new.{0}", quoted(name)));
    let set = set.collect::<Vec<_>>().join(", ");
    format!("UPDATE {name} SET {set} FROM unnest({arrays}) AS new ({names}) WHERE {name}.id = new.id")
}

/// A column of several rows.
enum Column {
    Ints(Vec<Option<i64>>),
    Bools(Vec<Option<bool>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Column {
    /// `None` where a row holds something else there.
    fn of(rows: &[Row], index: usize, kind: Kind) -> Option<Self> {
        fn all<T>(rows: &[Row], index: usize, view: impl Fn(&Cell) -> Option<T>) -> Option<Vec<Option<T>>> {
            let cell = |row: &Row| match row.get(index)? {
                Cell::Null => Some(None),
                cell => view(cell).map(Some),
            };
            rows.iter().map(cell).collect()
        }
        let text = |cell: &Cell| if let Cell::Text(text) = cell { Some(text.clone()) } else { None };
        Some(match kind {
            Kind::Int => Self::Ints(all(rows, index, Cell::int)?),
            Kind::Bool => Self::Bools(all(rows, index, |cell| cell.int().map(|value| value != 0))?),
            Kind::Text => Self::Texts(all(rows, index, text)?),
            Kind::Bytes => Self::Bytes(all(rows, index, |cell| cell.bytes().map(<[u8]>::to_vec))?),
        })
    }

    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Ints(values) => (values, Type::INT8_ARRAY),
            Self::Bools(values) => (values, Type::BOOL_ARRAY),
            Self::Texts(values) => (values, Type::TEXT_ARRAY),
            Self::Bytes(values) => (values, Type::BYTEA_ARRAY),
        }
    }
}

/// A store that is filled, and marked until it is accepted.
pub(crate) struct Filled {
    store: Arc<PostgresStore>,
    session: Session,
}

impl Filled {
    pub(crate) fn store(&self) -> Arc<PostgresStore> {
        self.store.clone()
    }

    pub(crate) async fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::take(self.store.clone()).await
    }

    /// Takes the mark away.
    pub(crate) async fn accept(self) -> Result<()> {
        set_version(&self.session, KNOWN).await?;
        commit(&self.session).await
    }
}
