//! Leases, for the parts of the server that work by themselves.

use std::time::Duration;

use super::App;
use crate::error::Result;
use crate::store::{Lease, NodeId};

impl App {
    /// Takes a lease for this process, or keeps it, for so long; says whether it is this process's now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn lease_take(&self, lease: Lease, span: Duration) -> Result<bool> {
        self.store.lease_take(self.account.id, lease, self.node()?, span).await
    }

    /// Gives a lease back, if it is this process's.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn lease_give_back(&self, lease: Lease) -> Result<()> {
        self.store.lease_give_back(self.account.id, lease, self.node()?).await
    }

    /// This process, as long as it lives.
    fn node(&self) -> Result<NodeId> {
        match self.node.get() {
            Some(known) => Ok(*known),
            None => {
                let made = NodeId::make(&*self.rng)?;
                Ok(*self.node.get_or_init(|| made))
            }
        }
    }
}
