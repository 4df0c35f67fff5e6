//! The audit log's rows: its records, the blocks of its tree, and where it ends.

use std::borrow::Cow;
use std::time::Instant;

use strongroom_domain::audit::tree::{BLOCK, Tree};
use strongroom_domain::audit::{Entry, EventQuery, Head, Order, Record};
use strongroom_domain::page::Listing;
use strongroom_domain::{Digest, Error, Result};
use tokio_postgres::Row;

use super::error::away;
use super::row::{corrupt, get};
use super::session::{Pool, Reader, WALK_DEADLINE};
use super::transaction::Transaction;
use super::value::{Value, values};
use crate::audit_tree::block_id;

/// Records that are read at a time where a filter looks at each.
const WALKED: usize = 1000;

pub(super) const INSERT_RECORDS: &str =
    "INSERT INTO audit (sequence, canonical) SELECT * FROM unnest($1::BIGINT[], $2::BYTEA[])";
pub(super) const INSERT_BLOCKS: &str =
    "INSERT INTO audit_tree (id, hashes) SELECT * FROM unnest($1::BIGINT[], $2::BYTEA[])";
pub(super) const SET_HEAD: &str =
    "UPDATE audit_head SET sequence = $1, root = $2, edge = $3, commits = $4, untold = $5 WHERE id = 1";

/// The values of [`INSERT_RECORDS`] for records after a number.
pub(super) fn record_values<'a>(after: u64, entries: &[&'a Entry]) -> [Value<'a>; 2] {
    let numbers = (after + 1..).take(entries.len()).map(u64::cast_signed).collect();
    let canonical = entries.iter().map(|entry| Cow::Borrowed(&*entry.canonical)).collect();
    [Value::Ints(numbers), Value::ManyBytes(canonical)]
}

/// The values of [`INSERT_BLOCKS`].
pub(super) fn block_values(blocks: &[(i64, Vec<u8>)]) -> [Value<'_>; 2] {
    let ids = blocks.iter().map(|(id, _)| *id).collect();
    [Value::Ints(ids), Value::ManyBytes(blocks.iter().map(|(_, hashes)| Cow::Borrowed(&**hashes)).collect())]
}

pub(super) async fn head(pool: &Pool) -> Result<Head> {
    let rows = pool.query("SELECT sequence, root FROM audit_head WHERE id = 1", &[]).await?;
    let row = rows.first().ok_or_else(|| corrupt("audit log"))?;
    Ok(Head { sequence: get(row, 0)?, root: get(row, 1)? })
}

/// A number that stands beside the log's end.
pub(super) async fn pruned(pool: &Pool) -> Result<u64> {
    pool.query_one("SELECT pruned_upto FROM audit_head WHERE id = 1", &[]).await
}

/// The record that tells up to where the log is pruned.
pub(super) async fn pruned_by(pool: &Pool) -> Result<u64> {
    pool.query_one("SELECT pruned_by FROM audit_head WHERE id = 1", &[]).await
}

fn record(row: &Row) -> Result<Record> {
    Ok(Record { sequence: get(row, 0)?, canonical: get(row, 1)? })
}

pub(super) async fn list(pool: &Pool, after: u64, limit: usize) -> Result<Vec<Record>> {
    let sql = "SELECT sequence, canonical FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    pool.query(sql, &values![after, limit]).await?.iter().map(record).collect()
}

/// Those records, as far as they are there, in order.
pub(super) async fn those(pool: &Pool, numbers: impl Iterator<Item = u64>) -> Result<Vec<Record>> {
    let sql = "SELECT sequence, canonical FROM audit WHERE sequence = ANY($1::BIGINT[]) ORDER BY sequence";
    let numbers = Value::Ints(numbers.map(u64::cast_signed).collect());
    pool.query(sql, &[numbers]).await?.iter().map(record).collect()
}

/// A page of records. What a filter asks about stands in no column: each record is read and looked at.
pub(super) async fn page(pool: &Pool, query: &EventQuery) -> Result<Listing<Record>> {
    const NEWEST: &str = "SELECT sequence, canonical FROM audit WHERE sequence < $1 AND sequence > 0 \
                          ORDER BY sequence DESC LIMIT $2";
    const OLDEST: &str =
        "SELECT sequence, canonical FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    let (sql, start) = match query.order {
        Order::NewestFirst => (NEWEST, i64::MAX.cast_unsigned()),
        Order::OldestFirst => (OLDEST, 0),
    };
    let late = Instant::now() + WALK_DEADLINE;
    let _turn = if query.filter.is_some() { Some(pool.turn(late).await?) } else { None };
    let wanted = query.limit.get() + 1;
    let step = if query.filter.is_some() { WALKED } else { wanted };
    let mut past = query.past.unwrap_or(start);
    let mut found = Vec::new();
    loop {
        let rows = pool.query(sql, &values![past, step]).await?;
        for row in &rows {
            let record = record(row)?;
            past = record.sequence;
            if query.passes(&record) {
                found.push(record);
            }
            if found.len() == wanted {
                return Ok(Listing::from_lookahead(found, query.limit));
            }
        }
        if rows.len() < step {
            return Ok(Listing::from_lookahead(found, query.limit));
        }
        if Instant::now() > late {
            return Err(away("the audit log could not be gone through in time"));
        }
    }
}

/// Deletes the records after one up to another, and notes that, and that the next record tells of it. Their hashes stay.
pub(super) async fn prune(transaction: &Transaction, from: u64, upto: u64) -> Result<()> {
    if transaction.log.pruned_upto != from || upto > transaction.log_size() {
        return Err(Error::Stale);
    }
    let sql = "DELETE FROM audit WHERE sequence > $1 AND sequence <= $2";
    let deleted = transaction.execute(sql, &values![from, upto]).await?;
    let sql = "UPDATE audit_head SET pruned_upto = $1, pruned_by = $2 WHERE id = 1";
    transaction.execute(sql, &values![upto, transaction.log_size() + 1]).await?;
    if deleted == upto - from { Ok(()) } else { Err(corrupt("audit log")) }
}

/// Hashes of a level from an index on, as far as they go without a gap.
pub(super) async fn hashes(pool: &Pool, level: u32, first: u64, count: u64) -> Result<Vec<Digest>> {
    // The edge is read first: a block that fills up meanwhile is then in its table, and nothing is missing between them.
    let rows = pool.query("SELECT sequence, edge FROM audit_head WHERE id = 1", &[]).await?;
    let row = rows.first().ok_or_else(|| corrupt("audit log"))?;
    let edge: Vec<u8> = get(row, 1)?;
    let tree = Tree::from_bytes(get(row, 0)?, &edge).map_err(|error| Error::Internal(Box::new(error)))?;
    let start = first - first % BLOCK as u64;
    let mut found = blocks(pool, level, start, first.saturating_add(count)).await?;
    let end = start + found.len() as u64;
    if end < first.saturating_add(count) && tree.edge_start(level) == end {
        found.extend_from_slice(tree.edge(level));
    }
    Ok(found.into_iter().skip((first - start) as usize).take(count as usize).collect())
}

/// Those in full blocks, from the start of a block.
async fn blocks(pool: &Pool, level: u32, start: u64, end: u64) -> Result<Vec<Digest>> {
    let sql = "SELECT id, hashes FROM audit_tree WHERE id >= $1 AND id < $2 ORDER BY id";
    let (from, upto) = (start / BLOCK as u64, end.div_ceil(BLOCK as u64));
    // The level below ends where this one begins, so that no block of it is read.
    let ids = values![block_id(level, from), block_id(level, upto)];
    let mut found = Vec::new();
    for (number, row) in (from..).zip(&pool.query(sql, &ids).await?) {
        if get::<i64>(row, 0)? != block_id(level, number) {
            break;
        }
        let block: Vec<u8> = get(row, 1)?;
        let (hashes, rest) = block.as_chunks();
        if hashes.len() != BLOCK || !rest.is_empty() {
            return Err(corrupt("block of hashes"));
        }
        found.extend_from_slice(hashes);
    }
    Ok(found)
}
