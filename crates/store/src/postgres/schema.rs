//! The database's tables, and how they come to be what this version needs.

use std::borrow::Cow;
use std::time::Duration;

use strongroom_domain::{Error, Result};

use super::connect::OptionsError;
use super::error;
use super::node::patiently;
use super::row;
use super::session::{Pool, Reader, Session};
use super::value::values;

/// What each version adds, in statements that may all be run again: see the first. A file that was released never changes.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/postgres/0001_first.sql")];

/// Tries to make tables, with pauses that double: where several nodes make them at once, some are told so in strange ways.
const TRIES: u32 = 5;
/// The first pause between them.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a migration may take, and how long others wait for it.
const MIGRATION: Duration = Duration::from_secs(600);

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be used as it is named.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The database does not answer, or refuses.
    #[error("the database at {place} cannot be used")]
    Database {
        /// Which one.
        place: String,
        /// Why.
        source: strongroom_domain::Error,
    },
    /// The database keeps texts in another encoding, in which they would have other lengths, or not all of them a place.
    #[error("the database at {place} has the encoding {found}, and a store needs UTF8")]
    Encoding {
        /// Which one.
        place: String,
        /// Its encoding.
        found: String,
    },
    /// An earlier version has written the store.
    #[error(
        "the database at {place} has version {found} of the store, and this program reads {known}: start the server on it once"
    )]
    Older {
        /// Which one.
        place: String,
        /// The store's version; 0 is none.
        found: u64,
        /// The one that is known here.
        known: u64,
    },
    /// A store was to be moved there, which was not finished.
    #[error(
        "the database at {place} holds a part of a store that is being moved there, or was not moved to the end: nobody is to use it"
    )]
    Unfinished {
        /// Which one.
        place: String,
    },
    /// A later version has written the store.
    #[error(
        "the database at {place} has version {found} of the store, and this program knows {known}: use a later one"
    )]
    Newer {
        /// Which one.
        place: String,
        /// The store's version.
        found: u64,
        /// The last one that is known here.
        known: u64,
    },
}

impl OpenError {
    /// Whether it may be well again by itself: the database cannot be reached, starts, or recovers.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Database { source, .. } if super::error::may_pass(source))
    }
}

/// The version of a store that is being moved here, and is not whole or not looked at yet.
pub(super) const UNFINISHED: u64 = 1 << 32;

/// Refuses a store that this program does not know, or that is none yet.
pub(super) fn check(place: &str, found: u64) -> Result<(), OpenError> {
    let place = place.to_owned();
    match found {
        UNFINISHED => Err(OpenError::Unfinished { place }),
        found if found > KNOWN => Err(OpenError::Newer { place, found, known: KNOWN }),
        _ => Ok(()),
    }
}

/// Refuses a database whose encoding is not UTF-8. It is chosen when a database is made, and stays.
pub(super) async fn check_encoding(place: &str, pool: &Pool) -> Result<(), OpenError> {
    let found: Result<String> = pool.query_one("SELECT current_setting('server_encoding')", &[]).await;
    let place = place.to_owned();
    match found {
        Ok(found) if found.eq_ignore_ascii_case("UTF8") => Ok(()),
        Ok(found) => Err(OpenError::Encoding { place, found }),
        Err(source) => Err(OpenError::Database { place, source }),
    }
}

/// A later version changed the tables while this process used them.
#[derive(Debug, thiserror::Error)]
#[error(
    "the tables are of version {found} of the store by now, and this program knows {known}: start a later one"
)]
pub(super) struct Outdated {
    pub(super) found: u64,
    known: u64,
}

impl Outdated {
    /// Refuses to go on with tables of a version that is not known here.
    pub(super) fn check(found: u64) -> Result<(), Self> {
        if found > KNOWN { Err(Self { found, known: KNOWN }) } else { Ok(()) }
    }
}

impl From<Outdated> for Error {
    fn from(outdated: Outdated) -> Self {
        Self::Unavailable(Box::new(outdated))
    }
}

/// The last version that is known.
pub(super) const KNOWN: u64 = MIGRATIONS.len() as u64;

/// The version that the tables have; 0 is that there are none.
pub(super) async fn version(pool: &Pool) -> Result<u64> {
    if !pool.query_one(IS_THERE, &[]).await? {
        return Ok(0);
    }
    let version =
        pool.query_opt("SELECT version FROM store_version WHERE id = 1", &[], |row| row::get(row, 0));
    Ok(version.await?.unwrap_or(0))
}

const IS_THERE: &str =
    "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass('store_version'))";

/// Brings the tables up to date, and says which version they then have. Of several nodes that come at once one does it: the row of the
/// version is locked meanwhile. Where the engine makes no tables in a transaction, several may do it at once; what they tell each other
/// of is tried again, and finds what others did.
pub(super) async fn migrate(pool: &Pool) -> Result<u64> {
    let mut tries = 1;
    loop {
        match patiently(|| attempt(pool)).await {
            Err(error) if tries < TRIES && !error::is_passing_by(&error) => {}
            outcome => return outcome,
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1)).await;
        tries += 1;
    }
}

async fn attempt(pool: &Pool) -> Result<u64> {
    make_version(pool).await?;
    let mut session = pool.session().await?;
    session.set_deadline(MIGRATION);
    session.set_unclean(true);
    let program: String = session.query_one("SELECT version()", &[]).await?;
    session.command("BEGIN").await?;
    let found: u64 =
        session.query_one("SELECT version FROM store_version WHERE id = 1 FOR UPDATE", &[]).await?;
    for (number, sql) in (1..).zip(MIGRATIONS) {
        if number > found {
            session.command(&suited(sql, &program)).await?;
        }
    }
    let version = found.max(KNOWN);
    if version > found {
        // Whoever was sooner may have gone on since.
        let update = "UPDATE store_version SET version = $1 WHERE id = 1 AND version < $1";
        session.execute(update, &values![version], error::plain).await?;
    }
    session.command("COMMIT").await?;
    session.set_unclean(false);
    Ok(version)
}

/// A migration as the engine takes it that tells of itself so. CockroachDB has no columns with the collation of bytes, and orders texts
/// by their bytes where none is named; all others are told, since theirs may be a language's.
fn suited<'a>(sql: &'a str, program: &str) -> Cow<'a, str> {
    if program.starts_with("CockroachDB") { sql.replace(COLLATION, "").into() } else { sql.into() }
}

const COLLATION: &str = " COLLATE \"C\"";

async fn make_version(pool: &Pool) -> Result<()> {
    let session: Session = pool.session().await?;
    if !session.query_one(IS_THERE, &[]).await? {
        let table =
            "CREATE TABLE IF NOT EXISTS store_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)";
        session.command(table).await?;
    }
    // Whoever made the table may not have come to its row yet.
    session.command("INSERT INTO store_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_name_the_order_of_bytes_where_the_engine_can_and_need_be_told() {
        for sql in MIGRATIONS {
            let texts = sql.matches(" TEXT").count();
            for program in [
                "PostgreSQL 15.14 (Debian 15.14-0+deb12u1) on x86_64-pc-linux-gnu",
                "PostgreSQL 15.12-YB-2025.1.0.0-b0 on x86_64-pc-linux-gnu",
            ] {
                assert_eq!(suited(sql, program), sql);
                assert_eq!(suited(sql, program).matches(" TEXT COLLATE \"C\"").count(), texts);
            }
            let told = suited(sql, "CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu, built 2024/05/15)");
            assert!(!told.contains("COLLATE"), "{told}");
            assert_eq!(told.matches(" TEXT").count(), texts);
            assert_eq!(told.replace(" TEXT", " TEXT COLLATE \"C\""), sql, "nothing else is left out");
        }
    }
}
