//! Who holds a lease is known by the store alone.

use std::time::Duration;

use async_trait::async_trait;
use strongroom_domain::Result;
use strongroom_domain::ids::AccountId;
use strongroom_domain::store::{Lease, LeaseStore, NodeId};

use super::CachedStore;

#[async_trait]
impl LeaseStore for CachedStore {
    async fn lease_take(
        &self,
        account: AccountId,
        lease: Lease,
        holder: NodeId,
        span: Duration,
    ) -> Result<bool> {
        self.store.lease_take(account, lease, holder, span).await
    }

    async fn lease_give_back(&self, account: AccountId, lease: Lease, holder: NodeId) -> Result<()> {
        self.store.lease_give_back(account, lease, holder).await
    }
}
