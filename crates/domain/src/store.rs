//! What the domain asks of a database.
//!
//! One method is one atomic step: transactions and retries stay inside. Lookups return `Option`. A change takes the audit
//! events that tell of it and commits all or nothing; when it returns `Ok`, everything in it is on disk.
//!
//! A change of something that exists says which revision it is based on, in the record it brings: the record's `revision`
//! must be one more than the stored one. If it is not, the answer is [`Error::Stale`](crate::Error::Stale) and nothing
//! happened.

mod ip;
mod key_slots;
mod leases;
mod rotations;
mod shared;
mod webhooks;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use strongroom_crypto::WrappedKey;

use crate::Digest;
use crate::answer::{Answer, Creation};
use crate::api_key::ApiKey;
use crate::audit::{Event, EventQuery, Head, Record};
use crate::caller::Credential;
use crate::deleted::{Deleted, Deletion, Leftovers};
use crate::error::Result;
use crate::ids::{AccountId, ApiKeyId, PrincipalId, SecretId, ServiceUserId, VaultId};
use crate::keep::Keep;
use crate::key_slot::KeySlot;
use crate::page::{Listing, Query};
use crate::principal::{Account, ServiceUser, User};
use crate::secret::{Detail, Due, Expiring, Kept, Resolved, Secret, Told, Version, Walked};
use crate::vault::Vault;

pub use ip::IpStore;
pub use key_slots::KeySlotStore;
pub use leases::{Lease, LeaseStore, NodeId};
pub use rotations::RotationStore;
pub use shared::{Moment, OthersChanges, SharedStore};
pub use webhooks::WebhookStore;

/// Sizes of batches that are told apart: up to 1, 2, 4 … 256 changes.
pub const BATCH_BUCKETS: usize = 9;

/// Whose keys a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeysOf {
    /// All of the account's.
    Account,
    /// One owner's.
    Owner(PrincipalId),
    /// One key alone.
    Key(ApiKeyId),
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Vaults.
    pub vaults: u64,
    /// Secrets.
    pub secrets: u64,
    /// API keys.
    pub api_keys: u64,
    /// Audit events ever written, those that are pruned too.
    pub events: u64,
    /// Bytes on disk, where the store knows.
    pub bytes: Option<u64>,
    /// Commits since the store was opened.
    pub commits: u64,
    /// Changes in those commits.
    pub changes: u64,
    /// How many of those commits had up to 1, 2, 4 … changes, each counted once.
    pub batch_sizes: [u64; BATCH_BUCKETS],
    /// This process's connections to the database, where the store has one.
    pub connections: Option<Connections>,
}

/// Connections of a process to a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Those that are open.
    pub open: u64,
    /// Those of them that nobody uses.
    pub idle: u64,
    /// Requests that wait for one.
    pub waiting: u64,
}

/// A store of accounts and what they own.
///
/// # Errors
/// Every method can answer [`Error::Unavailable`](crate::Error::Unavailable) and
/// [`Error::Internal`](crate::Error::Internal); the others it can answer are named at the method.
#[async_trait]
pub trait Store: WebhookStore + IpStore + RotationStore + KeySlotStore + LeaseStore {
    /// Sees to it that what is asked from now on is answered with all that others had changed by now. There is nothing to do for a
    /// store that keeps nothing in memory, or that one process has to itself.
    async fn catch_up(&self) -> Result<()> {
        Ok(())
    }

    /// The same for who may do with what others had changed a moment ago, where reads are answered with what is older than that too.
    /// Says whether it waited.
    async fn catch_up_if_behind(&self) -> Result<bool> {
        Ok(false)
    }

    /// The account, once there is one.
    async fn account_find(&self) -> Result<Option<Account>>;

    /// Makes the account, its first user, that user's first key, and the slots that its root key is opened by. `Stale` if there
    /// is an account already.
    async fn account_insert(
        &self,
        account: Account,
        user: User,
        key: ApiKey,
        slots: Vec<KeySlot>,
        events: Vec<Event>,
    ) -> Result<()>;

    /// The key that signs the audit log's checkpoints, wrapped.
    async fn log_key_find(&self, account: AccountId) -> Result<Option<WrappedKey>>;

    /// Keeps the key that signs the audit log's checkpoints. `Stale` if there is one already.
    async fn log_key_insert(&self, account: AccountId, key: WrappedKey) -> Result<()>;

    /// How many such keys were ever kept: more than one, or one that is not there, means that one was lost.
    async fn log_keys_made(&self) -> Result<u64>;

    /// A key with its owner.
    async fn credential_find(&self, id: ApiKeyId) -> Result<Option<Arc<Credential>>>;

    /// The user of an account with that e-mail address.
    async fn user_find(&self, account: AccountId, email: &str) -> Result<Option<User>>;

    /// Whether a principal is active; `None` when there is no such principal.
    async fn principal_is_active(&self, account: AccountId, id: PrincipalId) -> Result<Option<bool>>;

    /// The first answer to a request, by its mark, also if it does not count any more.
    async fn answer_find(&self, account: AccountId, mark: Digest) -> Result<Option<Answer>>;

    /// Forgets up to `limit` answers that were given by a time; says how many. No copy of a token in them is left in the
    /// store's files.
    async fn answers_prune(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<usize>;

    /// Adds a vault. `NotUnique`; `LimitReached` if there are `max` already; `Stale`, as for everything that is added, if there
    /// is an answer to the same request that counts.
    async fn vault_insert(
        &self,
        account: AccountId,
        vault: Vault,
        max: Option<u64>,
        creation: Creation,
    ) -> Result<()>;

    /// A vault by id.
    async fn vault_find(&self, account: AccountId, id: VaultId) -> Result<Option<Arc<Vault>>>;

    /// A vault by name.
    async fn vault_find_by_name(&self, account: AccountId, name: &str) -> Result<Option<Arc<Vault>>>;

    /// Vaults, newest first.
    async fn vault_list(&self, account: AccountId, query: Query) -> Result<Listing<Vault>>;

    /// Changes a vault, all but its keys. `NotUnique`, `Stale`.
    async fn vault_update(&self, account: AccountId, vault: Vault, event: Event) -> Result<()>;

    /// Removes a vault. With `keep` it is kept among the deleted ones, and also if deleted secrets of it are; otherwise its
    /// key is destroyed. `NotEmpty`, `Stale`.
    async fn vault_delete(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        deletion: Deletion,
        keep: bool,
        event: Event,
    ) -> Result<()>;

    /// Adds a secret with its first version. `NotUnique`; `LimitReached` if the account has `max` already; `Stale` if the
    /// vault is gone or has another name or key by now.
    async fn secret_insert(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        secret: Secret,
        version: Version,
        max: Option<u64>,
        creation: Creation,
    ) -> Result<()>;

    /// A secret's metadata by id.
    async fn secret_find(&self, account: AccountId, id: SecretId) -> Result<Option<Arc<Secret>>>;

    /// A secret's metadata by name.
    async fn secret_find_by_name(
        &self,
        account: AccountId,
        vault: VaultId,
        name: &str,
    ) -> Result<Option<Arc<Secret>>>;

    /// Secrets, newest first: all of the account, or of one vault.
    async fn secret_list(
        &self,
        account: AccountId,
        vault: Option<VaultId>,
        query: Query,
    ) -> Result<Arc<Listing<Arc<Secret>>>>;

    /// Changes a secret; with a version, its value too, which must be sealed under the key that its vault has then. Of its versions the last ones stay, the new one included: as many as
    /// its vault says then, or else `keep`.
    /// `NotUnique`; `Stale`, also if its vault has another name by now than the record tells.
    async fn secret_update(
        &self,
        account: AccountId,
        secret: Secret,
        version: Option<Version>,
        keep: u32,
        event: Event,
    ) -> Result<()>;

    /// Moves a secret to another vault with those of its versions that stay, newest first, each sealed for it. `NotUnique`;
    /// `Stale`, also if that vault is gone or has another name or key by now, or the one it comes `from` another name, or
    /// one of the versions is gone.
    async fn secret_move(
        &self,
        account: AccountId,
        from: Arc<Secret>,
        vault: Arc<Vault>,
        secret: Secret,
        versions: Vec<Version>,
        event: Event,
    ) -> Result<()>;

    /// Appends an event of what is no change of anything stored.
    async fn event_append(&self, account: AccountId, event: Event) -> Result<()>;

    /// Notes that values are given out: appends the events that say so, and keeps for each secret in them the last time.
    async fn secret_resolved(&self, account: AccountId, events: Vec<Event>) -> Result<()>;

    /// The last time that a secret's value was given out.
    async fn resolved_find(&self, account: AccountId, id: SecretId) -> Result<Option<Resolved>>;

    /// Secrets with the last time that their values were given out, newest first: all of the account, or of one vault. With
    /// `unused_since`, only those that were neither made nor given out since then.
    async fn detail_list(
        &self,
        account: AccountId,
        vault: Option<VaultId>,
        unused_since: Option<Timestamp>,
        query: Query,
    ) -> Result<Listing<Detail>>;

    /// Removes a secret. With `keep` it is kept among the deleted ones with its versions, which are not found from then on;
    /// otherwise they are destroyed. `Stale`, also if its vault has another name by now than the record tells.
    async fn secret_delete(
        &self,
        account: AccountId,
        secret: Arc<Secret>,
        deletion: Deletion,
        keep: bool,
        event: Event,
    ) -> Result<()>;

    /// Up to `limit` secrets of whose end something is to be told by a time, those that are due first coming first.
    async fn expiring_list(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<Vec<Expiring>>;

    /// Notes for each of these secrets what was told of its end; its revision stays. `Stale` if one of them changed or was told
    /// of since it was listed, or its vault has another name by now.
    async fn expiring_told(&self, account: AccountId, told: Vec<Told>, events: Vec<Event>) -> Result<()>;

    /// Deleted secrets and vaults together, newest first. No filter counts here.
    async fn deleted_list(&self, account: AccountId, query: Query) -> Result<Leftovers>;

    /// Up to `limit` secrets, and as many vaults, that were deleted by a time, oldest first.
    async fn deleted_due(&self, account: AccountId, by: Timestamp, limit: usize) -> Result<Leftovers>;

    /// Up to `limit` deleted secrets of a vault, deleted or not.
    async fn deleted_secrets_of(
        &self,
        account: AccountId,
        vault: VaultId,
        limit: usize,
    ) -> Result<Vec<Deleted<Secret>>>;

    /// A deleted secret.
    async fn deleted_secret_find(&self, account: AccountId, id: SecretId) -> Result<Option<Deleted<Secret>>>;

    /// A deleted vault.
    async fn deleted_vault_find(&self, account: AccountId, id: VaultId) -> Result<Option<Deleted<Vault>>>;

    /// Brings a deleted secret back with its versions. `NotUnique`; `LimitReached` if there are `max` already; `Stale` if
    /// it is not deleted any more, or the vault is gone or has another name or key by now.
    async fn secret_undelete(
        &self,
        account: AccountId,
        vault: Arc<Vault>,
        secret: Secret,
        max: Option<u64>,
        event: Event,
    ) -> Result<()>;

    /// Brings a deleted vault back. `NotUnique`; `LimitReached` if there are `max` already; `Stale` if it is not deleted any
    /// more.
    async fn vault_undelete(
        &self,
        account: AccountId,
        vault: Vault,
        max: Option<u64>,
        event: Event,
    ) -> Result<()>;

    /// Destroys deleted secrets, each of that revision, and their versions: no copy of them is left in the store's files.
    /// `Stale` if one of them is not there any more. `with` is the vault that they go with, and its revision: `Stale` also
    /// if that is not deleted any more.
    async fn secrets_purge(
        &self,
        account: AccountId,
        which: Vec<(SecretId, u64)>,
        with: Option<(VaultId, u64)>,
        events: Vec<Event>,
    ) -> Result<()>;

    /// Destroys a deleted vault and its key. `NotEmpty` if deleted secrets of it are kept; `Stale` if it is not there any more.
    async fn vault_purge(&self, account: AccountId, id: VaultId, revision: u64, event: Event) -> Result<()>;

    /// One version of a secret that is not deleted.
    async fn version_find(
        &self,
        account: AccountId,
        secret: SecretId,
        number: u32,
    ) -> Result<Option<Version>>;

    /// Versions of secrets that are not deleted, each by secret and number; `None` in the place of one that there is not.
    async fn version_list(
        &self,
        account: AccountId,
        which: Vec<(SecretId, u32)>,
    ) -> Result<Vec<Option<Arc<Version>>>>;

    /// What is kept of a secret's values, newest first.
    async fn version_kept(&self, account: AccountId, secret: SecretId) -> Result<Vec<Kept>>;

    /// Walks on through the values that were replaced, up to `limit` of them, and finds those that are not to be kept any
    /// longer at a time: by what their vault sets, and otherwise by `keep`.
    async fn version_due(
        &self,
        account: AccountId,
        keep: Keep,
        now: Timestamp,
        after: Option<Walked>,
        limit: usize,
    ) -> Result<Due>;

    /// Destroys versions, where they are still there and not current.
    async fn version_prune(&self, account: AccountId, which: Vec<(SecretId, u32)>) -> Result<()>;

    /// Adds a key. `Stale` if its owner is gone.
    async fn api_key_insert(&self, account: AccountId, key: ApiKey, creation: Creation) -> Result<()>;

    /// A key by id.
    async fn api_key_find(&self, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>>;

    /// Keys, newest first. The query's scope does not count here.
    async fn api_key_list(&self, account: AccountId, of: ApiKeysOf, query: Query) -> Result<Listing<ApiKey>>;

    /// Changes all of a key but its owner and its hash. When this returns, the key can do what it says now and no more. `Stale`.
    async fn api_key_update(&self, account: AccountId, key: ApiKey, event: Event) -> Result<()>;

    /// Removes a key. When this returns, the key opens nothing any more. `Stale`.
    async fn api_key_delete(
        &self,
        account: AccountId,
        id: ApiKeyId,
        revision: u64,
        event: Event,
    ) -> Result<()>;

    /// Adds a service user. `NotUnique`.
    async fn service_user_insert(
        &self,
        account: AccountId,
        user: ServiceUser,
        creation: Creation,
    ) -> Result<()>;

    /// A service user by id.
    async fn service_user_find(&self, account: AccountId, id: ServiceUserId) -> Result<Option<ServiceUser>>;

    /// Service users, newest first.
    async fn service_user_list(&self, account: AccountId, query: Query) -> Result<Listing<ServiceUser>>;

    /// Changes a service user. `NotUnique`, `Stale`.
    async fn service_user_update(&self, account: AccountId, user: ServiceUser, event: Event) -> Result<()>;

    /// Removes a service user and its keys. `Stale` if it changed, or if `keys` are not just the keys that it has.
    async fn service_user_delete(
        &self,
        account: AccountId,
        id: ServiceUserId,
        revision: u64,
        keys: Vec<ApiKeyId>,
        events: Vec<Event>,
    ) -> Result<()>;

    /// Up to `limit` audit records after a number, oldest first.
    async fn audit_list(&self, after: u64, limit: usize) -> Result<Vec<Record>>;

    /// A page of audit records.
    async fn audit_page(&self, query: EventQuery) -> Result<Listing<Record>>;

    /// Hashes of one level of the audit log's tree, from an index on: as many as there are without a gap, up to `count`.
    /// A level's hash is that of the subtree over 16 to the power of the level records, and there is one for each such
    /// stretch that is full.
    async fn audit_hashes(&self, level: u32, first: u64, count: u64) -> Result<Vec<Digest>>;

    /// Waits until the audit log is longer than up to a record, and says which is its last one then.
    async fn audit_watch(&self, past: u64) -> Result<u64>;

    /// Up to which record the audit log is pruned; 0 while it is whole.
    async fn audit_pruned(&self) -> Result<u64>;

    /// The record that tells up to where the audit log is pruned; 0 while it is whole.
    async fn audit_pruned_by(&self) -> Result<u64>;

    /// Prunes the audit log, which is pruned up to `from`, up to a record of it. Of the records that go the hashes stay.
    /// `Stale` if it is pruned up to another one by now.
    async fn audit_prune(&self, from: u64, upto: u64, event: Event) -> Result<()>;

    /// The end of the audit log.
    async fn audit_head(&self) -> Result<Head>;

    /// Whether it can be read and changed at this moment, as far as that shows without a change.
    async fn ready(&self) -> Result<()>;

    /// How much there is.
    async fn counts(&self) -> Result<Counts>;
}
