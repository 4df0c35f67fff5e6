//! The store on SQLite.

mod accounts;
mod answers;
mod api_keys;
mod audit;
mod backup;
mod checkpoint;
mod deleted;
mod deliveries;
mod erase;
mod error;
mod expiry;
mod ip_gate;
mod ip_policies;
mod ip_restrictions;
mod ip_rules;
mod key_slots;
mod leases;
mod list;
mod log_tree;
mod readers;
mod resolved;
mod root_key;
mod rotations;
mod row;
mod schema;
mod secrets;
mod service_users;
mod tally;
mod vaults;
mod versions;
mod webhooks;
mod whole;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use strongroom_crypto::WrappedKey;
use strongroom_domain::answer::{Answer, Creation};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::audit::{Entry, Event, EventQuery, Head, Record};
use strongroom_domain::caller::Credential;
use strongroom_domain::deleted::{Deleted, Deletion, Leftovers};
use strongroom_domain::ids::{AccountId, ApiKeyId, PrincipalId, SecretId, ServiceUserId, VaultId};
use strongroom_domain::keep::Keep;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::page::{Listing, PageLimit, Query};
use strongroom_domain::principal::{Account, ServiceUser, User};
use strongroom_domain::secret::{Detail, Due, Expiring, Kept, Resolved, Secret, Told, Version, Walked};
use strongroom_domain::store::{ApiKeysOf, Counts, Store};
use strongroom_domain::vault::Vault;
use strongroom_domain::{Digest, Error, Result};

pub use backup::{BackupError, copy_store};
pub use schema::OpenError;
pub(crate) use whole::{Filled, Filling, Snapshot};

use checkpoint::Checkpoints;
use erase::Erase;
use readers::{Lane, Readers};
use resolved::Latest;
use writer::{Step, Writer};

/// Rows that are read where they are asked for, one by one: a few microseconds each.
const LOOKUPS_IN_PLACE: usize = 16;

/// A store in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    readers: Readers,
    /// `None` in a store that is only read.
    writer: Option<Writer>,
    /// When values were last given out, as far as it is not in its table yet.
    latest: Arc<Latest>,
    /// Whether a copy of what was destroyed may be left in the log.
    erase: Arc<Erase>,
    /// The account and its number, once there is one: it never changes.
    account: OnceLock<(i64, AccountId)>,
}

/// A change was asked of a store that was opened for reading.
#[derive(Debug, thiserror::Error)]
#[error("the store was opened for reading")]
struct ReadOnly;

/// The thread that writes has ended before its time.
#[derive(Debug, thiserror::Error)]
#[error("the store's writer has ended: restart the server")]
struct WriterGone;

impl SqliteStore {
    /// Opens a store for reading and writing, and makes it when there is none. One process at a time may do so: the caller
    /// sees to that with a lock on the data folder.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error: std::io::Error| OpenError::Sqlite {
            path: path.to_owned(),
            source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
        };
        let erase = Arc::new(Erase::default());
        // A log that is there already was left by a crash, perhaps one between a purge and the cutting off of the log.
        if std::fs::metadata(schema::log_path(path)).is_ok_and(|log| log.len() > 0) {
            erase.note();
        }
        let mut connection = schema::open_writer(path)?;
        let unread = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let latest = Arc::new(Latest::read(&connection).map_err(unread)?);
        let checkpoints = Checkpoints::start(path, &mut connection).map_err(unread)?;
        let last = audit::head(&connection).map_err(unread)?.sequence;
        let writer = Writer::start(connection, checkpoints, latest.clone(), erase.clone(), last);
        let store = Self { writer: Some(writer.map_err(failed)?), latest, erase, ..Self::over(path) };
        store.readers.warm().map_err(unread)?;
        Ok(store)
    }

    /// Opens a store for reading alone, in use by another process or not.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_to_read(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
        schema::check_version(&schema::connect(path, schema::Access::Read).map_err(failed)?, path)?;
        Ok(Self::over(path))
    }

    /// Opens a store for reading alone, if it needs no migration: only then can all of it be read.
    ///
    /// # Errors
    /// [`OpenError`], of which [`OpenError::Older`] is the one for a store of an earlier version.
    pub fn open_current_to_read(path: &Path) -> Result<Self, OpenError> {
        let store = Self::open_to_read(path)?;
        let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
        schema::check_current(&schema::connect(path, schema::Access::Read).map_err(failed)?, path)?;
        Ok(store)
    }

    fn over(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            readers: Readers::new(path),
            writer: None,
            latest: Arc::default(),
            erase: Arc::default(),
            account: OnceLock::new(),
        }
    }

    /// Whether the file holds no tables yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub fn is_blank(&self) -> Result<bool> {
        Ok(self.readers.lookup(schema::version)? == 0)
    }

    /// Asks SQLite to look for damage in the file.
    ///
    /// # Errors
    /// [`Error::Unavailable`]. What was found is in the value; `None` is no damage.
    pub async fn check(&self) -> Result<Option<String>> {
        let finding: String = self
            .readers
            .work_through(|connection| connection.pragma_query_value(None, "quick_check", |row| row.get(0)))
            .await?;
        Ok((finding != "ok").then_some(finding))
    }

    /// What is kept of a deleted secret's values, newest first. No use case reads them: this is for a backup.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Internal`].
    pub fn deleted_version_kept(&self, account: AccountId, secret: SecretId) -> Result<Vec<Kept>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| versions::kept(connection, versions::Of::Deleted, number, secret))
    }

    /// One version of a deleted secret, for a backup too.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Internal`].
    pub fn deleted_version_find(
        &self,
        account: AccountId,
        secret: SecretId,
        number: u32,
    ) -> Result<Option<Version>> {
        let account = self.number(account)?;
        self.readers
            .lookup(|connection| versions::find(connection, versions::Of::Deleted, account, secret, number))
    }

    /// The number of an account. Another account's things are not found: they have another number.
    fn number(&self, account: AccountId) -> Result<i64> {
        match self.known_account()? {
            Some((number, id)) if id == account => Ok(number),
            _ => Err(Error::Internal(Box::new(error::Corrupt("account")))),
        }
    }

    fn known_account(&self) -> Result<Option<(i64, AccountId)>> {
        if let Some(known) = self.account.get() {
            return Ok(Some(*known));
        }
        let found = self.readers.lookup(accounts::find)?.map(|(number, account)| (number, account.id));
        Ok(found.map(|found| *self.account.get_or_init(|| found)))
    }

    async fn change<T: Send + 'static>(
        &self,
        events: Vec<Event>,
        mut work: impl FnMut(&mut Step<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let writer = self.writer.as_ref().ok_or_else(|| Error::Internal(Box::new(ReadOnly)))?;
        // Written out here, so that the one thread that writes need not.
        let entries = events.iter().map(Entry::new).collect::<Result<Vec<_>>>()?;
        writer
            .change(move |step| {
                let done = work(step)?;
                step.append(&entries)?;
                Ok(done)
            })
            .await
    }
}

impl SqliteStore {
    /// Makes something, and keeps the answer with it if that is to be kept.
    async fn create(
        &self,
        account: AccountId,
        Creation { event, answer }: Creation,
        mut make: impl FnMut(&mut Step<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| answers::with(step, number, answer.as_ref(), &mut make)).await
    }
}

/// What was destroyed is still in the log, as somebody reads from it for long: the backup of a very large store, say.
const LATE_ERASE: &str =
    "what was destroyed is still in the store's log: it goes with one of the next changes";

impl SqliteStore {
    /// Waits until no copy is left of what was destroyed, but not for ever.
    async fn erased(&self) -> Result<()> {
        const TRIES: u32 = 20;
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(250);
        for _ in 0..TRIES {
            if !self.erase.is_due() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            self.change(Vec::new(), |_| Ok(())).await?;
        }
        tracing::warn!(LATE_ERASE);
        Ok(())
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn account_find(&self) -> Result<Option<Account>> {
        Ok(self.readers.lookup(accounts::find)?.map(|(_, account)| account))
    }

    async fn account_insert(
        &self,
        account: Account,
        user: User,
        key: ApiKey,
        slots: Vec<KeySlot>,
        events: Vec<Event>,
    ) -> Result<()> {
        self.change(events, move |step| {
            let number = accounts::insert(step, &account, &user, &key)?;
            slots.iter().try_for_each(|slot| key_slots::insert(step, number, slot))
        })
        .await
    }

    async fn log_key_find(&self, account: AccountId) -> Result<Option<WrappedKey>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| accounts::log_key_find(connection, number))
    }

    async fn log_key_insert(&self, account: AccountId, key: WrappedKey) -> Result<()> {
        let number = self.number(account)?;
        self.change(Vec::new(), move |step| accounts::log_key_insert(step, number, &key)).await
    }

    async fn log_keys_made(&self) -> Result<u64> {
        self.readers.lookup(accounts::log_keys_made)
    }

    async fn credential_find(&self, id: ApiKeyId) -> Result<Option<Arc<Credential>>> {
        let Some(account) = self.known_account()? else { return Ok(None) };
        self.readers.lookup(|connection| accounts::credential_find(connection, account, id))
    }

    async fn user_find(&self, account: AccountId, email: &str) -> Result<Option<User>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| accounts::user_find(connection, number, email))
    }

    async fn principal_is_active(&self, account: AccountId, id: PrincipalId) -> Result<Option<bool>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| accounts::principal_is_active(connection, number, id))
    }

    async fn answer_find(&self, account: AccountId, mark: Digest) -> Result<Option<Answer>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| answers::find(connection, number, &mark))
    }

    async fn answers_prune(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<usize> {
        let number = self.number(account)?;
        let gone = self.change(Vec::new(), move |step| answers::prune(step, number, by, limit)).await?;
        self.erased().await?;
        Ok(gone)
    }

    async fn vault_insert(
        &self,
        account: AccountId,
        vault: Vault,
        max: Option<u64>,
        creation: Creation,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.create(account, creation, move |step| vaults::insert(step, number, &vault, max)).await
    }

    async fn vault_find(&self, account: AccountId, id: VaultId) -> Result<Option<Arc<Vault>>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| vaults::find(connection, number, id))
    }

    async fn vault_find_by_name(&self, account: AccountId, name: &str) -> Result<Option<Arc<Vault>>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| vaults::find_by_name(connection, number, name))
    }

    async fn vault_list(&self, account: AccountId, query: Query) -> Result<Listing<Vault>> {
        let number = self.number(account)?;
        self.readers.scan(Lane::of(&query), move |connection| vaults::list(connection, number, &query)).await
    }

    async fn vault_update(&self, account: AccountId, vault: Vault, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| vaults::update(step, number, &vault)).await
    }

    async fn vault_delete(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        deletion: Deletion,
        keep: bool,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| vaults::delete(step, number, &vault, deletion, keep)).await?;
        self.erased().await
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
        let number = self.number(account)?;
        let insert = move |step: &mut Step<'_>| secrets::insert(step, number, &vault, &secret, &version, max);
        self.create(account, creation, insert).await
    }

    async fn secret_find(&self, account: AccountId, id: SecretId) -> Result<Option<Arc<Secret>>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| secrets::find(connection, number, id))
    }

    async fn secret_find_by_name(
        &self,
        account: AccountId,
        vault: VaultId,
        name: &str,
    ) -> Result<Option<Arc<Secret>>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| secrets::find_by_name(connection, number, vault, name))
    }

    async fn secret_list(
        &self,
        account: AccountId,
        vault: Option<VaultId>,
        query: Query,
    ) -> Result<Arc<Listing<Arc<Secret>>>> {
        let number = self.number(account)?;
        let lane = if vault.is_some() && query.filter.is_none() { Lane::OneVault } else { Lane::of(&query) };
        self.readers.scan(lane, move |connection| secrets::list(connection, number, vault, &query)).await
    }

    async fn secret_update(
        &self,
        account: AccountId,
        secret: Secret,
        version: Option<Version>,
        keep: u32,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| {
            secrets::update(step, number, &secret, version.as_ref().map(|version| (version, keep)))
        })
        .await
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
        let number = self.number(account)?;
        self.change(vec![event], move |step| {
            secrets::relocate(step, number, (&from, &vault), &secret, &versions)
        })
        .await
    }

    async fn event_append(&self, account: AccountId, event: Event) -> Result<()> {
        // There is such an account, or the event would be of none.
        self.number(account)?;
        self.change(vec![event], |_| Ok(())).await
    }

    async fn secret_resolved(&self, account: AccountId, events: Vec<Event>) -> Result<()> {
        let number = self.number(account)?;
        let resolved: Vec<_> = events.iter().filter_map(Event::as_resolved).collect();
        self.change(events, move |step| {
            resolved.iter().for_each(|(secret, resolved)| step.note_resolved((number, *secret, *resolved)));
            Ok(())
        })
        .await
    }

    async fn resolved_find(&self, account: AccountId, id: SecretId) -> Result<Option<Resolved>> {
        let number = self.number(account)?;
        match self.latest.get(number, id) {
            Some(resolved) => Ok(Some(resolved)),
            None => self.readers.lookup(|connection| resolved::find(connection, number, id)),
        }
    }

    async fn detail_list(
        &self,
        account: AccountId,
        vault: Option<VaultId>,
        unused_since: Option<Timestamp>,
        mut query: Query,
    ) -> Result<Listing<Detail>> {
        let number = self.number(account)?;
        loop {
            let (mut asked, moved) = (query.clone(), self.latest.moved());
            // Many of them may turn out to have been used: a short page is not worth a walk of its own.
            asked.page.limit = PageLimit::MAX;
            let lane = if unused_since.is_some() { Lane::Walking } else { Lane::of(&query) };
            let list =
                move |connection: &_| secrets::detail_list(connection, number, vault, unused_since, &asked);
            let mut page = self.readers.scan(lane, list).await?;
            let last = page.items.last().map(|detail| detail.secret.id.ksuid());
            for detail in &mut page.items {
                detail.resolved = self.latest.get(number, detail.secret.id).or(detail.resolved);
            }
            // What is in memory only makes a secret one that was used lately.
            page.items.retain(|detail| {
                unused_since.is_none_or(|since| detail.resolved.is_none_or(|resolved| resolved.at < since))
            });
            if moved != self.latest.moved() {
                continue;
            }
            page.more |= page.items.len() > query.page.limit.get();
            page.items.truncate(query.page.limit.get());
            if !page.items.is_empty() || !page.more {
                return Ok(page);
            }
            query.page.before = last;
        }
    }

    async fn secret_delete(
        &self,
        account: AccountId,
        secret: Arc<Secret>,
        deletion: Deletion,
        keep: bool,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        let kept = keep.then_some(deletion);
        self.change(vec![event], move |step| secrets::delete(step, number, &secret, kept)).await?;
        if keep { Ok(()) } else { self.erased().await }
    }

    async fn expiring_list(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<Vec<Expiring>> {
        let number = self.number(account)?;
        self.readers.work_through(move |connection| expiry::list(connection, number, by, limit)).await
    }

    async fn expiring_told(&self, account: AccountId, told: Vec<Told>, events: Vec<Event>) -> Result<()> {
        let number = self.number(account)?;
        self.change(events, move |step| expiry::told(step, number, &told)).await
    }

    async fn deleted_list(&self, account: AccountId, query: Query) -> Result<Leftovers> {
        let number = self.number(account)?;
        self.readers.scan(Lane::of(&query), move |connection| deleted::list(connection, number, &query)).await
    }

    async fn deleted_due(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<Leftovers> {
        let number = self.number(account)?;
        self.readers.work_through(move |connection| deleted::due(connection, number, by, limit)).await
    }

    async fn deleted_secrets_of(
        &self,
        account: AccountId,
        vault: VaultId,
        limit: usize,
    ) -> Result<Vec<Deleted<Secret>>> {
        let number = self.number(account)?;
        self.readers
            .work_through(move |connection| deleted::secrets_of(connection, number, vault, limit))
            .await
    }

    async fn deleted_secret_find(&self, account: AccountId, id: SecretId) -> Result<Option<Deleted<Secret>>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| deleted::find_secret(connection, number, id))
    }

    async fn deleted_vault_find(&self, account: AccountId, id: VaultId) -> Result<Option<Deleted<Vault>>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| deleted::find_vault(connection, number, id))
    }

    async fn secret_undelete(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        secret: Secret,
        max: Option<u64>,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| secrets::undelete(step, number, &vault, &secret, max)).await
    }

    async fn vault_undelete(
        &self,
        account: AccountId,
        vault: Vault,
        max: Option<u64>,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| vaults::undelete(step, number, &vault, max)).await
    }

    async fn secrets_purge(
        &self,
        account: AccountId,
        which: Vec<(SecretId, u64)>,
        with: Option<(VaultId, u64)>,
        events: Vec<Event>,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(events, move |step| deleted::purge_secrets(step, number, &which, with)).await?;
        self.erased().await
    }

    async fn vault_purge(&self, account: AccountId, id: VaultId, revision: u64, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| deleted::purge_vault(step, number, id, revision)).await?;
        self.erased().await
    }

    async fn version_find(
        &self,
        account: AccountId,
        secret: SecretId,
        number: u32,
    ) -> Result<Option<Version>> {
        let account = self.number(account)?;
        self.readers
            .lookup(|connection| versions::find(connection, versions::Of::Live, account, secret, number))
    }

    async fn version_list(
        &self,
        account: AccountId,
        which: Vec<(SecretId, u32)>,
    ) -> Result<Vec<Option<Arc<Version>>>> {
        let account = self.number(account)?;
        let few = which.len() <= LOOKUPS_IN_PLACE;
        let read = move |connection: &Connection| {
            let find =
                |(secret, number)| versions::find(connection, versions::Of::Live, account, secret, number);
            which.iter().map(|which| Ok(find(*which)?.map(Arc::new))).collect()
        };
        if few {
            return self.readers.lookup(read);
        }
        self.readers.scan(Lane::Indexed, read).await
    }

    async fn version_kept(&self, account: AccountId, secret: SecretId) -> Result<Vec<Kept>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| versions::kept(connection, versions::Of::Live, number, secret))
    }

    async fn version_due(
        &self,
        account: AccountId,
        keep: Keep,
        now: Timestamp,
        after: Option<Walked>,
        limit: usize,
    ) -> Result<Due> {
        let number = self.number(account)?;
        self.readers
            .work_through(move |connection| versions::due(connection, number, keep, now, after, limit))
            .await
    }

    async fn version_prune(&self, account: AccountId, which: Vec<(SecretId, u32)>) -> Result<()> {
        let number = self.number(account)?;
        self.change(Vec::new(), move |step| versions::prune(step, number, &which)).await
    }

    async fn api_key_insert(&self, account: AccountId, key: ApiKey, creation: Creation) -> Result<()> {
        let number = self.number(account)?;
        self.create(account, creation, move |step| api_keys::insert(step, number, &key)).await
    }

    async fn api_key_find(&self, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| api_keys::find(connection, number, id))
    }

    async fn api_key_list(&self, account: AccountId, of: ApiKeysOf, query: Query) -> Result<Listing<ApiKey>> {
        let number = self.number(account)?;
        self.readers
            .scan(Lane::of(&query), move |connection| api_keys::list(connection, number, of, &query))
            .await
    }

    async fn api_key_update(&self, account: AccountId, key: ApiKey, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| api_keys::update(step, number, &key)).await
    }

    async fn api_key_delete(
        &self,
        account: AccountId,
        id: ApiKeyId,
        revision: u64,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| api_keys::delete(step, number, id, revision)).await
    }

    async fn service_user_insert(
        &self,
        account: AccountId,
        user: ServiceUser,
        creation: Creation,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.create(account, creation, move |step| service_users::insert(step, number, &user)).await
    }

    async fn service_user_find(&self, account: AccountId, id: ServiceUserId) -> Result<Option<ServiceUser>> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| service_users::find(connection, number, id))
    }

    async fn service_user_list(&self, account: AccountId, query: Query) -> Result<Listing<ServiceUser>> {
        let number = self.number(account)?;
        self.readers
            .scan(Lane::of(&query), move |connection| service_users::list(connection, number, &query))
            .await
    }

    async fn service_user_update(&self, account: AccountId, user: ServiceUser, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| service_users::update(step, number, &user)).await
    }

    async fn service_user_delete(
        &self,
        account: AccountId,
        id: ServiceUserId,
        revision: u64,
        keys: Vec<ApiKeyId>,
        events: Vec<Event>,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(events, move |step| service_users::delete(step, number, id, revision, &keys)).await
    }

    async fn audit_list(&self, after: u64, limit: usize) -> Result<Vec<Record>> {
        self.readers.scan(Lane::Indexed, move |connection| audit::list(connection, after, limit)).await
    }

    async fn audit_page(&self, query: EventQuery) -> Result<Listing<Record>> {
        let lane = if query.filter.is_some() { Lane::Walking } else { Lane::Indexed };
        self.readers.scan(lane, move |connection| audit::page(connection, &query)).await
    }

    async fn audit_hashes(&self, level: u32, first: u64, count: u64) -> Result<Vec<Digest>> {
        let read = move |connection: &Connection| audit::hashes(connection, level, first, count);
        if count <= LOOKUPS_IN_PLACE as u64 {
            return self.readers.lookup(read);
        }
        self.readers.scan(Lane::Indexed, read).await
    }

    async fn audit_watch(&self, past: u64) -> Result<u64> {
        self.writer.as_ref().ok_or_else(|| Error::Internal(Box::new(ReadOnly)))?.logged_past(past).await
    }

    async fn audit_pruned(&self) -> Result<u64> {
        self.readers.lookup(audit::pruned)
    }

    async fn audit_pruned_by(&self) -> Result<u64> {
        self.readers.lookup(audit::pruned_by)
    }

    async fn audit_prune(&self, from: u64, upto: u64, event: Event) -> Result<()> {
        self.change(vec![event], move |step| audit::prune(step, from, upto)).await
    }

    async fn audit_head(&self) -> Result<Head> {
        self.readers.lookup(audit::head)
    }

    async fn ready(&self) -> Result<()> {
        if self.writer.as_ref().is_some_and(|writer| !writer.is_alive()) {
            return Err(Error::Unavailable(Box::new(WriterGone)));
        }
        self.audit_head().await.map(drop)
    }

    async fn counts(&self) -> Result<Counts> {
        self.ready().await?;
        let tallies = self.readers.lookup(tally::Tallies::read)?;
        let total = tallies.total();
        let events = self.readers.lookup(audit::head)?.sequence;
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let counts = Counts {
            vaults: total.vaults,
            secrets: total.secrets,
            api_keys: total.api_keys,
            events,
            bytes: Some(size(&self.path) + size(&schema::log_path(&self.path))),
            ..Counts::default()
        };
        Ok(self.writer.as_ref().map_or(counts, |writer| writer.written.told(counts)))
    }
}
