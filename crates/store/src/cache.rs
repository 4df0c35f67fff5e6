//! The hottest lookups from memory.
//!
//! A cached answer is never older than the last acknowledged change: what is being changed is taken out before the change
//! is sent to the store, and stays out until the change is done or failed. Memory is bounded by weight.

mod coherent;
mod ip;
mod key_slots;
mod rotations;
mod webhooks;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use strongroom_crypto::WrappedKey;
use strongroom_domain::answer::{Answer, Creation};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::audit::{Event, EventQuery, Head, Record};
use strongroom_domain::caller::Credential;
use strongroom_domain::deleted::{Deleted, Deletion, Leftovers};
use strongroom_domain::filter::Filter;
use strongroom_domain::gate::Gate;
use strongroom_domain::ids::{AccountId, ApiKeyId, PrincipalId, SecretId, ServiceUserId, VaultId};
use strongroom_domain::keep::Keep;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::principal::{Account, ServiceUser, User};
use strongroom_domain::secret::{Detail, Due, Expiring, Kept, Resolved, Secret, Told, Version, Walked};
use strongroom_domain::store::{ApiKeysOf, Counts, Store};
use strongroom_domain::vault::Vault;
use strongroom_domain::{Digest, Error, Result};

use coherent::{Coherent, ENTRY_WEIGHT, Pages};

/// Bytes of memory for secrets' metadata, about.
const SECRETS_WEIGHT: u64 = 24 << 20;
/// Bytes of memory for sealed values, about.
const VERSIONS_WEIGHT: u64 = 16 << 20;
/// Bytes of memory for pages of secrets, about: a page of a hundred takes some 60 KiB.
const PAGES_WEIGHT: u64 = 16 << 20;
/// Bytes of memory for vaults, about.
const VAULTS_WEIGHT: u64 = 4 << 20;
/// Bytes of memory for credentials, about.
const CREDENTIALS_WEIGHT: u64 = 4 << 20;
/// Bytes of memory for gates, about: an account has one, whose size its limits bound.
const GATES_WEIGHT: u64 = 1 << 20;
/// How long a change waits for its commit before the caller is told that the store is not available. The disk may hang for
/// longer, and nobody can make it answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// What a grant weighs beside its text.
const GRANT_WEIGHT: usize = 100;
/// Vault names whose ids are remembered.
const NAMES: usize = 4096;
/// Secret names whose ids are remembered.
const SECRET_NAMES: usize = 32 << 10;
struct Caches {
    secrets: Coherent<(AccountId, SecretId), Secret>,
    /// Of each secret the version that was asked for last, sealed.
    versions: Coherent<(AccountId, SecretId), Version>,
    vaults: Coherent<(AccountId, VaultId), Vault>,
    /// Which vault had a name when it was last looked for. Only a hint: the vault itself says what it is called.
    names: Cache<(AccountId, String), VaultId>,
    /// The same of secrets in a vault.
    secret_names: Cache<(AccountId, VaultId, String), SecretId>,
    credentials: Coherent<ApiKeyId, Credential>,
    gates: Coherent<AccountId, Gate>,
    pages: Pages<PageKey, Listing<Arc<Secret>>>,
}

/// What a page of secrets was asked for by: all of the account, or of one vault, and how.
type PageKey = (AccountId, Option<VaultId>, Query);

/// What a change replaces.
#[derive(Clone, Copy)]
enum Replaced {
    Secret(AccountId, SecretId),
    /// No record, but the lists that a secret comes into.
    SecretList,
    /// The vault, and with it the name that its secrets show.
    Vault(AccountId, VaultId),
    /// The keys of a vault, and nothing else of it.
    VaultKeys(AccountId, VaultId),
    /// The keys of all vaults.
    AllVaultKeys,
    /// How versions of a secret are sealed, and nothing that is told of it.
    Sealed(AccountId, SecretId),
    Key(ApiKeyId),
    Gate(AccountId),
    /// A service user, and with it all credentials that are its.
    ServiceUser,
}

impl Caches {
    fn begin(&self, replaced: Replaced) {
        match replaced {
            Replaced::Secret(account, id) => {
                self.secrets.begin((account, id));
                self.versions.begin((account, id));
                self.pages.begin();
            }
            Replaced::SecretList => self.pages.begin(),
            Replaced::Vault(account, id) => {
                self.vaults.begin((account, id));
                self.secrets.begin_all();
                self.pages.begin();
            }
            Replaced::VaultKeys(account, id) => self.vaults.begin((account, id)),
            Replaced::AllVaultKeys => self.vaults.begin_all(),
            Replaced::Sealed(account, id) => self.versions.begin((account, id)),
            Replaced::Key(id) => self.credentials.begin(id),
            Replaced::Gate(account) => self.gates.begin(account),
            Replaced::ServiceUser => self.credentials.begin_all(),
        }
    }

    fn end(&self, replaced: Replaced) {
        match replaced {
            Replaced::Secret(account, id) => {
                self.pages.end();
                self.versions.end((account, id));
                self.secrets.end((account, id));
            }
            Replaced::SecretList => self.pages.end(),
            Replaced::Vault(account, id) => {
                self.pages.end();
                self.secrets.end_all();
                self.vaults.end((account, id));
            }
            Replaced::VaultKeys(account, id) => self.vaults.end((account, id)),
            Replaced::AllVaultKeys => self.vaults.end_all(),
            Replaced::Sealed(account, id) => self.versions.end((account, id)),
            Replaced::Key(id) => self.credentials.end(id),
            Replaced::Gate(account) => self.gates.end(account),
            Replaced::ServiceUser => self.credentials.end_all(),
        }
    }
}

/// A store whose hottest lookups are answered from memory, and whose changes are waited for within bounds.
pub struct CachedStore {
    store: Arc<dyn Store>,
    caches: Arc<Caches>,
}

impl CachedStore {
    /// A cache in front of that store. All changes must come through it.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        let caches = Caches {
            secrets: Coherent::new(SECRETS_WEIGHT, texts_of),
            versions: Coherent::new(VERSIONS_WEIGHT, |version| {
                version.sealed.ciphertext.len() + version.sealed.wrapped_key.as_bytes().len()
            }),
            vaults: Coherent::new(VAULTS_WEIGHT, |vault| {
                vault.name.len() + vault.description.len() + vault.metadata.len()
            }),
            names: Cache::new(NAMES),
            secret_names: Cache::new(SECRET_NAMES),
            credentials: Coherent::new(CREDENTIALS_WEIGHT, |credential| {
                let grants = credential.key.grants.iter().flat_map(|grants| grants.iter());
                let grants: usize = grants.map(|grant| GRANT_WEIGHT + grant.to_string().len()).sum();
                let key = &credential.key;
                key.description.len() + key.metadata.len() + credential.subject.len() + grants
            }),
            gates: Coherent::new(GATES_WEIGHT, |_| 0),
            pages: Pages::new(PAGES_WEIGHT, |(_, _, query), page| {
                let secrets = page.items.iter().map(|secret| ENTRY_WEIGHT + texts_of(secret));
                weight_of(query) + secrets.sum::<usize>()
            }),
        };
        Self { store, caches: Arc::new(caches) }
    }

    /// Has a change done that replaces what may be cached. It runs to its end also when the caller goes away: otherwise
    /// nobody would know when the store is done with it.
    async fn replacing<T, F>(&self, replaced: Replaced, change: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.replacing_all(vec![replaced], change).await
    }

    async fn replacing_all<T, F>(
        &self,
        replaced: Vec<Replaced>,
        change: impl FnOnce(Arc<dyn Store>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let caches = self.caches.clone();
        let change = change(self.store.clone());
        replaced.iter().for_each(|replaced| caches.begin(*replaced));
        let task = tokio::spawn(async move {
            let result = change.await;
            replaced.iter().for_each(|replaced| caches.end(*replaced));
            result
        });
        // The deadline is the caller's alone: what is replaced stays out until the store is done with it.
        bounded(async { task.await.map_err(|error| Error::Internal(Box::new(error)))? }).await
    }
}

fn texts_of(secret: &Secret) -> usize {
    secret.name.len() + secret.vault_name.len() + secret.description.len() + secret.metadata.len()
}

/// What a query holds beside itself. It is the caller's to make long: by a filter, and by the grants of their key.
fn weight_of(query: &Query) -> usize {
    let filter = query.filter.as_ref().map_or(0, Filter::heap_size);
    let targets = query.scope.iter().flatten();
    let scope = targets
        .map(|target| GRANT_WEIGHT + target.vault.as_str().len() + target.secret.as_str().len())
        .sum::<usize>();
    filter + scope
}

/// Told to those whose change waited too long. It may still be done.
#[derive(Debug, thiserror::Error)]
#[error("the disk did not answer within {} seconds", DEADLINE.as_secs())]
struct Late;

async fn bounded<T>(change: impl Future<Output = Result<T>>) -> Result<T> {
    let done = tokio::time::timeout(DEADLINE, change).await;
    done.unwrap_or_else(|_| Err(Error::Unavailable(Box::new(Late))))
}

#[async_trait]
impl Store for CachedStore {
    async fn account_find(&self) -> Result<Option<Account>> {
        self.store.account_find().await
    }

    async fn account_insert(
        &self,
        account: Account,
        user: User,
        key: ApiKey,
        slots: Vec<KeySlot>,
        events: Vec<Event>,
    ) -> Result<()> {
        self.store.account_insert(account, user, key, slots, events).await
    }

    async fn log_key_find(&self, account: AccountId) -> Result<Option<WrappedKey>> {
        self.store.log_key_find(account).await
    }

    async fn log_key_insert(&self, account: AccountId, key: WrappedKey) -> Result<()> {
        self.store.log_key_insert(account, key).await
    }

    async fn log_keys_made(&self) -> Result<u64> {
        self.store.log_keys_made().await
    }

    async fn credential_find(&self, id: ApiKeyId) -> Result<Option<Arc<Credential>>> {
        let cache = &self.caches.credentials;
        if let Some(known) = cache.get(id) {
            return Ok(Some(known));
        }
        let ticket = cache.ticket(id);
        let found = self.store.credential_find(id).await?;
        found.iter().for_each(|found| cache.keep(id, ticket, found));
        Ok(found)
    }

    async fn user_find(&self, account: AccountId, email: &str) -> Result<Option<User>> {
        self.store.user_find(account, email).await
    }

    async fn principal_is_active(&self, account: AccountId, id: PrincipalId) -> Result<Option<bool>> {
        self.store.principal_is_active(account, id).await
    }

    // Answers are asked for once, when somebody tries again: none is kept in memory.

    async fn answer_find(&self, account: AccountId, mark: Digest) -> Result<Option<Answer>> {
        self.store.answer_find(account, mark).await
    }

    async fn answers_prune(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<usize> {
        bounded(self.store.answers_prune(account, by, limit)).await
    }

    async fn vault_insert(
        &self,
        account: AccountId,
        vault: Vault,
        max: Option<u64>,
        creation: Creation,
    ) -> Result<()> {
        bounded(self.store.vault_insert(account, vault, max, creation)).await
    }

    async fn vault_find(&self, account: AccountId, id: VaultId) -> Result<Option<Arc<Vault>>> {
        let (cache, key) = (&self.caches.vaults, (account, id));
        if let Some(known) = cache.get(key) {
            return Ok(Some(known));
        }
        let ticket = cache.ticket(key);
        let found = self.store.vault_find(account, id).await?;
        found.iter().for_each(|found| cache.keep(key, ticket, found));
        Ok(found)
    }

    async fn vault_find_by_name(&self, account: AccountId, name: &str) -> Result<Option<Arc<Vault>>> {
        let key = (account, name.to_owned());
        if let Some(hint) = self.caches.names.get(&key)
            && let Some(vault) = self.vault_find(account, hint).await?
            && vault.name == name
        {
            return Ok(Some(vault));
        }
        let found = self.store.vault_find_by_name(account, name).await?;
        if let Some(vault) = &found {
            self.caches.names.insert(key, vault.id);
        }
        Ok(found)
    }

    async fn vault_list(&self, account: AccountId, query: Query) -> Result<Listing<Vault>> {
        self.store.vault_list(account, query).await
    }

    async fn vault_update(&self, account: AccountId, vault: Vault, event: Event) -> Result<()> {
        let replaced = Replaced::Vault(account, vault.id);
        self.replacing(replaced, async move |store: Arc<dyn Store>| {
            store.vault_update(account, vault, event).await
        })
        .await
    }

    async fn vault_delete(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        deletion: Deletion,
        keep: bool,
        event: Event,
    ) -> Result<()> {
        let replaced = Replaced::Vault(account, vault.id);
        self.replacing(replaced, async move |store: Arc<dyn Store>| {
            store.vault_delete(account, vault, deletion, keep, event).await
        })
        .await
    }

    async fn secret_insert(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        secret: Secret,
        version: Version,
        max: Option<u64>,
        creation: Creation,
    ) -> Result<()> {
        let change = async move |store: Arc<dyn Store>| {
            store.secret_insert(account, vault, secret, version, max, creation).await
        };
        self.replacing(Replaced::SecretList, change).await
    }

    async fn secret_find(&self, account: AccountId, id: SecretId) -> Result<Option<Arc<Secret>>> {
        let (cache, key) = (&self.caches.secrets, (account, id));
        if let Some(known) = cache.get(key) {
            return Ok(Some(known));
        }
        let ticket = cache.ticket(key);
        let found = self.store.secret_find(account, id).await?;
        found.iter().for_each(|found| cache.keep(key, ticket, found));
        Ok(found)
    }

    async fn secret_find_by_name(
        &self,
        account: AccountId,
        vault: VaultId,
        name: &str,
    ) -> Result<Option<Arc<Secret>>> {
        let key = (account, vault, name.to_owned());
        if let Some(hint) = self.caches.secret_names.get(&key)
            && let Some(secret) = self.secret_find(account, hint).await?
            && (secret.vault_id, secret.name.as_str()) == (vault, name)
        {
            return Ok(Some(secret));
        }
        let found = self.store.secret_find_by_name(account, vault, name).await?;
        if let Some(secret) = &found {
            self.caches.secret_names.insert(key, secret.id);
        }
        Ok(found)
    }

    async fn secret_list(
        &self,
        account: AccountId,
        vault: Option<VaultId>,
        query: Query,
    ) -> Result<Arc<Listing<Arc<Secret>>>> {
        let (cache, key) = (&self.caches.pages, (account, vault, query));
        if let Some(known) = cache.get(&key) {
            return Ok(known);
        }
        let ticket = cache.ticket();
        let found = self.store.secret_list(account, vault, key.2.clone()).await?;
        cache.keep(key, ticket, &found);
        Ok(found)
    }

    async fn secret_update(
        &self,
        account: AccountId,
        secret: Secret,
        version: Option<Version>,
        keep: u32,
        event: Event,
    ) -> Result<()> {
        let replaced = Replaced::Secret(account, secret.id);
        let change = async move |store: Arc<dyn Store>| {
            store.secret_update(account, secret, version, keep, event).await
        };
        self.replacing(replaced, change).await
    }

    async fn secret_move(
        &self,
        account: AccountId,
        from: Arc<Secret>,
        vault: Arc<Vault>,
        secret: Secret,
        versions: Vec<Version>,
        event: Event,
    ) -> Result<()> {
        let replaced = Replaced::Secret(account, secret.id);
        let change = async move |store: Arc<dyn Store>| {
            store.secret_move(account, from, vault, secret, versions, event).await
        };
        self.replacing(replaced, change).await
    }

    async fn event_append(&self, account: AccountId, event: Event) -> Result<()> {
        bounded(self.store.event_append(account, event)).await
    }

    async fn secret_resolved(&self, account: AccountId, events: Vec<Event>) -> Result<()> {
        bounded(self.store.secret_resolved(account, events)).await
    }

    async fn resolved_find(&self, account: AccountId, id: SecretId) -> Result<Option<Resolved>> {
        self.store.resolved_find(account, id).await
    }

    async fn detail_list(
        &self,
        account: AccountId,
        vault: Option<VaultId>,
        unused_since: Option<Timestamp>,
        query: Query,
    ) -> Result<Listing<Detail>> {
        self.store.detail_list(account, vault, unused_since, query).await
    }

    async fn secret_delete(
        &self,
        account: AccountId,
        secret: Arc<Secret>,
        deletion: Deletion,
        keep: bool,
        event: Event,
    ) -> Result<()> {
        let replaced = Replaced::Secret(account, secret.id);
        let change = async move |store: Arc<dyn Store>| {
            store.secret_delete(account, secret, deletion, keep, event).await
        };
        self.replacing(replaced, change).await
    }

    async fn expiring_list(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<Vec<Expiring>> {
        self.store.expiring_list(account, by, limit).await
    }

    // No record carries what was told of its end: nothing that is cached is replaced.
    async fn expiring_told(&self, account: AccountId, told: Vec<Told>, events: Vec<Event>) -> Result<()> {
        bounded(self.store.expiring_told(account, told, events)).await
    }

    async fn deleted_list(&self, account: AccountId, query: Query) -> Result<Leftovers> {
        self.store.deleted_list(account, query).await
    }

    async fn deleted_due(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<Leftovers> {
        self.store.deleted_due(account, by, limit).await
    }

    async fn deleted_secrets_of(
        &self,
        account: AccountId,
        vault: VaultId,
        limit: usize,
    ) -> Result<Vec<Deleted<Secret>>> {
        self.store.deleted_secrets_of(account, vault, limit).await
    }

    async fn deleted_secret_find(&self, account: AccountId, id: SecretId) -> Result<Option<Deleted<Secret>>> {
        self.store.deleted_secret_find(account, id).await
    }

    async fn deleted_vault_find(&self, account: AccountId, id: VaultId) -> Result<Option<Deleted<Vault>>> {
        self.store.deleted_vault_find(account, id).await
    }

    // What is deleted is in no cache: bringing it back replaces lists alone, and destroying it nothing.

    async fn secret_undelete(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        secret: Secret,
        max: Option<u64>,
        event: Event,
    ) -> Result<()> {
        let change = async move |store: Arc<dyn Store>| {
            store.secret_undelete(account, vault, secret, max, event).await
        };
        self.replacing(Replaced::SecretList, change).await
    }

    async fn vault_undelete(
        &self,
        account: AccountId,
        vault: Vault,
        max: Option<u64>,
        event: Event,
    ) -> Result<()> {
        bounded(self.store.vault_undelete(account, vault, max, event)).await
    }

    async fn secrets_purge(
        &self,
        account: AccountId,
        which: Vec<(SecretId, u64)>,
        with: Option<(VaultId, u64)>,
        events: Vec<Event>,
    ) -> Result<()> {
        bounded(self.store.secrets_purge(account, which, with, events)).await
    }

    async fn vault_purge(&self, account: AccountId, id: VaultId, revision: u64, event: Event) -> Result<()> {
        bounded(self.store.vault_purge(account, id, revision, event)).await
    }

    async fn version_find(
        &self,
        account: AccountId,
        secret: SecretId,
        number: u32,
    ) -> Result<Option<Version>> {
        self.store.version_find(account, secret, number).await
    }

    async fn version_list(
        &self,
        account: AccountId,
        which: Vec<(SecretId, u32)>,
    ) -> Result<Vec<Option<Arc<Version>>>> {
        let cache = &self.caches.versions;
        let known = |&(secret, number): &(SecretId, u32)| {
            cache.get((account, secret)).filter(|version| version.number == number)
        };
        let mut found: Vec<_> = which.iter().map(known).collect();
        let unknown: Vec<usize> = (0..which.len()).filter(|place| found[*place].is_none()).collect();
        if unknown.is_empty() {
            return Ok(found);
        }
        let key = |place: usize| (account, which[place].0);
        let tickets: Vec<_> = unknown.iter().map(|place| cache.ticket(key(*place))).collect();
        let asked = unknown.iter().map(|place| which[*place]).collect();
        let read = self.store.version_list(account, asked).await?;
        for ((place, ticket), version) in unknown.into_iter().zip(tickets).zip(read) {
            version.iter().for_each(|version| cache.keep(key(place), ticket, version));
            found[place] = version;
        }
        Ok(found)
    }

    async fn version_kept(&self, account: AccountId, secret: SecretId) -> Result<Vec<Kept>> {
        self.store.version_kept(account, secret).await
    }

    async fn version_due(
        &self,
        account: AccountId,
        keep: Keep,
        now: Timestamp,
        after: Option<Walked>,
        limit: usize,
    ) -> Result<Due> {
        self.store.version_due(account, keep, now, after, limit).await
    }

    async fn version_prune(&self, account: AccountId, which: Vec<(SecretId, u32)>) -> Result<()> {
        let secrets: BTreeSet<_> = which.iter().map(|(secret, _)| *secret).collect();
        let replaced = secrets.into_iter().map(|secret| Replaced::Secret(account, secret)).collect();
        let change = async move |store: Arc<dyn Store>| store.version_prune(account, which).await;
        self.replacing_all(replaced, change).await
    }

    async fn api_key_insert(&self, account: AccountId, key: ApiKey, creation: Creation) -> Result<()> {
        bounded(self.store.api_key_insert(account, key, creation)).await
    }

    async fn api_key_find(&self, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>> {
        self.store.api_key_find(account, id).await
    }

    async fn api_key_list(&self, account: AccountId, of: ApiKeysOf, query: Query) -> Result<Listing<ApiKey>> {
        self.store.api_key_list(account, of, query).await
    }

    async fn api_key_update(&self, account: AccountId, key: ApiKey, event: Event) -> Result<()> {
        let replaced = Replaced::Key(key.id);
        self.replacing(replaced, async move |store: Arc<dyn Store>| {
            store.api_key_update(account, key, event).await
        })
        .await
    }

    async fn api_key_delete(
        &self,
        account: AccountId,
        id: ApiKeyId,
        revision: u64,
        event: Event,
    ) -> Result<()> {
        let change =
            async move |store: Arc<dyn Store>| store.api_key_delete(account, id, revision, event).await;
        self.replacing(Replaced::Key(id), change).await
    }

    async fn service_user_insert(
        &self,
        account: AccountId,
        user: ServiceUser,
        creation: Creation,
    ) -> Result<()> {
        bounded(self.store.service_user_insert(account, user, creation)).await
    }

    async fn service_user_find(&self, account: AccountId, id: ServiceUserId) -> Result<Option<ServiceUser>> {
        self.store.service_user_find(account, id).await
    }

    async fn service_user_list(&self, account: AccountId, query: Query) -> Result<Listing<ServiceUser>> {
        self.store.service_user_list(account, query).await
    }

    async fn service_user_update(&self, account: AccountId, user: ServiceUser, event: Event) -> Result<()> {
        let change = async move |store: Arc<dyn Store>| store.service_user_update(account, user, event).await;
        self.replacing(Replaced::ServiceUser, change).await
    }

    async fn service_user_delete(
        &self,
        account: AccountId,
        id: ServiceUserId,
        revision: u64,
        keys: Vec<ApiKeyId>,
        events: Vec<Event>,
    ) -> Result<()> {
        let change = async move |store: Arc<dyn Store>| {
            store.service_user_delete(account, id, revision, keys, events).await
        };
        self.replacing(Replaced::ServiceUser, change).await
    }

    async fn audit_list(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        self.store.audit_list(after, limit).await
    }

    async fn audit_page(&self, query: EventQuery) -> Result<Listing<Record>> {
        self.store.audit_page(query).await
    }

    async fn audit_hashes(&self, level: u32, first: u64, count: u64) -> Result<Vec<Digest>> {
        self.store.audit_hashes(level, first, count).await
    }

    async fn audit_watch(&self, past: u64) -> Result<u64> {
        self.store.audit_watch(past).await
    }

    async fn audit_pruned(&self) -> Result<u64> {
        self.store.audit_pruned().await
    }

    async fn audit_pruned_by(&self) -> Result<u64> {
        self.store.audit_pruned_by().await
    }

    async fn audit_prune(&self, from: u64, upto: u64, event: Event) -> Result<()> {
        self.store.audit_prune(from, upto, event).await
    }

    async fn audit_head(&self) -> Result<Head> {
        self.store.audit_head().await
    }

    async fn counts(&self) -> Result<Counts> {
        self.store.counts().await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sqlite::SqliteStore;
    use strongroom_domain::ids::Ksuid;

    /// A caller is told after the deadline; what was to be replaced stays out of the cache until the store is done.
    #[tokio::test(start_paused = true)]
    async fn what_a_late_change_replaces_stays_out_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        let cached = Arc::new(CachedStore::new(Arc::new(store)));
        let key = ApiKeyId::new(Ksuid::MIN);
        let twice = DEADLINE * 2;
        let (slow, start) = (cached.clone(), tokio::time::Instant::now());
        let change = slow.replacing(Replaced::Key(key), async move |_| {
            tokio::time::sleep(twice).await;
            Ok(())
        });
        assert!(matches!(change.await, Err(Error::Unavailable(_))));
        assert_eq!(start.elapsed(), DEADLINE);
        assert_eq!(cached.caches.credentials.ticket(key), None);
        tokio::time::sleep(twice).await;
        assert!(cached.caches.credentials.ticket(key).is_some());
    }
}
