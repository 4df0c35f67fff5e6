//! Stores that stand in front of PostgreSQL's: one that has the patience which a client has to have, and one that is several nodes.

#[path = "../several_nodes/methods.rs"]
mod methods;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strongroom_domain::Error;
use strongroom_domain::store::{Lease, LeaseStore, NodeId};
use strongroom_store::cache::CachedStore;
use tokio::time::{Instant, sleep};

use methods::*;

/// How long something is asked again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again what was answered with `Unavailable`. Changes are asked once: the store is to see them through, or to say truly that they
/// were not done.
pub(crate) struct Patient<S> {
    pub(crate) store: S,
    /// Changes that no record tells of are under way: whether one was done whose end was not told, nobody can find out.
    pub(crate) untold: Untold,
}

/// What is done before and after a change that no record tells of.
pub(crate) struct Untold {
    pub(crate) under_way: AtomicUsize,
    pub(crate) spare: Box<dyn Fn(bool) + Send + Sync>,
}

impl Untold {
    async fn spared<T>(&self, change: impl Future<Output = T>) -> T {
        if self.under_way.fetch_add(1, Ordering::SeqCst) == 0 {
            (self.spare)(true);
        }
        let done = change.await;
        if self.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            (self.spare)(false);
        }
        done
    }
}

async fn again<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(Error::Unavailable(_)) if begun.elapsed() < PATIENCE => sleep(Duration::from_millis(5)).await,
            answer => return answer,
        }
    }
}

macro_rules! patient {
    ($Trait:ident:
        passed { $($p:ident($($pa:ident: $pt:ty),*) -> $po:ty;)* }
        reads { $($r:ident($($ra:ident: $rt:ty),*) -> $ro:ty;)* }
        writes { $($w:ident($($wa:ident: $wt:ty),*) -> $wo:ty;)* }
        untold { $($u:ident($($ua:ident: $ut:ty),*) -> $uo:ty;)* }
    ) => {
        #[async_trait]
        impl<S: Store> $Trait for Patient<S> {
            $(async fn $p(&self, $($pa: $pt),*) -> Result<$po> {
                self.store.$p($($pa),*).await
            })*
            $(async fn $r(&self, $($ra: $rt),*) -> Result<$ro> {
                again(|| self.store.$r($($ra.clone()),*)).await
            })*
            $(async fn $w(&self, $($wa: $wt),*) -> Result<$wo> {
                self.store.$w($($wa),*).await
            })*
            $(async fn $u(&self, $($ua: $ut),*) -> Result<$uo> {
                self.untold.spared(self.store.$u($($ua),*)).await
            })*
        }
    };
}

every_method!(patient);

#[async_trait]
impl<S: Store> LeaseStore for Patient<S> {
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

/// Several nodes over one database, asked in turn. Who asks one of them has it hear first of what the others changed, as who was
/// answered by another node and tells this one of it does.
pub(crate) struct InTurn {
    pub(crate) nodes: Vec<CachedStore>,
    pub(crate) asked: AtomicUsize,
}

impl InTurn {
    pub(crate) fn new(nodes: Vec<CachedStore>) -> Self {
        Self { nodes, asked: AtomicUsize::new(0) }
    }

    fn next(&self) -> &CachedStore {
        &self.nodes[self.asked.fetch_add(1, Ordering::Relaxed) % self.nodes.len()]
    }

    async fn up_to_date(&self) -> Result<&CachedStore> {
        let node = self.next();
        node.catch_up().await?;
        Ok(node)
    }
}

macro_rules! in_turn {
    ($Trait:ident:
        passed { $($p:ident($($pa:ident: $pt:ty),*) -> $po:ty;)* }
        reads { $($r:ident($($ra:ident: $rt:ty),*) -> $ro:ty;)* }
        writes { $($w:ident($($wa:ident: $wt:ty),*) -> $wo:ty;)* }
        untold { $($u:ident($($ua:ident: $ut:ty),*) -> $uo:ty;)* }
    ) => {
        #[async_trait]
        impl $Trait for InTurn {
            $(async fn $p(&self, $($pa: $pt),*) -> Result<$po> {
                self.next().$p($($pa),*).await
            })*
            $(async fn $r(&self, $($ra: $rt),*) -> Result<$ro> {
                self.up_to_date().await?.$r($($ra),*).await
            })*
            $(async fn $w(&self, $($wa: $wt),*) -> Result<$wo> {
                self.next().$w($($wa),*).await
            })*
            $(async fn $u(&self, $($ua: $ut),*) -> Result<$uo> {
                self.next().$u($($ua),*).await
            })*
        }
    };
}

every_method!(in_turn);

#[async_trait]
impl LeaseStore for InTurn {
    async fn lease_take(
        &self,
        account: AccountId,
        lease: Lease,
        holder: NodeId,
        span: Duration,
    ) -> Result<bool> {
        self.next().lease_take(account, lease, holder, span).await
    }

    async fn lease_give_back(&self, account: AccountId, lease: Lease, holder: NodeId) -> Result<()> {
        self.next().lease_give_back(account, lease, holder).await
    }
}
