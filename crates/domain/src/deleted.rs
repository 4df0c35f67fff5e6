//! What was deleted, for as long as it can be brought back.

use jiff::{SignedDuration, Timestamp};

use crate::ids::{Ksuid, PrincipalId};
use crate::page::Listing;
use crate::secret::Secret;
use crate::vault::Vault;

/// When something was deleted, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: PrincipalId,
}

/// Something that was deleted, as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted<T> {
    /// What it was.
    pub was: T,
    /// When and by whom it was deleted.
    pub deletion: Deletion,
}

/// Deleted things; of each kind the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// Secrets.
    pub secrets: Vec<Deleted<Secret>>,
    /// Vaults.
    pub vaults: Vec<Deleted<Vault>>,
    /// Whether there are more.
    pub more: bool,
}

impl Leftovers {
    /// A page of both kinds out of a page of each, newest first, of up to `limit` things.
    #[must_use]
    pub fn merged(
        mut secrets: Listing<Deleted<Secret>>,
        mut vaults: Listing<Deleted<Vault>>,
        limit: usize,
    ) -> Self {
        let of_secrets = secrets.items.iter().map(|secret| secret.was.id.ksuid());
        let mut ids: Vec<Ksuid> =
            of_secrets.chain(vaults.items.iter().map(|vault| vault.was.id.ksuid())).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        // A secret and a vault of one id stay together: the next page begins after that id, and would have neither.
        let first_left_out = ids.get(limit).filter(|id| Some(*id) != ids.first());
        let more = secrets.more || vaults.more || first_left_out.is_some();
        if let Some(first_left_out) = first_left_out {
            secrets.items.retain(|secret| secret.was.id.ksuid() > *first_left_out);
            vaults.items.retain(|vault| vault.was.id.ksuid() > *first_left_out);
        }
        Self { secrets: secrets.items, vaults: vaults.items, more }
    }

    /// The last id of the page, whatever it is of: what the next one comes before.
    #[must_use]
    pub fn last(&self) -> Option<Ksuid> {
        let secret = self.secrets.last().map(|secret| secret.was.id.ksuid());
        secret.into_iter().chain(self.vaults.last().map(|vault| vault.was.id.ksuid())).min()
    }
}

/// For how long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How many seconds; 0 is not at all.
    pub seconds: u32,
}

impl Retention {
    /// Whether deleted things are kept at all.
    #[must_use]
    pub fn keeps(self) -> bool {
        self.seconds > 0
    }

    /// The end of the time for which something is kept that was deleted then.
    #[must_use]
    pub fn end(self, deleted_at: Timestamp) -> Timestamp {
        deleted_at.checked_add(self.span()).unwrap_or(Timestamp::MAX)
    }

    /// What is of that time or before is not to be kept now.
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.span()).unwrap_or(Timestamp::MIN)
    }

    fn span(self) -> SignedDuration {
        SignedDuration::from_secs(self.seconds.into())
    }
}

impl Default for Retention {
    /// Seven days.
    fn default() -> Self {
        Self { seconds: 7 * 24 * 3600 }
    }
}
