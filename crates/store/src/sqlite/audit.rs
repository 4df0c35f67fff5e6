//! The audit log.

use rusqlite::Connection;
use strongroom_domain::audit::{Head, Record};

pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    connection
        .prepare_cached("SELECT sequence, hash FROM audit_head WHERE id = 1")?
        .query_row([], |row| Ok(Head { sequence: row.get(0)?, hash: row.get(1)? }))
}

pub(super) fn list(connection: &Connection, after: u64, limit: usize) -> rusqlite::Result<Vec<Record>> {
    connection
        .prepare_cached(
            "SELECT sequence, hash, canonical FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?
        .query_map((after, limit), |row| {
            Ok(Record { sequence: row.get(0)?, hash: row.get(1)?, canonical: row.get(2)? })
        })?
        .collect()
}
