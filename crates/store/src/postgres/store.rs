//! The store's methods: each picks what it is made of.

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

use super::PostgresStore;
use super::{
    accounts, answers, api_keys, audit, deleted, expiry, key_slots, resolved, secrets, service_users, vaults,
    versions,
};

/// The number of the account, of which there is one.
const FIRST_ACCOUNT: i64 = 1;

#[async_trait]
impl Store for PostgresStore {
    async fn account_find(&self) -> Result<Option<Account>> {
        let found = accounts::find(self.pool()).await?;
        Ok(found.map(|(number, account)| {
            self.account.get_or_init(|| (number, account.id));
            account
        }))
    }

    async fn account_insert(
        &self,
        account: Account,
        user: User,
        key: ApiKey,
        slots: Vec<KeySlot>,
        events: Vec<Event>,
    ) -> Result<()> {
        let (account, user, key, slots) = (&account, &user, &key, &slots);
        self.transact_at(FIRST_ACCOUNT, events, move |transaction| async move {
            accounts::insert(&transaction, account, user, key).await?;
            for slot in slots {
                key_slots::insert(&transaction, slot).await?;
            }
            Ok(())
        })
        .await?;
        self.account.get_or_init(|| (FIRST_ACCOUNT, account.id));
        Ok(())
    }

    async fn log_key_find(&self, account: AccountId) -> Result<Option<WrappedKey>> {
        let number = self.number(account).await?;
        accounts::log_key_find(self.pool(), number).await
    }

    async fn log_key_insert(&self, account: AccountId, key: WrappedKey) -> Result<()> {
        let key = &key;
        self.transact(account, Vec::new(), move |transaction| async move {
            accounts::log_key_insert(&transaction, key).await
        })
        .await
    }

    async fn log_keys_made(&self) -> Result<u64> {
        accounts::log_keys_made(self.pool()).await
    }

    async fn credential_find(&self, id: ApiKeyId) -> Result<Option<Arc<Credential>>> {
        let Some(account) = self.known_account().await? else { return Ok(None) };
        accounts::credential_find(self.pool(), account, id).await
    }

    async fn user_find(&self, account: AccountId, email: &str) -> Result<Option<User>> {
        let number = self.number(account).await?;
        accounts::user_find(self.pool(), number, email).await
    }

    async fn principal_is_active(&self, account: AccountId, id: PrincipalId) -> Result<Option<bool>> {
        let number = self.number(account).await?;
        accounts::principal_is_active(self.pool(), number, id).await
    }

    async fn answer_find(&self, account: AccountId, mark: Digest) -> Result<Option<Answer>> {
        let number = self.number(account).await?;
        answers::find(self.pool(), number, &mark).await
    }

    async fn answers_prune(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<usize> {
        self.transact(account, Vec::new(), move |transaction| async move {
            answers::prune(&transaction, by, limit).await
        })
        .await
    }

    async fn vault_insert(
        &self,
        account: AccountId,
        vault: Vault,
        max: Option<u64>,
        creation: Creation,
    ) -> Result<()> {
        let vault = &vault;
        self.create(account, creation, move |transaction| async move {
            vaults::insert(&transaction, vault, max).await
        })
        .await
    }

    async fn vault_find(&self, account: AccountId, id: VaultId) -> Result<Option<Arc<Vault>>> {
        let number = self.number(account).await?;
        vaults::find(self.pool(), number, id).await
    }

    async fn vault_find_by_name(&self, account: AccountId, name: &str) -> Result<Option<Arc<Vault>>> {
        let number = self.number(account).await?;
        vaults::find_by_name(self.pool(), number, name).await
    }

    async fn vault_list(&self, account: AccountId, query: Query) -> Result<Listing<Vault>> {
        let number = self.number(account).await?;
        vaults::list(self.pool(), number, &query).await
    }

    async fn vault_update(&self, account: AccountId, vault: Vault, event: Event) -> Result<()> {
        let vault = &vault;
        self.transact(account, vec![event], move |transaction| async move {
            vaults::update(&transaction, vault).await
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
        let vault = &vault;
        self.transact(account, vec![event], move |transaction| async move {
            vaults::delete(&transaction, vault, deletion, keep).await
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
        let number = self.number(account).await?;
        let Creation { event, answer } = creation;
        let verdict = secrets::verdict_of_insert(max, vault.id);
        let insert = secrets::insert(number, &vault, secret, version, max, answer.as_ref())?;
        self.change(account, insert, verdict, &[event]).await
    }

    async fn secret_find(&self, account: AccountId, id: SecretId) -> Result<Option<Arc<Secret>>> {
        let number = self.number(account).await?;
        secrets::find(self.pool(), number, id).await
    }

    async fn secret_find_by_name(
        &self,
        account: AccountId,
        vault: VaultId,
        name: &str,
    ) -> Result<Option<Arc<Secret>>> {
        let number = self.number(account).await?;
        secrets::find_by_name(self.pool(), number, vault, name).await
    }

    async fn secret_list(
        &self,
        account: AccountId,
        vault: Option<VaultId>,
        query: Query,
    ) -> Result<Arc<Listing<Arc<Secret>>>> {
        let number = self.number(account).await?;
        secrets::list(self.pool(), number, vault, &query).await
    }

    async fn secret_update(
        &self,
        account: AccountId,
        secret: Secret,
        version: Option<Version>,
        keep: u32,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account).await?;
        self.change(account, secrets::update(number, secret, version, keep), secrets::verdict, &[event]).await
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
        let (from, vault, secret, versions) = (&from, &vault, &secret, &versions);
        self.transact(account, vec![event], move |transaction| async move {
            secrets::relocate(&transaction, (from, vault), secret, versions).await
        })
        .await
    }

    async fn event_append(&self, account: AccountId, event: Event) -> Result<()> {
        self.append(account, &[event]).await
    }

    async fn secret_resolved(&self, account: AccountId, events: Vec<Event>) -> Result<()> {
        self.append(account, &events).await
    }

    async fn resolved_find(&self, account: AccountId, id: SecretId) -> Result<Option<Resolved>> {
        let number = self.number(account).await?;
        resolved::find(self.pool(), number, id).await
    }

    async fn detail_list(
        &self,
        account: AccountId,
        vault: Option<VaultId>,
        unused_since: Option<Timestamp>,
        query: Query,
    ) -> Result<Listing<Detail>> {
        let number = self.number(account).await?;
        secrets::detail_list(self.pool(), number, vault, unused_since, &query).await
    }

    async fn secret_delete(
        &self,
        account: AccountId,
        secret: Arc<Secret>,
        deletion: Deletion,
        keep: bool,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account).await?;
        self.change(account, secrets::delete(number, &secret, deletion, keep), secrets::verdict, &[event])
            .await
    }

    async fn expiring_list(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<Vec<Expiring>> {
        let number = self.number(account).await?;
        expiry::list(self.pool(), number, by, limit).await
    }

    async fn expiring_told(&self, account: AccountId, told: Vec<Told>, events: Vec<Event>) -> Result<()> {
        let told = &told;
        self.transact(
            account,
            events,
            move |transaction| async move { expiry::told(&transaction, told).await },
        )
        .await
    }

    async fn deleted_list(&self, account: AccountId, query: Query) -> Result<Leftovers> {
        let number = self.number(account).await?;
        deleted::list(self.pool(), number, &query).await
    }

    async fn deleted_due(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<Leftovers> {
        let number = self.number(account).await?;
        deleted::due(self.pool(), number, by, limit).await
    }

    async fn deleted_secrets_of(
        &self,
        account: AccountId,
        vault: VaultId,
        limit: usize,
    ) -> Result<Vec<Deleted<Secret>>> {
        let number = self.number(account).await?;
        deleted::secrets_of(self.pool(), number, vault, limit).await
    }

    async fn deleted_secret_find(&self, account: AccountId, id: SecretId) -> Result<Option<Deleted<Secret>>> {
        let number = self.number(account).await?;
        deleted::find_secret(self.pool(), number, id).await
    }

    async fn deleted_vault_find(&self, account: AccountId, id: VaultId) -> Result<Option<Deleted<Vault>>> {
        let number = self.number(account).await?;
        deleted::find_vault(self.pool(), number, id).await
    }

    async fn secret_undelete(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        secret: Secret,
        max: Option<u64>,
        event: Event,
    ) -> Result<()> {
        let (vault, secret) = (&vault, &secret);
        self.transact(account, vec![event], move |transaction| async move {
            secrets::undelete(&transaction, vault, secret, max).await
        })
        .await
    }

    async fn vault_undelete(
        &self,
        account: AccountId,
        vault: Vault,
        max: Option<u64>,
        event: Event,
    ) -> Result<()> {
        let vault = &vault;
        self.transact(account, vec![event], move |transaction| async move {
            vaults::undelete(&transaction, vault, max).await
        })
        .await
    }

    async fn secrets_purge(
        &self,
        account: AccountId,
        which: Vec<(SecretId, u64)>,
        with: Option<(VaultId, u64)>,
        events: Vec<Event>,
    ) -> Result<()> {
        let which = &which;
        self.transact(account, events, move |transaction| async move {
            deleted::purge_secrets(&transaction, which, with).await
        })
        .await
    }

    async fn vault_purge(&self, account: AccountId, id: VaultId, revision: u64, event: Event) -> Result<()> {
        self.transact(account, vec![event], move |transaction| async move {
            deleted::purge_vault(&transaction, id, revision).await
        })
        .await
    }

    async fn version_find(
        &self,
        account: AccountId,
        secret: SecretId,
        number: u32,
    ) -> Result<Option<Version>> {
        let found = self.number(account).await?;
        versions::find(self.pool(), found, secret, number).await
    }

    async fn version_list(
        &self,
        account: AccountId,
        which: Vec<(SecretId, u32)>,
    ) -> Result<Vec<Option<Arc<Version>>>> {
        let number = self.number(account).await?;
        versions::list(self.pool(), number, &which).await
    }

    async fn version_kept(&self, account: AccountId, secret: SecretId) -> Result<Vec<Kept>> {
        let number = self.number(account).await?;
        versions::kept(self.pool(), number, secret).await
    }

    async fn version_due(
        &self,
        account: AccountId,
        keep: Keep,
        now: Timestamp,
        after: Option<Walked>,
        limit: usize,
    ) -> Result<Due> {
        let number = self.number(account).await?;
        versions::due(self.pool(), number, keep, now, after, limit).await
    }

    async fn version_prune(&self, account: AccountId, which: Vec<(SecretId, u32)>) -> Result<()> {
        let which = &which;
        self.transact(account, Vec::new(), move |transaction| async move {
            versions::prune(&transaction, which).await
        })
        .await
    }

    async fn api_key_insert(&self, account: AccountId, key: ApiKey, creation: Creation) -> Result<()> {
        let key = &key;
        self.create(
            account,
            creation,
            move |transaction| async move { api_keys::insert(&transaction, key).await },
        )
        .await
    }

    async fn api_key_find(&self, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>> {
        let number = self.number(account).await?;
        api_keys::find(self.pool(), number, id).await
    }

    async fn api_key_list(&self, account: AccountId, of: ApiKeysOf, query: Query) -> Result<Listing<ApiKey>> {
        let number = self.number(account).await?;
        api_keys::list(self.pool(), number, of, &query).await
    }

    async fn api_key_update(&self, account: AccountId, key: ApiKey, event: Event) -> Result<()> {
        let key = &key;
        self.transact(account, vec![event], move |transaction| async move {
            api_keys::update(&transaction, key).await
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
        self.transact(account, vec![event], move |transaction| async move {
            api_keys::delete(&transaction, id, revision).await
        })
        .await
    }

    async fn service_user_insert(
        &self,
        account: AccountId,
        user: ServiceUser,
        creation: Creation,
    ) -> Result<()> {
        let user = &user;
        self.create(account, creation, move |transaction| async move {
            service_users::insert(&transaction, user).await
        })
        .await
    }

    async fn service_user_find(&self, account: AccountId, id: ServiceUserId) -> Result<Option<ServiceUser>> {
        let number = self.number(account).await?;
        service_users::find(self.pool(), number, id).await
    }

    async fn service_user_list(&self, account: AccountId, query: Query) -> Result<Listing<ServiceUser>> {
        let number = self.number(account).await?;
        service_users::list(self.pool(), number, &query).await
    }

    async fn service_user_update(&self, account: AccountId, user: ServiceUser, event: Event) -> Result<()> {
        let user = &user;
        self.transact(account, vec![event], move |transaction| async move {
            service_users::update(&transaction, user).await
        })
        .await
    }

    async fn service_user_delete(
        &self,
        account: AccountId,
        id: ServiceUserId,
        revision: u64,
        keys: Vec<ApiKeyId>,
        events: Vec<Event>,
    ) -> Result<()> {
        let keys = &keys;
        self.transact(account, events, move |transaction| async move {
            service_users::delete(&transaction, id, revision, keys).await
        })
        .await
    }

    async fn audit_list(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        audit::list(self.pool(), after, limit).await
    }

    async fn audit_page(&self, query: EventQuery) -> Result<Listing<Record>> {
        audit::page(self.pool(), &query).await
    }

    async fn audit_hashes(&self, level: u32, first: u64, count: u64) -> Result<Vec<Digest>> {
        audit::hashes(self.pool(), level, first, count).await
    }

    async fn audit_watch(&self, past: u64) -> Result<u64> {
        self.node.logged_past(past).await
    }

    async fn audit_pruned(&self) -> Result<u64> {
        audit::pruned(self.pool()).await
    }

    async fn audit_pruned_by(&self) -> Result<u64> {
        audit::pruned_by(self.pool()).await
    }

    async fn audit_prune(&self, from: u64, upto: u64, event: Event) -> Result<()> {
        self.transact_at(FIRST_ACCOUNT, vec![event], move |transaction| async move {
            audit::prune(&transaction, from, upto).await
        })
        .await
    }

    async fn audit_head(&self) -> Result<Head> {
        audit::head(self.pool()).await
    }

    async fn ready(&self) -> Result<()> {
        self.node.must_know_the_tables()?;
        audit::head(self.pool()).await.map(drop)
    }

    async fn counts(&self) -> Result<Counts> {
        let counts = accounts::counts(self.pool()).await?;
        let connections = Some(self.pool().connections());
        Ok(self.node.written.told(Counts { connections, ..counts }))
    }
}
