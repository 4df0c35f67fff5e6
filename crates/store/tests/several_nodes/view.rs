//! A database that several nodes share, made of a store that one process has to itself: each node sees it through a view of its
//! own, which knows whose each commit was, and whose link can be slow, cut or deaf.

#[path = "methods.rs"]
mod methods;

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use strongroom_domain::Error;
use strongroom_domain::store::{Lease, LeaseStore, Moment, NodeId, OthersChanges, SharedStore};
use strongroom_store::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use methods::*;

/// A commit: whose, which records it appended, and whether it changed what these do not tell.
struct Commit {
    node: usize,
    after: u64,
    upto: u64,
    untold: bool,
}

/// What the nodes share.
pub(crate) struct Database {
    store: SqliteStore,
    commits: Mutex<Vec<Commit>>,
    /// Held by who writes, as the row of the log's head is.
    writing: tokio::sync::Mutex<()>,
    leases: Mutex<HashMap<Lease, (NodeId, Instant)>>,
    nodes: AtomicU64,
    _folder: TempDir,
}

impl Database {
    pub(crate) fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        Arc::new(Self {
            store: SqliteStore::open(&folder.path().join("store.db")).unwrap(),
            commits: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            leases: Mutex::default(),
            nodes: AtomicU64::new(0),
            _folder: folder,
        })
    }

    /// The view of another node.
    pub(crate) fn view(self: &Arc<Self>) -> Arc<View> {
        let node = self.nodes.fetch_add(1, Ordering::SeqCst) as usize;
        Arc::new(View { database: self.clone(), node, link: Link::default() })
    }
}

/// How a node reaches the database.
#[derive(Default)]
pub(crate) struct Link {
    /// Nothing is answered but that it is away.
    pub(crate) cut: AtomicBool,
    /// What others changed is asked for and never told; the rest is.
    pub(crate) deaf: AtomicBool,
    /// What is read comes up to so many microseconds late.
    pub(crate) late: AtomicU64,
    /// What is read is held back on its way.
    pub(crate) held: AtomicBool,
    drawn: AtomicU64,
    asked: Mutex<BTreeMap<&'static str, u64>>,
}

impl Link {
    /// How often a lookup went to the database.
    pub(crate) fn asked(&self, what: &str) -> u64 {
        self.asked.lock().unwrap().get(what).copied().unwrap_or(0)
    }

    async fn come_late(&self) {
        let late = self.late.load(Ordering::Relaxed);
        if late > 0 {
            let drawn = self.drawn.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            sleep(Duration::from_micros((drawn >> 20) % late)).await;
        }
    }
}

/// What a node sees of the database.
pub(crate) struct View {
    database: Arc<Database>,
    node: usize,
    pub(crate) link: Link,
}

#[derive(Debug, thiserror::Error)]
#[error("the database is away")]
struct Away;

impl View {
    fn reach(&self) -> Result<()> {
        if self.link.cut.load(Ordering::SeqCst) { Err(Error::Unavailable(Box::new(Away))) } else { Ok(()) }
    }

    async fn read<T>(&self, what: &'static str, lookup: impl Future<Output = Result<T>>) -> Result<T> {
        self.reach()?;
        *self.link.asked.lock().unwrap().entry(what).or_default() += 1;
        let found = lookup.await;
        while self.link.held.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(1)).await;
        }
        self.link.come_late().await;
        found
    }

    async fn write<T>(&self, untold: bool, change: impl Future<Output = Result<T>>) -> Result<T> {
        self.reach()?;
        let store = &self.database.store;
        let writing = self.database.writing.lock().await;
        let after = store.audit_head().await?.sequence;
        let done = change.await?;
        let upto = store.audit_head().await?.sequence;
        self.database.commits.lock().unwrap().push(Commit { node: self.node, after, upto, untold });
        drop(writing);
        self.link.come_late().await;
        Ok(done)
    }
}

#[async_trait]
impl SharedStore for View {
    async fn changed_by_others(&self, since: Option<Moment>) -> Result<OthersChanges> {
        self.reach()?;
        if self.link.deaf.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let (now, theirs) = {
            let commits = self.database.commits.lock().unwrap();
            let untold = commits.iter().filter(|commit| commit.untold).count() as u64;
            let record = commits.last().map_or(0, |commit| commit.upto);
            // It is never put back, so that no hash has to tell.
            let now = Moment { record, hash: None, commits: commits.len() as u64, untold };
            let seen = since.map_or(commits.len(), |since| since.commits as usize);
            let theirs = commits[seen..].iter().filter(|commit| commit.node != self.node);
            (now, theirs.map(|commit| (commit.after, commit.upto, commit.untold)).collect::<Vec<_>>())
        };
        let mut records = Vec::new();
        for (after, upto, _) in &theirs {
            records.extend(self.database.store.audit_list(*after, (upto - after) as usize).await?);
        }
        self.link.come_late().await;
        let untold = theirs.iter().any(|(.., untold)| *untold);
        Ok(OthersChanges { now, records, untold, unknown: false })
    }
}

#[async_trait]
impl LeaseStore for View {
    async fn lease_take(&self, _: AccountId, lease: Lease, holder: NodeId, span: Duration) -> Result<bool> {
        self.reach()?;
        let (mut leases, now) = (self.database.leases.lock().unwrap(), Instant::now());
        let (held, until) = leases.entry(lease).or_insert((holder, now));
        if *held != holder && *until > now {
            return Ok(false);
        }
        (*held, *until) = (holder, now + span);
        Ok(true)
    }

    async fn lease_give_back(&self, _: AccountId, lease: Lease, holder: NodeId) -> Result<()> {
        self.reach()?;
        self.database.leases.lock().unwrap().retain(|known, (held, _)| *known != lease || *held != holder);
        Ok(())
    }
}

/// A part of a store, all of it by the store that the database is made of.
macro_rules! delegated {
    ($Trait:ident:
        passed { $($p:ident($($pa:ident: $pt:ty),*) -> $po:ty;)* }
        reads { $($r:ident($($ra:ident: $rt:ty),*) -> $ro:ty;)* }
        writes { $($w:ident($($wa:ident: $wt:ty),*) -> $wo:ty;)* }
        untold { $($u:ident($($ua:ident: $ut:ty),*) -> $uo:ty;)* }
    ) => {
        #[async_trait]
        impl $Trait for View {
            $(async fn $p(&self, $($pa: $pt),*) -> Result<$po> {
                self.database.store.$p($($pa),*).await
            })*
            $(async fn $r(&self, $($ra: $rt),*) -> Result<$ro> {
                self.read(stringify!($r), self.database.store.$r($($ra),*)).await
            })*
            $(async fn $w(&self, $($wa: $wt),*) -> Result<$wo> {
                self.write(false, self.database.store.$w($($wa),*)).await
            })*
            $(async fn $u(&self, $($ua: $ut),*) -> Result<$uo> {
                self.write(true, self.database.store.$u($($ua),*)).await
            })*
        }
    };
}

every_method!(delegated);
