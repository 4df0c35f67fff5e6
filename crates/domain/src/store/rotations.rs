//! What is asked of a store about the rotation of keys.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::audit::Event;
use crate::error::Result;
use crate::ids::{AccountId, SecretId, VaultId};
use crate::rotation::{Due, Kind, NewKey, NewRootKey, Rotation, Turned, Usage};

/// The rotation of keys, in a store. Its rules are those of [`Store`](super::Store). A vault that is deleted and can be brought
/// back counts as one here, but none begins with it.
///
/// # Errors
/// Those of [`Store`](super::Store).
#[async_trait]
pub trait RotationStore: Send + Sync {
    /// Begins a rotation. With a key it comes in the place of the vault's, which stays beside it; from then on no value is
    /// written under another one. `Conflict` if one is under way in the vault; `Stale` if the vault is gone or has another
    /// key by now.
    async fn rotation_begin(
        &self,
        account: AccountId,
        rotation: Rotation,
        key: Option<NewKey>,
        event: Event,
    ) -> Result<()>;

    /// The rotations that are under way, those that began first coming first.
    async fn rotation_list(&self, account: AccountId) -> Result<Vec<Rotation>>;

    /// How much there is in each of these vaults, and how far its rotation is.
    async fn rotation_usage(&self, account: AccountId, vaults: Vec<VaultId>) -> Result<Vec<Usage>>;

    /// Up to `limit` values that a rotation has still to do, after one of them, by secret and number.
    async fn rotation_due(
        &self,
        account: AccountId,
        vault: VaultId,
        kind: Kind,
        after: Option<(SecretId, u32)>,
        limit: usize,
    ) -> Result<Vec<Due>>;

    /// Puts values in the place of those they were, where these still are; says how many. `Stale` if no such rotation is
    /// under way any more.
    async fn rotation_step(
        &self,
        account: AccountId,
        vault: VaultId,
        kind: Kind,
        turned: Vec<Turned>,
    ) -> Result<u64>;

    /// Ends a rotation, and destroys the vault's key before: no copy of what was replaced is left in the store's files.
    /// `NotEmpty` if a value still refers to an old key; `Stale` if no such rotation is under way any more.
    async fn rotation_end(&self, account: AccountId, vault: VaultId, kind: Kind, event: Event) -> Result<()>;

    /// Wraps all that the root key wraps by another one, and seals that to every slot, in one step, and destroys what was; says
    /// how much was wrapped. From then
    /// on nothing is stored that the one before wrapped. `Stale` if the root key is another one by now; what `rewrap` and `reseal` fail with.
    async fn root_key_replace(&self, account: AccountId, new: NewRootKey, event: Event) -> Result<u64>;

    /// When the root key was made.
    async fn root_keyed_at(&self, account: AccountId) -> Result<Timestamp>;

    /// Up to `limit` vaults whose key was made by a time, and of which no rotation is under way, those with the oldest key
    /// coming first.
    async fn rotation_overdue(&self, account: AccountId, by: Timestamp, limit: usize)
    -> Result<Vec<VaultId>>;
}
