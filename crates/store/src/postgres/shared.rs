//! What other processes do to the store.

use async_trait::async_trait;
use strongroom_domain::Result;
use strongroom_domain::store::{Moment, OthersChanges, SharedStore};

use super::PostgresStore;

#[async_trait]
impl SharedStore for PostgresStore {
    async fn changed_by_others(&self, since: Option<Moment>) -> Result<OthersChanges> {
        self.node.changed_by_others(since).await
    }
}
