//! What webhooks were not told yet, or never will be.

use jiff::Timestamp;
use strongroom_domain::Result;
use strongroom_domain::ids::{EventId, WebhookId};
use strongroom_domain::page::{Listing, PageLimit};
use strongroom_domain::webhook::{Delivery, DeliveryCounts, DeliveryState, Settled};
use tokio_postgres::Row;

use super::row::{corrupt, get};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;

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

pub(super) async fn settle(transaction: &Transaction, webhook: WebhookId, settled: &[Settled]) -> Result<()> {
    for one in settled {
        match one {
            Settled::Delivered(sequence) => {
                let sql = "DELETE FROM webhook_delivery WHERE account = $1 AND webhook = $2 AND sequence = $3";
                transaction.execute(sql, &values![transaction.account, webhook, *sequence]).await?;
            }
            Settled::Failed(delivery) => put(transaction, webhook, delivery).await?,
        }
    }
    Ok(())
}

async fn put(transaction: &Transaction, webhook: WebhookId, delivery: &Delivery) -> Result<()> {
    let sql = "INSERT INTO webhook_delivery (account, webhook, sequence, event, kind, body, dead, attempts, due, error) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (account, webhook, sequence) DO UPDATE SET \
               event = excluded.event, kind = excluded.kind, body = excluded.body, dead = excluded.dead, \
               attempts = excluded.attempts, due = excluded.due, error = excluded.error";
    let values = values![
        transaction.account,
        webhook,
        delivery.sequence,
        delivery.event.ksuid(),
        &delivery.kind,
        &delivery.body,
        delivery.state == DeliveryState::Dead,
        delivery.attempts,
        delivery.due,
        &delivery.error,
    ];
    transaction.execute(sql, &values).await.map(drop)
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
