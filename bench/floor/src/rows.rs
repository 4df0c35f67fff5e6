//! The rows of a durable create, written to a copy of a seeded store by one thread: no HTTP, no rules, no cryptography.
//!
//! The statements and the settings are those of `crates/store`; what stands in a row is taken from one that is there.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::{Result, say};

/// Transactions after which the log has the size that tells what one of them adds.
const MEASURED: u64 = 50;

/// Records whose hashes are a row of the log's tree.
const BLOCK: i64 = 16;
/// Hashes of the tree that are in no row yet, on average.
const EDGE: usize = 32;

/// Writes for so long, and says how many rows a second became durable and how many bytes a commit wrote.
pub(crate) fn run(store: &Path, batch: u64, length: Duration) -> Result {
    let connection = open(store)?;
    let mut rows = Rows::like_one_of(&connection)?;
    let log = store.with_extension("db-wal");
    let before = std::fs::metadata(&log).map_or(0, |log| log.len());
    let (mut commits, mut log_bytes) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < length {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for _ in 0..batch {
            rows.insert(&connection)?;
        }
        rows.finish(&connection)?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        commits += 1;
        // Later on a checkpoint may have sent the log back to its start.
        if commits <= MEASURED {
            log_bytes = std::fs::metadata(&log)?.len() - before;
        }
    }
    let per_second = (commits * batch) as f64 / started.elapsed().as_secs_f64();
    say(&format!("per_second={per_second:.1} bytes={}", log_bytes / commits.clamp(1, MEASURED)));
    Ok(())
}

/// As `configure_writer` of `crates/store/src/sqlite/schema.rs` does.
fn open(store: &Path) -> Result<Connection> {
    let connection = Connection::open(store)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4096)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(connection)
}

/// The next rows, and what is the same in all of them.
struct Rows {
    account: i64,
    vault: Vec<u8>,
    description: String,
    metadata: String,
    created_by: Vec<u8>,
    created_at: i64,
    wrapped_key: Vec<u8>,
    ciphertext: Vec<u8>,
    canonical: Vec<u8>,
    sequence: i64,
    secrets: i64,
}

impl Rows {
    fn like_one_of(connection: &Connection) -> Result<Self> {
        let text = "SELECT account.number, secret.vault, secret.description, secret.metadata, secret.created_by, \
                    secret.created_at, version.wrapped_key, version.ciphertext, audit.canonical, \
                    audit_head.sequence, account.secrets \
                    FROM secret JOIN version ON version.account = secret.account AND version.secret = secret.id \
                    JOIN account ON account.number = secret.account \
                    CROSS JOIN audit_head JOIN audit ON audit.sequence = audit_head.sequence LIMIT 1";
        Ok(connection.query_row(text, [], |row| {
            Ok(Self {
                account: row.get(0)?,
                vault: row.get(1)?,
                description: row.get(2)?,
                metadata: row.get(3)?,
                created_by: row.get(4)?,
                created_at: row.get(5)?,
                wrapped_key: row.get(6)?,
                ciphertext: row.get(7)?,
                canonical: row.get(8)?,
                sequence: row.get(9)?,
                secrets: row.get(10)?,
            })
        })?)
    }

    /// One secret, its version and its audit event.
    fn insert(&mut self, connection: &Connection) -> Result {
        self.sequence += 1;
        self.secrets += 1;
        let id = id(self.sequence);
        let name = format!("rows-{}/database-url", self.sequence);
        let secret = "INSERT INTO secret (account, id, vault, name, description, metadata, created_at, created_by, \
                      updated_at, last_updated_by, revision, version) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?8, 1, 1)";
        connection.prepare_cached(secret)?.execute((
            self.account,
            id,
            &self.vault,
            name,
            &self.description,
            &self.metadata,
            self.created_at,
            &self.created_by,
        ))?;
        let version = "INSERT INTO version (account, secret, number, created_at, wrapped_key, ciphertext, created_by) \
                       VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)";
        connection.prepare_cached(version)?.execute((
            self.account,
            id,
            self.created_at,
            &self.wrapped_key,
            &self.ciphertext,
            &self.created_by,
        ))?;
        let event = "INSERT INTO audit (sequence, canonical) VALUES (?1, ?2)";
        connection.prepare_cached(event)?.execute((self.sequence, &self.canonical))?;
        if self.sequence % BLOCK == 0 {
            let block = "INSERT INTO audit_tree (id, hashes) VALUES (?1, ?2)";
            let hashes = hash(self.sequence).repeat(BLOCK as usize);
            connection.prepare_cached(block)?.execute((self.sequence / BLOCK - 1, hashes))?;
        }
        Ok(())
    }

    /// What a batch writes once.
    fn finish(&self, connection: &Connection) -> Result {
        let head = "UPDATE audit_head SET sequence = ?1, root = ?2, edge = ?3";
        let root = hash(self.sequence);
        connection.prepare_cached(head)?.execute((self.sequence, root, root.repeat(EDGE)))?;
        let tally = "UPDATE account SET secrets = ?2 WHERE number = ?1";
        connection.prepare_cached(tally)?.execute((self.account, self.secrets))?;
        Ok(())
    }
}

/// An id as new ones are: it begins with the time, in seconds, which thousands share, and goes on at random.
fn id(number: i64) -> [u8; 20] {
    let mut id = [0; 20];
    let time = 0x7000_0000 + u32::try_from(number / 8192).unwrap_or_default();
    id[..4].copy_from_slice(&time.to_be_bytes());
    id[4..].copy_from_slice(&hash(number)[..16]);
    id
}

/// Bytes that look random: SplitMix64, four times.
fn hash(number: i64) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (place, part) in (0_u64..).zip(bytes.chunks_exact_mut(8)) {
        let mut z = (number.cast_unsigned() * 4 + place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
    }
    bytes
}
