//! The audit log and its tree.

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension};
use strongroom_domain::Digest;
use strongroom_domain::audit::tree::{BLOCK, Block, Tree};
use strongroom_domain::audit::{EventQuery, Head, Order, Record};
use strongroom_domain::page::Listing;
use strongroom_domain::{Error, Result};

use super::error::{self, Corrupt};
use super::writer::Step;
use crate::audit_tree::block_id;

pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    connection
        .prepare_cached("SELECT sequence, root FROM audit_head WHERE id = 1")?
        .query_row([], |row| Ok(Head { sequence: row.get(0)?, root: row.get(1)? }))
}

/// The tree's right edge, from which it grows.
pub(super) fn tree(connection: &Connection) -> rusqlite::Result<Tree> {
    connection.prepare_cached("SELECT sequence, edge FROM audit_head WHERE id = 1")?.query_row([], |row| {
        let edge = row.get_ref(1)?.as_blob()?;
        Tree::from_bytes(row.get(0)?, edge).map_err(|error| FromSqlError::Other(Box::new(error)).into())
    })
}

pub(super) fn list(connection: &Connection, after: u64, limit: usize) -> rusqlite::Result<Vec<Record>> {
    connection
        .prepare_cached(
            "SELECT sequence, canonical FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?
        .query_map((after, limit), |row| Ok(Record { sequence: row.get(0)?, canonical: row.get(1)? }))?
        .collect()
}

/// A page of records. What a filter asks about stands in no column: each record is read and looked at.
pub(super) fn page(connection: &Connection, query: &EventQuery) -> rusqlite::Result<Listing<Record>> {
    let (sql, start) = match query.order {
        Order::NewestFirst => (
            "SELECT sequence, canonical FROM audit WHERE sequence < ?1 AND sequence > 0 ORDER BY sequence DESC",
            i64::MAX,
        ),
        Order::OldestFirst => {
            ("SELECT sequence, canonical FROM audit WHERE sequence > ?1 ORDER BY sequence", 0)
        }
    };
    // What is beyond every record is where the list starts, or ends.
    let past = query.past.map_or(start, |past| i64::try_from(past).unwrap_or(i64::MAX));
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([past])?;
    let mut found = Vec::new();
    while found.len() <= query.limit.get()
        && let Some(row) = rows.next()?
    {
        let record = Record { sequence: row.get(0)?, canonical: row.get(1)? };
        if query.passes(&record) {
            found.push(record);
        }
    }
    Ok(Listing::from_lookahead(found, query.limit))
}

pub(super) fn insert_block(connection: &Connection, block: &Block<'_>) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO audit_tree (id, hashes) VALUES (?1, ?2)")?
        .execute((block_id(block.level, block.number), block.hashes.as_flattened()))
        .map(drop)
}

pub(super) fn set_head(connection: &Connection, tree: &Tree) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE audit_head SET sequence = ?1, root = ?2, edge = ?3")?
        .execute((tree.size(), tree.root(), tree.to_bytes()))
        .map(drop)
}

/// Up to which record the log is pruned.
pub(super) fn pruned(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT pruned_upto FROM audit_head WHERE id = 1")?
        .query_row([], |row| row.get(0))
}

/// The record that tells up to where the log is pruned.
pub(super) fn pruned_by(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT pruned_by FROM audit_head WHERE id = 1")?
        .query_row([], |row| row.get(0))
}

/// Deletes the records after one up to another, and notes that, and that the next record tells of it. Their hashes stay.
pub(super) fn prune(step: &mut Step<'_>, from: u64, upto: u64) -> Result<()> {
    let head = head(step.connection).map_err(error::plain)?.sequence;
    if pruned(step.connection).map_err(error::plain)? != from || upto > head {
        return Err(Error::Stale);
    }
    // The last uses of secrets are taken from the log after a crash.
    step.settle_resolved(upto).map_err(error::plain)?;
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM audit WHERE sequence > ?1 AND sequence <= ?2")
        .and_then(|mut delete| delete.execute((from, upto)))
        .map_err(error::plain)?;
    step.connection
        .prepare_cached("UPDATE audit_head SET pruned_upto = ?1, pruned_by = ?2")
        .and_then(|mut update| update.execute([upto, step.next_record()]))
        .map_err(error::plain)?;
    if deleted as u64 == upto - from { Ok(()) } else { Err(Error::Internal(Box::new(Corrupt("audit log")))) }
}

/// Hashes of a level from an index on, as far as they go without a gap.
pub(super) fn hashes(
    connection: &Connection,
    level: u32,
    first: u64,
    count: u64,
) -> rusqlite::Result<Vec<Digest>> {
    // A block that fills up goes from the edge to its table: both are read as of one moment.
    let moment = connection.unchecked_transaction()?;
    let start = first - first % BLOCK as u64;
    let mut found = blocks(&moment, level, start, first + count)?;
    let end = start + found.len() as u64;
    if end < first + count {
        let tree = tree(&moment)?;
        if tree.edge_start(level) == end {
            found.extend_from_slice(tree.edge(level));
        }
    }
    Ok(found.into_iter().skip((first - start) as usize).take(count as usize).collect())
}

/// Those in full blocks, from the start of a block.
fn blocks(connection: &Connection, level: u32, start: u64, end: u64) -> rusqlite::Result<Vec<Digest>> {
    let mut select = connection.prepare_cached("SELECT hashes FROM audit_tree WHERE id = ?1")?;
    let mut found = Vec::new();
    for number in start / BLOCK as u64..end.div_ceil(BLOCK as u64) {
        let block: Option<Vec<u8>> =
            select.query_row([block_id(level, number)], |row| row.get(0)).optional()?;
        let Some(block) = block else { break };
        let (hashes, rest) = block.as_chunks();
        if hashes.len() != BLOCK || !rest.is_empty() {
            return Err(FromSqlError::Other(Box::new(Corrupt("block of hashes"))).into());
        }
        found.extend_from_slice(hashes);
    }
    Ok(found)
}
