//! What webhooks were not told yet, or never will be.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use strongroom_domain::Result;
use strongroom_domain::ids::{EventId, WebhookId};
use strongroom_domain::page::{Listing, PageLimit};
use strongroom_domain::webhook::{Delivery, DeliveryCounts, DeliveryState, Settled};

use super::error;
use super::row::get;
use super::writer::Step;

/// A webhook, by its account's number and its id.
type Of = (i64, WebhookId);

const SELECT: &str = "SELECT sequence, event, kind, body, dead, attempts, due, error FROM webhook_delivery WHERE account = ?1 AND webhook = ?2";

fn view(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        sequence: row.get(0)?,
        event: EventId::new(get(row, 1)?),
        kind: row.get(2)?,
        body: row.get(3)?,
        state: if row.get(4)? { DeliveryState::Dead } else { DeliveryState::Waiting },
        attempts: row.get(5)?,
        due: get(row, 6)?,
        error: row.get(7)?,
    })
}

pub(super) fn next(
    connection: &Connection,
    account: i64,
    webhook: WebhookId,
    limit: usize,
) -> rusqlite::Result<Vec<Delivery>> {
    connection
        .prepare_cached(&format!("{SELECT} AND dead = 0 ORDER BY due, sequence LIMIT ?3"))?
        .query_map(params![account, webhook.ksuid().as_bytes(), limit], view)?
        .collect()
}

pub(super) fn list(
    connection: &Connection,
    (account, webhook): Of,
    state: Option<DeliveryState>,
    before: Option<u64>,
    limit: PageLimit,
) -> rusqlite::Result<Listing<Delivery>> {
    let dead = state.map(|state| state == DeliveryState::Dead);
    // What is beyond every record is where the list starts.
    let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let items = connection
        .prepare_cached(&format!(
            "{SELECT} AND sequence < ?3 AND (?4 IS NULL OR dead = ?4) ORDER BY sequence DESC LIMIT ?5"
        ))?
        .query_map(params![account, webhook.ksuid().as_bytes(), before, dead, limit.get() + 1], view)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Listing::from_lookahead(items, limit))
}

pub(super) fn settle(step: &mut Step<'_>, of: Of, settled: &[Settled]) -> Result<()> {
    for one in settled {
        match one {
            Settled::Delivered(sequence) => remove(step.connection, of, *sequence),
            Settled::Failed(delivery) => put(step.connection, of, delivery),
        }
        .map_err(error::plain)?;
    }
    Ok(())
}

fn remove(connection: &Connection, (account, webhook): Of, sequence: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM webhook_delivery WHERE account = ?1 AND webhook = ?2 AND sequence = ?3")?
        .execute(params![account, webhook.ksuid().as_bytes(), sequence])
        .map(drop)
}

fn put(connection: &Connection, (account, webhook): Of, delivery: &Delivery) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO webhook_delivery \
             (account, webhook, sequence, event, kind, body, dead, attempts, due, error) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            account,
            webhook.ksuid().as_bytes(),
            delivery.sequence,
            delivery.event.ksuid().as_bytes(),
            delivery.kind,
            delivery.body,
            delivery.state == DeliveryState::Dead,
            delivery.attempts,
            delivery.due.as_second(),
            delivery.error,
        ])
        .map(drop)
}

pub(super) fn retry(
    step: &mut Step<'_>,
    (account, webhook): Of,
    sequence: Option<u64>,
    now: Timestamp,
) -> Result<u64> {
    let retried = step
        .connection
        .prepare_cached(
            "UPDATE webhook_delivery SET attempts = CASE WHEN dead THEN 0 ELSE attempts END, dead = 0, due = ?4 \
             WHERE account = ?1 AND webhook = ?2 AND (?3 IS NULL OR sequence = ?3)",
        )
        .and_then(|mut update| {
            update.execute(params![account, webhook.ksuid().as_bytes(), sequence, now.as_second()])
        })
        .map_err(error::plain)?;
    Ok(retried as u64)
}

pub(super) fn any_dead(
    connection: &Connection,
    (account, webhook): Of,
    by: Timestamp,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM webhook_delivery \
             WHERE account = ?1 AND webhook = ?2 AND dead = 1 AND due <= ?3)",
        )?
        .query_row(params![account, webhook.ksuid().as_bytes(), by.as_second()], |row| row.get(0))
}

pub(super) fn prune(step: &mut Step<'_>, (account, webhook): Of, by: Timestamp, limit: usize) -> Result<u64> {
    let pruned = step
        .connection
        .prepare_cached(
            "DELETE FROM webhook_delivery WHERE account = ?1 AND webhook = ?2 AND sequence IN \
             (SELECT sequence FROM webhook_delivery WHERE account = ?1 AND webhook = ?2 AND dead = 1 AND due <= ?3 \
              ORDER BY due, sequence LIMIT ?4)",
        )
        .and_then(|mut delete| {
            delete.execute(params![account, webhook.ksuid().as_bytes(), by.as_second(), limit])
        })
        .map_err(error::plain)?;
    Ok(pruned as u64)
}

pub(super) fn delete_of(step: &mut Step<'_>, (account, webhook): Of) -> Result<()> {
    step.connection
        .prepare_cached("DELETE FROM webhook_delivery WHERE account = ?1 AND webhook = ?2")
        .and_then(|mut delete| delete.execute(params![account, webhook.ksuid().as_bytes()]))
        .map(drop)
        .map_err(error::plain)
}

pub(super) fn counts(connection: &Connection, (account, webhook): Of) -> rusqlite::Result<DeliveryCounts> {
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM webhook_delivery WHERE account = ?1 AND webhook = ?2 AND dead = ?3",
    )?;
    let mut of =
        |dead: bool| count.query_row(params![account, webhook.ksuid().as_bytes(), dead], |row| row.get(0));
    Ok(DeliveryCounts { waiting: of(false)?, dead: of(true)? })
}
