//! Webhooks.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::types::{FromSqlError, Value};
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_crypto::WrappedKey;
use strongroom_domain::audit::Event;
use strongroom_domain::error::Noun;
use strongroom_domain::ids::{AccountId, WebhookId};
use strongroom_domain::page::{Listing, PageLimit, Query};
use strongroom_domain::store::WebhookStore;
use strongroom_domain::webhook::{
    Delivery, DeliveryCounts, DeliveryState, EventTypes, Settled, Webhook, WebhookUrl,
};
use strongroom_domain::{Error, Result};

use super::list::{self, Select};
use super::readers::Lane;
use super::row::get;
use super::writer::Step;
use super::{SqliteStore, accounts, deliveries, error};

#[async_trait]
impl WebhookStore for SqliteStore {
    async fn webhook_insert(
        &self,
        account: AccountId,
        webhook: Webhook,
        max: u64,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| insert(step, number, &webhook, max)).await
    }

    async fn webhook_find(&self, account: AccountId, id: WebhookId) -> Result<Option<Webhook>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| find(connection, number, id))
    }

    async fn webhook_list(&self, account: AccountId, query: Query) -> Result<Listing<Webhook>> {
        let number = self.number(account)?;
        self.readers.scan(Lane::Indexed, move |connection| list(connection, number, &query)).await
    }

    async fn webhook_update(&self, account: AccountId, webhook: Webhook, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| update(step, number, &webhook)).await
    }

    async fn webhook_delete(
        &self,
        account: AccountId,
        id: WebhookId,
        revision: u64,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| delete(step, number, id, revision)).await?;
        self.erased().await
    }

    async fn old_secrets_delete(&self, account: AccountId, now: Timestamp) -> Result<()> {
        let number = self.number(account)?;
        self.change(Vec::new(), move |step| delete_old_secrets(step, number, now)).await?;
        self.erased().await
    }

    async fn webhook_active(&self, account: AccountId) -> Result<Vec<WebhookId>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| active(connection, number))
    }

    async fn delivery_next(
        &self,
        account: AccountId,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let number = self.number(account)?;
        self.readers
            .scan(Lane::Indexed, move |connection| deliveries::next(connection, number, webhook, limit))
            .await
    }

    async fn delivery_list(
        &self,
        account: AccountId,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<u64>,
        limit: PageLimit,
    ) -> Result<Listing<Delivery>> {
        let number = self.number(account)?;
        let list =
            move |connection: &_| deliveries::list(connection, (number, webhook), state, before, limit);
        self.readers.scan(Lane::Indexed, list).await
    }

    async fn delivery_settle(
        &self,
        account: AccountId,
        webhook: WebhookId,
        position: u64,
        settled: Vec<Settled>,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(Vec::new(), move |step| {
            take(step, (number, webhook), position)?;
            deliveries::settle(step, (number, webhook), &settled)
        })
        .await
    }

    async fn delivery_retry(
        &self,
        account: AccountId,
        webhook: WebhookId,
        sequence: Option<u64>,
        now: Timestamp,
    ) -> Result<u64> {
        let number = self.number(account)?;
        self.change(Vec::new(), move |step| deliveries::retry(step, (number, webhook), sequence, now)).await
    }

    async fn delivery_prune(
        &self,
        account: AccountId,
        webhook: WebhookId,
        by: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        let number = self.number(account)?;
        // As a rule there is nothing, and the writer is not to be asked for it.
        if !self.readers.lookup(|connection| deliveries::any_dead(connection, (number, webhook), by))? {
            return Ok(0);
        }
        self.change(Vec::new(), move |step| deliveries::prune(step, (number, webhook), by, limit)).await
    }

    async fn delivery_counts(&self, account: AccountId, webhook: WebhookId) -> Result<DeliveryCounts> {
        let number = self.number(account)?;
        // Few enough to be soon counted, in the index alone.
        let count = move |connection: &_| deliveries::counts(connection, (number, webhook));
        self.readers.scan(Lane::Indexed, count).await
    }
}

const SELECT: &str = "SELECT id, url, event_types, description, metadata, active, created_at, updated_at, revision, secret, \
                      old_secret, old_secret_until, position FROM webhook";

fn view(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    let url = row.get_ref(1)?.as_str()?;
    let old = row.get::<_, Option<Vec<u8>>>(10)?.map(WrappedKey::from_bytes);
    Ok(Webhook {
        id: WebhookId::new(get(row, 0)?),
        url: WebhookUrl::read(url).map_err(|error| FromSqlError::Other(Box::new(error)))?,
        event_types: EventTypes::from_text(row.get_ref(2)?.as_str()?),
        description: row.get(3)?,
        metadata: row.get(4)?,
        active: row.get(5)?,
        created_at: get(row, 6)?,
        updated_at: get(row, 7)?,
        revision: row.get(8)?,
        secret: WrappedKey::from_bytes(row.get(9)?),
        old_secret: old.zip(get(row, 11)?),
        position: row.get(12)?,
    })
}

fn insert(step: &mut Step<'_>, account: i64, webhook: &Webhook, max: u64) -> Result<()> {
    accounts::check_root_key(step, account, [&webhook.secret])?;
    let there: u64 = step
        .connection
        .prepare_cached("SELECT count(*) FROM webhook WHERE account = ?1")
        .and_then(|mut count| count.query_row([account], |row| row.get(0)))
        .map_err(error::plain)?;
    if there >= max {
        return Err(Error::LimitReached { noun: Noun::Webhook, max, vault: None });
    }
    // Its own event is the next record: it is told of what comes after.
    let position = step.log_size() + 1;
    step.connection
        .prepare_cached(
            "INSERT INTO webhook (account, id, url, event_types, description, metadata, active, created_at, updated_at, \
             revision, secret, position) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                webhook.id.ksuid().as_bytes(),
                webhook.url.as_str(),
                webhook.event_types.to_text(),
                &webhook.description,
                &webhook.metadata,
                webhook.active,
                webhook.created_at.as_second(),
                webhook.updated_at.as_second(),
                webhook.revision,
                webhook.secret.as_bytes(),
                position,
            ))
        })
        .map(drop)
        .map_err(error::writing(Noun::Webhook))
}

fn find(connection: &Connection, account: i64, id: WebhookId) -> rusqlite::Result<Option<Webhook>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 AND id = ?2"))?
        .query_row((account, id.ksuid().as_bytes()), view)
        .optional()
}

fn list(connection: &Connection, account: i64, query: &Query) -> rusqlite::Result<Listing<Webhook>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        params: vec![Value::Integer(account)],
        id: "id",
        // No field can be asked about.
        column: |_| "id",
        scope: &[],
    };
    list::list(connection, select, query, view)
}

fn active(connection: &Connection, account: i64) -> rusqlite::Result<Vec<WebhookId>> {
    connection
        .prepare_cached("SELECT id FROM webhook WHERE account = ?1 AND active")?
        .query_map([account], |row| get(row, 0).map(WebhookId::new))?
        .collect()
}

fn update(step: &mut Step<'_>, account: i64, webhook: &Webhook) -> Result<()> {
    let old = webhook.old_secret.iter().map(|(secret, _)| secret);
    accounts::check_root_key(step, account, old.chain([&webhook.secret]))?;
    // One that was not active has missed what happened, its own event included.
    let position = step.log_size() + 1;
    let (old, until) = webhook
        .old_secret
        .as_ref()
        .map_or((None, None), |(secret, until)| (Some(secret.as_bytes()), Some(until.as_second())));
    let changed = step
        .connection
        .prepare_cached(
            "UPDATE webhook SET url = ?4, event_types = ?5, description = ?6, metadata = ?7, active = ?8, updated_at = ?9, \
             secret = ?10, old_secret = ?11, old_secret_until = ?12, revision = ?3, \
             position = CASE WHEN ?8 AND NOT active THEN ?13 ELSE position END \
             WHERE account = ?1 AND id = ?2 AND revision = ?3 - 1",
        )
        .and_then(|mut update| {
            update.execute((
                account,
                webhook.id.ksuid().as_bytes(),
                webhook.revision,
                webhook.url.as_str(),
                webhook.event_types.to_text(),
                &webhook.description,
                &webhook.metadata,
                webhook.active,
                webhook.updated_at.as_second(),
                webhook.secret.as_bytes(),
                old,
                until,
                position,
            ))
        })
        .map_err(error::plain)?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

fn delete(step: &mut Step<'_>, account: i64, id: WebhookId, revision: u64) -> Result<()> {
    let deleted = step
        .connection
        .prepare_cached("DELETE FROM webhook WHERE account = ?1 AND id = ?2 AND revision = ?3")
        .and_then(|mut delete| delete.execute((account, id.ksuid().as_bytes(), revision)))
        .map_err(error::plain)?;
    if deleted == 0 {
        return Err(Error::Stale);
    }
    step.erase();
    deliveries::delete_of(step, (account, id))
}

fn delete_old_secrets(step: &mut Step<'_>, account: i64, now: Timestamp) -> Result<()> {
    let deleted = step
        .connection
        .prepare_cached(
            "UPDATE webhook SET old_secret = NULL, old_secret_until = NULL WHERE account = ?1 AND old_secret_until <= ?2",
        )
        .and_then(|mut delete| delete.execute((account, now.as_second())))
        .map_err(error::plain)?;
    if deleted > 0 {
        step.erase();
    }
    Ok(())
}

/// Notes up to which record all was taken for a webhook. It never goes back: whoever made it active again set it further on.
fn take(step: &mut Step<'_>, (account, id): (i64, WebhookId), position: u64) -> Result<()> {
    let changed = step
        .connection
        .prepare_cached("UPDATE webhook SET position = max(position, ?3) WHERE account = ?1 AND id = ?2")
        .and_then(|mut update| update.execute((account, id.ksuid().as_bytes(), position)))
        .map_err(error::plain)?;
    if changed == 1 { Ok(()) } else { Err(Error::Stale) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;
    use strongroom_domain::ids::Ksuid;

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn counting_waits_for_nobodys_slow_filter() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("store.db")).unwrap());
        let (account, webhook) = (AccountId::new(Ksuid::MIN), WebhookId::new(Ksuid::MIN));
        store.account.set((1, account)).unwrap();
        let (is_over, running) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let turns = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).div_ceil(2);
        for _ in 0..=turns {
            let (store, is_over, running) = (store.clone(), is_over.clone(), running.clone());
            tokio::spawn(async move {
                let slow = move |_: &Connection| {
                    running.fetch_add(1, Ordering::Relaxed);
                    while !is_over.load(Ordering::Relaxed) {
                        std::thread::sleep(SOON);
                    }
                    Ok(())
                };
                store.readers.scan(Lane::Walking, slow).await
            });
        }
        while running.load(Ordering::Relaxed) < turns {
            tokio::time::sleep(SOON).await;
        }
        let counted =
            tokio::time::timeout(Duration::from_secs(10), store.delivery_counts(account, webhook)).await;
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(counted.unwrap().unwrap(), DeliveryCounts::default());
    }
}
