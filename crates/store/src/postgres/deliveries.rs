//! What webhooks were not told yet, or never will be.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use strongroom_domain::Result;
use strongroom_domain::ids::{EventId, WebhookId};
use strongroom_domain::page::{Listing, PageLimit};
use strongroom_domain::webhook::{Delivery, DeliveryCounts, DeliveryState, Settled};
use tokio_postgres::Row;

use super::row::{corrupt, get};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::{Value, values};

/// A webhook, by its account's number and its id.
type Of = (i64, WebhookId);

const SELECT: &str = "SELECT sequence, event, kind, body, dead, attempts, due, error FROM webhook_delivery \
                      WHERE account = $1 AND webhook = $2";

fn view(row: &Row) -> Result<Delivery> {
    Ok(Delivery {
        sequence: get(row, 0)?,
        event: EventId::new(get(row, 1)?),
        kind: get(row, 2)?,
        body: get(row, 3)?,
        state: if get(row, 4)? { DeliveryState::Dead } else { DeliveryState::Waiting },
        attempts: get(row, 5)?,
        due: get(row, 6)?,
        error: get(row, 7)?,
    })
}

pub(super) async fn next(pool: &Pool, (account, webhook): Of, limit: usize) -> Result<Vec<Delivery>> {
    let sql = format!("{SELECT} AND NOT dead ORDER BY due, sequence LIMIT $3");
    pool.query(&sql, &values![account, webhook, limit]).await?.iter().map(view).collect()
}

pub(super) async fn list(
    pool: &Pool,
    (account, webhook): Of,
    state: Option<DeliveryState>,
    before: Option<u64>,
    limit: PageLimit,
) -> Result<Listing<Delivery>> {
    let of_state = match state {
        None => "",
        Some(DeliveryState::Dead) => " AND dead",
        Some(DeliveryState::Waiting) => " AND NOT dead",
    };
    let sql = format!("{SELECT} AND sequence < $3{of_state} ORDER BY sequence DESC LIMIT $4");
    // What is beyond every record is where the list starts.
    let values = values![account, webhook, before.unwrap_or(u64::MAX), limit.get() + 1];
    let items = pool.query(&sql, &values).await?.iter().map(view).collect::<Result<_>>()?;
    Ok(Listing::from_lookahead(items, limit))
}

/// Keeps what became of attempts; what is said last of a delivery counts.
pub(super) async fn settle(transaction: &Transaction, webhook: WebhookId, settled: &[Settled]) -> Result<()> {
    let (mut delivered, mut failed) = (Vec::new(), BTreeMap::new());
    for one in settled {
        match one {
            Settled::Delivered(sequence) => {
                failed.remove(sequence);
                delivered.push(sequence.cast_signed());
            }
            Settled::Failed(delivery) => {
                failed.insert(delivery.sequence, delivery);
            }
        }
    }
    if !delivered.is_empty() {
        let sql = "DELETE FROM webhook_delivery WHERE account = $1 AND webhook = $2 AND sequence = ANY($3)";
        transaction.execute(sql, &values![transaction.account, webhook, Value::Ints(delivered)]).await?;
    }
    let failed: Vec<&Delivery> = failed.into_values().collect();
    if failed.is_empty() { Ok(()) } else { put(transaction, webhook, &failed).await }
}

const PUT: &str = "INSERT INTO webhook_delivery \
     (account, webhook, sequence, event, kind, body, dead, attempts, due, error) \
     SELECT $1, $2, sequence, event, kind, body, dead <> 0, attempts, due, error \
     FROM unnest($3::BIGINT[], $4::BYTEA[], $5::TEXT[], $6::TEXT[], $7::BIGINT[], $8::BIGINT[], $9::BIGINT[], $10::TEXT[]) \
     AS new (sequence, event, kind, body, dead, attempts, due, error) \
     ON CONFLICT (account, webhook, sequence) DO UPDATE SET event = excluded.event, kind = excluded.kind, \
     body = excluded.body, dead = excluded.dead, attempts = excluded.attempts, due = excluded.due, error = excluded.error";

/// Writes deliveries in the place of those of the same records.
async fn put(transaction: &Transaction, webhook: WebhookId, deliveries: &[&Delivery]) -> Result<()> {
    let ints =
        |of: fn(&Delivery) -> i64| Value::Ints(deliveries.iter().map(|delivery| of(delivery)).collect());
    let texts =
        |of: fn(&Delivery) -> &str| Value::Texts(deliveries.iter().map(|delivery| of(delivery)).collect());
    let events = deliveries.iter().map(|delivery| Cow::Owned(delivery.event.ksuid().as_bytes().to_vec()));
    let values = values![
        transaction.account,
        webhook,
        ints(|delivery| delivery.sequence.cast_signed()),
        Value::ManyBytes(events.collect()),
        texts(|delivery| &delivery.kind),
        texts(|delivery| &delivery.body),
        ints(|delivery| (delivery.state == DeliveryState::Dead).into()),
        ints(|delivery| delivery.attempts.into()),
        ints(|delivery| delivery.due.as_second()),
        texts(|delivery| &delivery.error),
    ];
    transaction.execute(PUT, &values).await.map(drop)
}

pub(super) async fn retry(
    transaction: &Transaction,
    webhook: WebhookId,
    sequence: Option<u64>,
    now: Timestamp,
) -> Result<u64> {
    let sql = "UPDATE webhook_delivery SET attempts = CASE WHEN dead THEN 0 ELSE attempts END, dead = FALSE, due = $4 \
               WHERE account = $1 AND webhook = $2 AND ($3 IS NULL OR sequence = $3)";
    transaction.execute(sql, &values![transaction.account, webhook, sequence, now]).await
}

pub(super) async fn any_dead(pool: &Pool, (account, webhook): Of, by: Timestamp) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM webhook_delivery WHERE account = $1 AND webhook = $2 AND dead AND due <= $3)";
    pool.query_one(sql, &values![account, webhook, by]).await
}

pub(super) async fn prune(
    transaction: &Transaction,
    webhook: WebhookId,
    by: Timestamp,
    limit: usize,
) -> Result<u64> {
    let sql = "DELETE FROM webhook_delivery WHERE account = $1 AND webhook = $2 AND sequence IN \
               (SELECT sequence FROM webhook_delivery WHERE account = $1 AND webhook = $2 AND dead AND due <= $3 \
                ORDER BY due, sequence LIMIT $4)";
    transaction.execute(sql, &values![transaction.account, webhook, by, limit]).await
}

pub(super) async fn delete_of(transaction: &Transaction, webhook: WebhookId) -> Result<()> {
    let sql = "DELETE FROM webhook_delivery WHERE account = $1 AND webhook = $2";
    transaction.execute(sql, &values![transaction.account, webhook]).await.map(drop)
}

pub(super) async fn counts(pool: &Pool, (account, webhook): Of) -> Result<DeliveryCounts> {
    let sql = "SELECT count(*) FILTER (WHERE NOT dead), count(*) FILTER (WHERE dead) FROM webhook_delivery \
               WHERE account = $1 AND webhook = $2";
    let rows = pool.query(sql, &values![account, webhook]).await?;
    let row = rows.first().ok_or_else(|| corrupt("delivery"))?;
    Ok(DeliveryCounts { waiting: get(row, 0)?, dead: get(row, 1)? })
}
