//! Moving a store: all rows of one, as they are at one moment, into another that is empty, from a file to a database or back.
//!
//! The new store is none until it was looked at and accepted: a file has another name, a database is marked, and no server starts
//! on it. What was copied is read back, and compared with what was read.

mod row;
mod tables;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_crypto::{SealedValue, WrappedKey};
use strongroom_domain::ids::{Ksuid, SecretId, VaultId};
use strongroom_domain::store::Store;
use strongroom_domain::{Error, Result};

use crate::{postgres, sqlite};
use row::Tally;
pub(crate) use row::{Cell, Row};
use tables::{DELETED_SECRET, SECRET, VERSION};
pub(crate) use tables::{Kind, RESOLVED, TABLES, Table, quoted};

/// Rows that are read and written at a time.
pub(crate) const PAGE: usize = 256;

/// Why a store cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] sqlite::OpenError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] postgres::OpenError),
    /// There is something already where the store is to be put.
    #[error("there is a store in {0} already")]
    Occupied(String),
    /// Somebody else is moving a store there.
    #[error("another copy into {0} is under way")]
    UnderWay(String),
    /// The old store cannot be read.
    #[error("it cannot be read")]
    Read(#[source] Error),
    /// The new store cannot be written.
    #[error("it cannot be written")]
    Write(#[source] Error),
    /// The file of the new store cannot be made.
    #[error("{path} cannot be written")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was read back is not what was copied.
    #[error("the copy of the table {table} differs: {copied} rows were read, {found} are there")]
    Differs {
        /// The table.
        table: &'static str,
        /// Rows of the old store.
        copied: u64,
        /// Rows of the new one.
        found: u64,
    },
}

/// A store that is read as it is at one moment, in use or not.
pub struct Source(Moment);

/// What rows are read from.
pub(crate) enum Moment {
    File(sqlite::Snapshot),
    Database(postgres::Snapshot),
}

impl Moment {
    /// A page of a table, after a row. One that is not full is the last.
    async fn page(&mut self, table: &Table, after: Option<&Row>) -> Result<Vec<Row>> {
        match self {
            Self::File(snapshot) => snapshot.page(table, after),
            Self::Database(snapshot) => snapshot.page(table, after).await,
        }
    }
}

impl Source {
    /// The store in a file.
    ///
    /// # Errors
    /// [`MoveError::File`], [`MoveError::Read`].
    pub fn file(path: &Path) -> Result<Self, MoveError> {
        Ok(Self(Moment::File(sqlite::Snapshot::take(path)?)))
    }

    /// The store in a database.
    ///
    /// # Errors
    /// [`MoveError::Database`], [`MoveError::Read`].
    pub async fn database(options: &postgres::Options) -> Result<Self, MoveError> {
        let store = postgres::PostgresStore::open_current_to_read(options).await?;
        let snapshot = postgres::Snapshot::take(Arc::new(store)).await.map_err(MoveError::Read)?;
        Ok(Self(Moment::Database(snapshot)))
    }

    /// Whether the store was written since the moment that is read; from then on it is read no more.
    ///
    /// # Errors
    /// [`MoveError::Read`].
    pub async fn was_written(self) -> Result<bool, MoveError> {
        let written = match self.0 {
            Moment::File(snapshot) => snapshot.was_written(),
            Moment::Database(snapshot) => snapshot.was_written().await,
        };
        written.map_err(MoveError::Read)
    }
}

/// A store that is being made, and is none yet.
pub struct Target(Filling);

enum Filling {
    File(sqlite::Filling),
    Database(postgres::Filling),
}

impl Target {
    /// A store in a file that does not exist yet.
    ///
    /// # Errors
    /// [`MoveError`]: `Occupied`, `UnderWay`, `File`, `Io`, `Write`.
    pub fn file(path: &Path) -> Result<Self, MoveError> {
        Ok(Self(Filling::File(sqlite::Filling::begin(path)?)))
    }

    /// A store in a database that has none yet, or what an earlier copy left that was not finished.
    ///
    /// # Errors
    /// [`MoveError`]: `Occupied`, `UnderWay`, `Database`, `Write`.
    pub async fn database(options: &postgres::Options) -> Result<Self, MoveError> {
        Ok(Self(Filling::Database(postgres::Filling::begin(options).await?)))
    }

    /// Copies all rows; `progress` is told how many are copied. They are all on disk when this returns.
    ///
    /// # Errors
    /// [`MoveError::Read`], [`MoveError::Write`].
    pub async fn fill(
        mut self,
        source: &mut Source,
        mut progress: impl FnMut(u64),
    ) -> Result<Filled, MoveError> {
        let (mut tallies, mut copied) = (Vec::new(), 0);
        for table in TABLES {
            let (mut tally, mut after) = (Tally::default(), None);
            loop {
                let rows = source.0.page(table, after.as_ref()).await.map_err(MoveError::Read)?;
                rows.iter().for_each(|row| tally.add(row));
                self.write(table, &rows).await.map_err(MoveError::Write)?;
                copied += rows.len() as u64;
                progress(copied);
                after = rows.last().cloned();
                if rows.len() < PAGE {
                    break;
                }
            }
            tallies.push(tally);
        }
        let filling = match self.0 {
            Filling::File(filling) => FilledPlace::File(filling.end()?),
            Filling::Database(filling) => FilledPlace::Database(filling.end().await?),
        };
        Ok(Filled { place: filling, tallies })
    }

    async fn write(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        match &mut self.0 {
            Filling::File(filling) => filling.write(table, rows),
            Filling::Database(filling) => filling.write(table, rows).await,
        }
    }
}

/// A store with all rows in it, which has to be accepted to be one.
pub struct Filled {
    place: FilledPlace,
    tallies: Vec<Tally>,
}

enum FilledPlace {
    File(sqlite::Filled),
    Database(postgres::Filled),
}

/// A sealed value in a store, and where it belongs.
pub struct Value {
    /// The secret, deleted or not.
    pub secret: SecretId,
    /// Its vault; `None` if there is no such secret.
    pub vault: Option<VaultId>,
    /// The version's number.
    pub version: u32,
    /// The value.
    pub sealed: SealedValue,
}

impl Filled {
    /// The store, to be looked at.
    ///
    /// # Errors
    /// [`MoveError::File`].
    pub fn store(&self) -> Result<Arc<dyn Store>, MoveError> {
        match &self.place {
            FilledPlace::File(filled) => Ok(Arc::new(filled.store()?)),
            FilledPlace::Database(filled) => Ok(filled.store()),
        }
    }

    /// Reads everything back and compares it with what was copied, and gives every value to `look`. Says how many rows there are.
    ///
    /// # Errors
    /// [`MoveError`]: `Differs`, `File`, `Read`.
    pub async fn read_back(&self, mut look: impl FnMut(&Value)) -> Result<u64, MoveError> {
        let mut moment = match &self.place {
            FilledPlace::File(filled) => Moment::File(sqlite::Snapshot::take(filled.path())?),
            FilledPlace::Database(filled) => {
                Moment::Database(filled.snapshot().await.map_err(MoveError::Read)?)
            }
        };
        let (mut vaults, mut all) = (HashMap::new(), 0);
        for (table, copied) in TABLES.iter().zip(&self.tallies) {
            let (mut tally, mut after) = (Tally::default(), None);
            loop {
                let rows = moment.page(table, after.as_ref()).await.map_err(MoveError::Read)?;
                for row in &rows {
                    tally.add(row);
                    look_at(table, row, &mut vaults, &mut look)
                        .ok_or_else(|| MoveError::Read(corrupt(table)))?;
                }
                after = rows.last().cloned();
                if rows.len() < PAGE {
                    break;
                }
            }
            if tally != *copied {
                return Err(MoveError::Differs { table: table.name, copied: copied.rows, found: tally.rows });
            }
            all += tally.rows;
        }
        Ok(all)
    }

    /// Makes a store of it, on which a server may start.
    ///
    /// # Errors
    /// [`MoveError::Write`], [`MoveError::Io`], [`MoveError::Occupied`].
    pub async fn accept(self) -> Result<(), MoveError> {
        match self.place {
            FilledPlace::File(filled) => filled.accept(),
            FilledPlace::Database(filled) => filled.accept().await.map_err(MoveError::Write),
        }
    }
}

/// Notes which vault a secret belongs to, and shows a value. `None` if the row cannot be that.
fn look_at(
    table: &Table,
    row: &Row,
    vaults: &mut HashMap<SecretId, VaultId>,
    look: &mut impl FnMut(&Value),
) -> Option<()> {
    let id = |index: usize| Some(Ksuid::from_bytes(row.get(index)?.bytes()?.try_into().ok()?));
    match table.name {
        SECRET | DELETED_SECRET => drop(vaults.insert(SecretId::new(id(1)?), VaultId::new(id(2)?))),
        VERSION => {
            let secret = SecretId::new(id(1)?);
            let bytes = |index: usize| Some(row.get(index)?.bytes()?.to_vec());
            let sealed =
                SealedValue { wrapped_key: WrappedKey::from_bytes(bytes(4)?), ciphertext: bytes(5)? };
            let version = u32::try_from(row.get(2)?.int()?).ok()?;
            look(&Value { secret, vault: vaults.get(&secret).copied(), version, sealed });
        }
        _ => {}
    }
    Some(())
}

/// A row holds what the schema does not allow.
#[derive(Debug, thiserror::Error)]
#[error("a row of the table {0} holds what it cannot hold")]
struct Corrupt(&'static str);

pub(crate) fn corrupt(table: &Table) -> Error {
    Error::Internal(Box::new(Corrupt(table.name)))
}
