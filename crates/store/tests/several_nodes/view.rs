//! A database that several nodes share, made of a store that one process has to itself: each node sees it through a view of its
//! own, which knows whose each commit was, and whose link can be slow, cut or deaf.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use strongroom_crypto::WrappedKey;
use strongroom_domain::answer::{Answer, Creation};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::audit::{Event, EventQuery, Head, Record};
use strongroom_domain::caller::Credential;
use strongroom_domain::deleted::{Deleted, Deletion, Leftovers};
use strongroom_domain::gate::Gate;
use strongroom_domain::ids::{
    AccountId, ApiKeyId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, KeySlotId, PrincipalId, SecretId,
    ServiceUserId, VaultId, WebhookId,
};
use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
use strongroom_domain::keep::Keep;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::page::{Listing, PageLimit, Query};
use strongroom_domain::principal::{Account, ServiceUser, User};
use strongroom_domain::rotation::{Due as RotationDue, Kind, NewKey, NewRootKey, Rotation, Turned, Usage};
use strongroom_domain::secret::{Detail, Due, Expiring, Kept, Resolved, Secret, Told, Version, Walked};
use strongroom_domain::store::{
    ApiKeysOf, Counts, IpStore, KeySlotStore, Lease, LeaseStore, Moment, NodeId, OthersChanges,
    RotationStore, SharedStore, Store, WebhookStore,
};
use strongroom_domain::vault::Vault;
use strongroom_domain::webhook::{Delivery, DeliveryCounts, DeliveryState, Settled, Webhook};
use strongroom_domain::{Digest, Error, Result};
use strongroom_store::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

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
            let now = Moment { record, commits: commits.len() as u64, untold };
            let seen = since.map_or(commits.len(), |since| since.commits as usize);
            let theirs = commits[seen..].iter().filter(|commit| commit.node != self.node);
            (now, theirs.map(|commit| (commit.after, commit.upto, commit.untold)).collect::<Vec<_>>())
        };
        let mut records = Vec::new();
        for (after, upto, _) in &theirs {
            records.extend(self.database.store.audit_list(*after, (upto - after) as usize).await?);
        }
        self.link.come_late().await;
        Ok(OthersChanges { now, records, untold: theirs.iter().any(|(.., untold)| *untold) })
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

delegated! { Store:
    passed {
        audit_watch(past: u64) -> u64;
    }
    reads {
        account_find() -> Option<Account>;
        log_key_find(account: AccountId) -> Option<WrappedKey>;
        log_keys_made() -> u64;
        credential_find(id: ApiKeyId) -> Option<Arc<Credential>>;
        user_find(account: AccountId, email: &str) -> Option<User>;
        principal_is_active(account: AccountId, id: PrincipalId) -> Option<bool>;
        answer_find(account: AccountId, mark: Digest) -> Option<Answer>;
        vault_find(account: AccountId, id: VaultId) -> Option<Arc<Vault>>;
        vault_find_by_name(account: AccountId, name: &str) -> Option<Arc<Vault>>;
        vault_list(account: AccountId, query: Query) -> Listing<Vault>;
        secret_find(account: AccountId, id: SecretId) -> Option<Arc<Secret>>;
        secret_find_by_name(account: AccountId, vault: VaultId, name: &str) -> Option<Arc<Secret>>;
        secret_list(account: AccountId, vault: Option<VaultId>, query: Query) -> Arc<Listing<Arc<Secret>>>;
        resolved_find(account: AccountId, id: SecretId) -> Option<Resolved>;
        detail_list(account: AccountId, vault: Option<VaultId>, unused_since: Option<Timestamp>, query: Query) -> Listing<Detail>;
        expiring_list(account: AccountId, by: Timestamp, limit: usize) -> Vec<Expiring>;
        deleted_list(account: AccountId, query: Query) -> Leftovers;
        deleted_due(account: AccountId, by: Timestamp, limit: usize) -> Leftovers;
        deleted_secrets_of(account: AccountId, vault: VaultId, limit: usize) -> Vec<Deleted<Secret>>;
        deleted_secret_find(account: AccountId, id: SecretId) -> Option<Deleted<Secret>>;
        deleted_vault_find(account: AccountId, id: VaultId) -> Option<Deleted<Vault>>;
        version_find(account: AccountId, secret: SecretId, number: u32) -> Option<Version>;
        version_list(account: AccountId, which: Vec<(SecretId, u32)>) -> Vec<Option<Arc<Version>>>;
        version_kept(account: AccountId, secret: SecretId) -> Vec<Kept>;
        version_due(account: AccountId, keep: Keep, now: Timestamp, after: Option<Walked>, limit: usize) -> Due;
        api_key_find(account: AccountId, id: ApiKeyId) -> Option<ApiKey>;
        api_key_list(account: AccountId, of: ApiKeysOf, query: Query) -> Listing<ApiKey>;
        service_user_find(account: AccountId, id: ServiceUserId) -> Option<ServiceUser>;
        service_user_list(account: AccountId, query: Query) -> Listing<ServiceUser>;
        audit_list(after: u64, limit: usize) -> Vec<Record>;
        audit_page(query: EventQuery) -> Listing<Record>;
        audit_hashes(level: u32, first: u64, count: u64) -> Vec<Digest>;
        audit_pruned() -> u64;
        audit_pruned_by() -> u64;
        audit_head() -> Head;
        counts() -> Counts;
    }
    writes {
        account_insert(account: Account, user: User, key: ApiKey, slots: Vec<KeySlot>, events: Vec<Event>) -> ();
        vault_insert(account: AccountId, vault: Vault, max: Option<u64>, creation: Creation) -> ();
        vault_update(account: AccountId, vault: Vault, event: Event) -> ();
        vault_delete(account: AccountId, vault: Arc<Vault>, deletion: Deletion, keep: bool, event: Event) -> ();
        secret_insert(account: AccountId, vault: Arc<Vault>, secret: Secret, version: Version, max: Option<u64>, creation: Creation) -> ();
        secret_update(account: AccountId, secret: Secret, version: Option<Version>, keep: u32, event: Event) -> ();
        secret_move(account: AccountId, from: Arc<Secret>, vault: Arc<Vault>, secret: Secret, versions: Vec<Version>, event: Event) -> ();
        event_append(account: AccountId, event: Event) -> ();
        secret_resolved(account: AccountId, events: Vec<Event>) -> ();
        secret_delete(account: AccountId, secret: Arc<Secret>, deletion: Deletion, keep: bool, event: Event) -> ();
        secret_undelete(account: AccountId, vault: Arc<Vault>, secret: Secret, max: Option<u64>, event: Event) -> ();
        vault_undelete(account: AccountId, vault: Vault, max: Option<u64>, event: Event) -> ();
        secrets_purge(account: AccountId, which: Vec<(SecretId, u64)>, with: Option<(VaultId, u64)>, events: Vec<Event>) -> ();
        vault_purge(account: AccountId, id: VaultId, revision: u64, event: Event) -> ();
        api_key_insert(account: AccountId, key: ApiKey, creation: Creation) -> ();
        api_key_update(account: AccountId, key: ApiKey, event: Event) -> ();
        api_key_delete(account: AccountId, id: ApiKeyId, revision: u64, event: Event) -> ();
        service_user_insert(account: AccountId, user: ServiceUser, creation: Creation) -> ();
        service_user_update(account: AccountId, user: ServiceUser, event: Event) -> ();
        service_user_delete(account: AccountId, id: ServiceUserId, revision: u64, keys: Vec<ApiKeyId>, events: Vec<Event>) -> ();
        audit_prune(from: u64, upto: u64, event: Event) -> ();
    }
    untold {
        log_key_insert(account: AccountId, key: WrappedKey) -> ();
        answers_prune(account: AccountId, by: Timestamp, limit: usize) -> usize;
        expiring_told(account: AccountId, told: Vec<Told>, events: Vec<Event>) -> ();
        version_prune(account: AccountId, which: Vec<(SecretId, u32)>) -> ();
    }
}

delegated! { IpStore:
    passed {}
    reads {
        ip_gate(account: AccountId) -> Arc<Gate>;
        ip_policy_find(account: AccountId, id: IpPolicyId) -> Option<IpPolicy>;
        ip_policy_list(account: AccountId, query: Query) -> Listing<IpPolicy>;
        ip_rule_find(account: AccountId, id: IpPolicyRuleId) -> Option<IpPolicyRule>;
        ip_rule_list(account: AccountId, query: Query) -> Listing<IpPolicyRule>;
        ip_rules_of(account: AccountId, policy: IpPolicyId) -> Vec<IpPolicyRule>;
        ip_restriction_find(account: AccountId, id: IpRestrictionId) -> Option<IpRestriction>;
        ip_restriction_list(account: AccountId, query: Query) -> Listing<IpRestriction>;
    }
    writes {
        ip_policy_insert(account: AccountId, policy: IpPolicy, creation: Creation) -> ();
        ip_policy_update(account: AccountId, policy: IpPolicy, event: Event) -> ();
        ip_policy_delete(account: AccountId, id: IpPolicyId, revision: u64, rules: Vec<IpPolicyRuleId>, events: Vec<Event>) -> ();
        ip_rule_insert(account: AccountId, rule: IpPolicyRule, stay: Option<IpAddr>, creation: Creation) -> ();
        ip_rule_update(account: AccountId, rule: IpPolicyRule, stay: Option<IpAddr>, event: Event) -> ();
        ip_rule_delete(account: AccountId, id: IpPolicyRuleId, revision: u64, stay: Option<IpAddr>, event: Event) -> ();
        ip_restriction_insert(account: AccountId, restriction: IpRestriction, stay: Option<IpAddr>, creation: Creation) -> ();
        ip_restriction_update(account: AccountId, restriction: IpRestriction, stay: Option<IpAddr>, event: Event) -> ();
        ip_restriction_delete(account: AccountId, id: IpRestrictionId, revision: u64, stay: Option<IpAddr>, event: Event) -> ();
    }
    untold {}
}

delegated! { KeySlotStore:
    passed {}
    reads {
        key_slot_list(account: AccountId) -> Vec<KeySlot>;
    }
    writes {
        key_slot_insert(account: AccountId, slot: KeySlot, event: Event) -> ();
        key_slot_delete(account: AccountId, id: KeySlotId, event: Event) -> ();
    }
    untold {}
}

delegated! { RotationStore:
    passed {}
    reads {
        rotation_list(account: AccountId) -> Vec<Rotation>;
        rotation_usage(account: AccountId, vaults: Vec<VaultId>) -> Vec<Usage>;
        rotation_due(account: AccountId, vault: VaultId, kind: Kind, after: Option<(SecretId, u32)>, limit: usize) -> Vec<RotationDue>;
        root_keyed_at(account: AccountId) -> Timestamp;
        rotation_overdue(account: AccountId, by: Timestamp, limit: usize) -> Vec<VaultId>;
    }
    writes {
        rotation_begin(account: AccountId, rotation: Rotation, key: Option<NewKey>, event: Event) -> ();
        rotation_end(account: AccountId, vault: VaultId, kind: Kind, event: Event) -> ();
        root_key_replace(account: AccountId, new: NewRootKey, event: Event) -> u64;
    }
    untold {
        rotation_step(account: AccountId, vault: VaultId, kind: Kind, turned: Vec<Turned>) -> u64;
    }
}

delegated! { WebhookStore:
    passed {}
    reads {
        webhook_find(account: AccountId, id: WebhookId) -> Option<Webhook>;
        webhook_list(account: AccountId, query: Query) -> Listing<Webhook>;
        webhook_active(account: AccountId) -> Vec<WebhookId>;
        delivery_next(account: AccountId, webhook: WebhookId, limit: usize) -> Vec<Delivery>;
        delivery_list(account: AccountId, webhook: WebhookId, state: Option<DeliveryState>, before: Option<u64>, limit: PageLimit) -> Listing<Delivery>;
        delivery_counts(account: AccountId, webhook: WebhookId) -> DeliveryCounts;
    }
    writes {
        webhook_insert(account: AccountId, webhook: Webhook, max: u64, event: Event) -> ();
        webhook_update(account: AccountId, webhook: Webhook, event: Event) -> ();
        webhook_delete(account: AccountId, id: WebhookId, revision: u64, event: Event) -> ();
    }
    untold {
        old_secrets_delete(account: AccountId, now: Timestamp) -> ();
        delivery_settle(account: AccountId, webhook: WebhookId, position: u64, settled: Vec<Settled>) -> ();
        delivery_retry(account: AccountId, webhook: WebhookId, sequence: Option<u64>, now: Timestamp) -> u64;
        delivery_prune(account: AccountId, webhook: WebhookId, by: Timestamp, limit: usize) -> u64;
    }
}
