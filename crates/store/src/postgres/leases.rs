//! Leases, by the database's own clock: the clocks of nodes may differ by hours.

use std::time::Duration;

use async_trait::async_trait;
use strongroom_domain::Result;
use strongroom_domain::ids::AccountId;
use strongroom_domain::store::{Lease, LeaseStore, NodeId};

use super::PostgresStore;
use super::node::patiently;
use super::session::Reader;
use super::value::{Value, values};

/// The database's clock in milliseconds, as it is when the statement runs.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT";

#[async_trait]
impl LeaseStore for PostgresStore {
    async fn lease_take(
        &self,
        account: AccountId,
        lease: Lease,
        holder: NodeId,
        span: Duration,
    ) -> Result<bool> {
        let sql = format!(
            "INSERT INTO lease (account, name, holder, until) VALUES ($1, $2, $3, {NOW} + $4) \
             ON CONFLICT (account, name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
             WHERE lease.holder = excluded.holder OR lease.until < {NOW} RETURNING TRUE"
        );
        // Seven weeks are for ever, and no sum of them is too large for the column.
        let span = u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        let values = values![self.number(account).await?, lease.to_string(), holder.as_bytes(), span];
        self.lease(&sql, &values).await
    }

    async fn lease_give_back(&self, account: AccountId, lease: Lease, holder: NodeId) -> Result<()> {
        let sql = "DELETE FROM lease WHERE account = $1 AND name = $2 AND holder = $3 RETURNING TRUE";
        let values = values![self.number(account).await?, lease.to_string(), holder.as_bytes()];
        self.lease(sql, &values).await.map(drop)
    }
}

impl PostgresStore {
    /// Runs one statement; says whether it changed the lease. What passes by is tried again: done twice, it comes to the same.
    async fn lease(&self, sql: &str, values: &[Value<'_>]) -> Result<bool> {
        Ok(!patiently(|| self.pool().query(sql, values)).await?.is_empty())
    }
}
