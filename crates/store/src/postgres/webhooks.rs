//! Webhooks.

use async_trait::async_trait;
use jiff::Timestamp;
use strongroom_domain::Result;
use strongroom_domain::audit::Event;
use strongroom_domain::error::Noun;
use strongroom_domain::ids::{AccountId, WebhookId};
use strongroom_domain::page::{Listing, PageLimit, Query};
use strongroom_domain::store::WebhookStore;
use strongroom_domain::webhook::{
    Delivery, DeliveryCounts, DeliveryState, EventTypes, Settled, Webhook, WebhookUrl,
};
use tokio_postgres::Row;

use super::list::{self, Select};
use super::row::{corrupt, get, get_opt};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;
use super::{PostgresStore, accounts, deliveries, ip_gate};

const SELECT: &str = "SELECT id, url, event_types, description, metadata, active, created_at, updated_at, revision, secret, \
                      old_secret, old_secret_until, position FROM webhook";

fn view(row: &Row) -> Result<Webhook> {
    let (url, event_types): (String, String) = (get(row, 1)?, get(row, 2)?);
    Ok(Webhook {
        id: get(row, 0)?,
        url: WebhookUrl::read(&url).map_err(|_| corrupt("URL"))?,
        event_types: EventTypes::from_text(&event_types),
        description: get(row, 3)?,
        metadata: get(row, 4)?,
        active: get(row, 5)?,
        created_at: get(row, 6)?,
        updated_at: get(row, 7)?,
        revision: get(row, 8)?,
        secret: get(row, 9)?,
        old_secret: get_opt(row, 10)?.zip(get_opt(row, 11)?),
        position: get(row, 12)?,
    })
}

async fn insert(transaction: &Transaction, webhook: &Webhook, max: u64) -> Result<()> {
    accounts::check_root_key(transaction, [&webhook.secret]).await?;
    ip_gate::must_fit(transaction, Noun::Webhook, "webhook", max).await?;
    let sql = "INSERT INTO webhook (account, id, url, event_types, description, metadata, active, created_at, updated_at, \
               revision, secret, position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let values = values![
        transaction.account,
        webhook.id,
        webhook.url.as_str(),
        webhook.event_types.to_text(),
        &webhook.description,
        &webhook.metadata,
        webhook.active,
        webhook.created_at,
        webhook.updated_at,
        webhook.revision,
        &webhook.secret,
        // Its own event is the next record: it is told of what comes after.
        transaction.log_size() + 1,
    ];
    transaction.write(Noun::Webhook, sql, &values).await.map(drop)
}

async fn find(pool: &Pool, account: i64, id: WebhookId) -> Result<Option<Webhook>> {
    pool.query_opt(&format!("{SELECT} WHERE account = $1 AND id = $2"), &values![account, id], view).await
}

async fn list(pool: &Pool, account: i64, query: &Query) -> Result<Listing<Webhook>> {
    let select = Select {
        sql: format!("{SELECT} WHERE account = ?"),
        values: vec![account.into()],
        id: "id",
        // No field can be asked about.
        column: |_| "id",
        scope: &[],
    };
    list::list(pool, select, query, view).await
}

async fn active(pool: &Pool, account: i64) -> Result<Vec<WebhookId>> {
    let sql = "SELECT id FROM webhook WHERE account = $1 AND active";
    pool.query(sql, &values![account]).await?.iter().map(|row| get(row, 0)).collect()
}

async fn update(transaction: &Transaction, webhook: &Webhook) -> Result<()> {
    let old = webhook.old_secret.as_ref();
    accounts::check_root_key(transaction, old.map(|(secret, _)| secret).into_iter().chain([&webhook.secret]))
        .await?;
    let sql = "UPDATE webhook SET url = $4, event_types = $5, description = $6, metadata = $7, active = $8, updated_at = $9, \
               secret = $10, old_secret = $11, old_secret_until = $12, revision = $3, \
               position = CASE WHEN $8 AND NOT active THEN $13 ELSE position END \
               WHERE account = $1 AND id = $2 AND revision = $3 - 1";
    let values = values![
        transaction.account,
        webhook.id,
        webhook.revision,
        webhook.url.as_str(),
        webhook.event_types.to_text(),
        &webhook.description,
        &webhook.metadata,
        webhook.active,
        webhook.updated_at,
        &webhook.secret,
        old.map(|(secret, _)| secret),
        old.map(|(_, until)| *until),
        // One that was not active has missed what happened, its own event included.
        transaction.log_size() + 1,
    ];
    transaction.change(sql, &values).await
}

async fn delete(transaction: &Transaction, id: WebhookId, revision: u64) -> Result<()> {
    let sql = "DELETE FROM webhook WHERE account = $1 AND id = $2 AND revision = $3";
    transaction.change(sql, &values![transaction.account, id, revision]).await?;
    deliveries::delete_of(transaction, id).await
}

async fn delete_old_secrets(transaction: &Transaction, now: Timestamp) -> Result<()> {
    let sql = "UPDATE webhook SET old_secret = NULL, old_secret_until = NULL \
               WHERE account = $1 AND old_secret_until <= $2";
    transaction.execute(sql, &values![transaction.account, now]).await.map(drop)
}

/// Notes up to which record all was taken for a webhook. It never goes back: whoever made it active again set it further on.
async fn take(transaction: &Transaction, id: WebhookId, position: u64) -> Result<()> {
    let sql = "UPDATE webhook SET position = greatest(position, $3) WHERE account = $1 AND id = $2";
    transaction.change(sql, &values![transaction.account, id, position]).await
}

#[async_trait]
impl WebhookStore for PostgresStore {
    async fn webhook_insert(
        &self,
        account: AccountId,
        webhook: Webhook,
        max: u64,
        event: Event,
    ) -> Result<()> {
        let webhook = &webhook;
        self.transact(account, vec![event], move |transaction| async move {
            insert(&transaction, webhook, max).await
        })
        .await
    }

    async fn webhook_find(&self, account: AccountId, id: WebhookId) -> Result<Option<Webhook>> {
        find(self.pool(), self.number(account).await?, id).await
    }

    async fn webhook_list(&self, account: AccountId, query: Query) -> Result<Listing<Webhook>> {
        list(self.pool(), self.number(account).await?, &query).await
    }

    async fn webhook_update(&self, account: AccountId, webhook: Webhook, event: Event) -> Result<()> {
        let webhook = &webhook;
        self.transact(
            account,
            vec![event],
            move |transaction| async move { update(&transaction, webhook).await },
        )
        .await
    }

    async fn webhook_delete(
        &self,
        account: AccountId,
        id: WebhookId,
        revision: u64,
        event: Event,
    ) -> Result<()> {
        self.transact(account, vec![event], move |transaction| async move {
            delete(&transaction, id, revision).await
        })
        .await
    }

    async fn old_secrets_delete(&self, account: AccountId, now: Timestamp) -> Result<()> {
        self.transact(account, Vec::new(), move |transaction| async move {
            delete_old_secrets(&transaction, now).await
        })
        .await
    }

    async fn webhook_active(&self, account: AccountId) -> Result<Vec<WebhookId>> {
        active(self.pool(), self.number(account).await?).await
    }

    async fn delivery_next(
        &self,
        account: AccountId,
        webhook: WebhookId,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        deliveries::next(self.pool(), (self.number(account).await?, webhook), limit).await
    }

    async fn delivery_list(
        &self,
        account: AccountId,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        before: Option<u64>,
        limit: PageLimit,
    ) -> Result<Listing<Delivery>> {
        deliveries::list(self.pool(), (self.number(account).await?, webhook), state, before, limit).await
    }

    async fn delivery_settle(
        &self,
        account: AccountId,
        webhook: WebhookId,
        position: u64,
        settled: Vec<Settled>,
    ) -> Result<()> {
        let settled = &settled;
        self.transact(account, Vec::new(), move |transaction| async move {
            take(&transaction, webhook, position).await?;
            deliveries::settle(&transaction, webhook, settled).await
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
        self.transact(account, Vec::new(), move |transaction| async move {
            deliveries::retry(&transaction, webhook, sequence, now).await
        })
        .await
    }

    async fn delivery_prune(
        &self,
        account: AccountId,
        webhook: WebhookId,
        by: Timestamp,
        limit: usize,
    ) -> Result<u64> {
        // As a rule there is nothing, and the log is not to be held for it.
        if !deliveries::any_dead(self.pool(), (self.number(account).await?, webhook), by).await? {
            return Ok(0);
        }
        self.transact(account, Vec::new(), move |transaction| async move {
            deliveries::prune(&transaction, webhook, by, limit).await
        })
        .await
    }

    async fn delivery_counts(&self, account: AccountId, webhook: WebhookId) -> Result<DeliveryCounts> {
        deliveries::counts(self.pool(), (self.number(account).await?, webhook)).await
    }
}
