//! The lookups that are answered from memory, and the changes that replace what is there. The rest goes to the store as it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use strongroom_crypto::WrappedKey;
use strongroom_domain::answer::{Answer, Creation};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::audit::{Event, EventQuery, Head, Record};
use strongroom_domain::caller::Credential;
use strongroom_domain::deleted::{Deleted, Deletion, Leftovers};
use strongroom_domain::ids::{AccountId, ApiKeyId, PrincipalId, SecretId, ServiceUserId, VaultId};
use strongroom_domain::keep::Keep;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::principal::{Account, ServiceUser, User};
use strongroom_domain::secret::{Detail, Due, Expiring, Kept, Resolved, Secret, Told, Version, Walked};
use strongroom_domain::store::{ApiKeysOf, Counts, Store};
use strongroom_domain::vault::Vault;
use strongroom_domain::{Digest, Result};

use super::caches::Replaced;
use super::{Asked, CachedStore, bounded};

#[async_trait]
impl Store for CachedStore {
    async fn catch_up(&self) -> Result<()> {
        match self.following() {
            Some(following) => following.catch_up().await,
            None => Ok(()),
        }
    }

    async fn catch_up_if_behind(&self) -> Result<bool> {
        match self.following() {
            Some(following) if following.is_behind() => following.catch_up().await.map(|()| true),
            _ => Ok(false),
        }
    }

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
        self.looked_up(&self.caches.credentials, id, || self.store.credential_find(id)).await
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
        self.looked_up(&self.caches.vaults, (account, id), || self.store.vault_find(account, id)).await
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
        self.looked_up(&self.caches.secrets, (account, id), || self.store.secret_find(account, id)).await
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
        if let Some(known) = self.remembered(Asked::ForTelling, || cache.get(&key)) {
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
            let known = self.remembered(Asked::ForOpening, || cache.get((account, secret)));
            known.filter(|version| version.number == number)
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
        let last = self.store.audit_watch(past).await?;
        // Who is woken looks at what its caller may do by now, which what it was woken by may have changed.
        if let Some(following) = self.following() {
            following.reach(last).await?;
        }
        Ok(last)
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

    async fn ready(&self) -> Result<()> {
        self.store.ready().await
    }

    async fn counts(&self) -> Result<Counts> {
        self.store.counts().await
    }
}
