//! What is asked of a store about leases: which of several processes does what only one is to do.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use strongroom_crypto::{CryptoError, Rng};

use crate::error::Result;
use crate::ids::{AccountId, WebhookId};

/// A process, among those that share a store; from its start to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId([u8; 16]);

impl NodeId {
    /// A new one, for a process that starts.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn make(rng: &dyn Rng) -> Result<Self, CryptoError> {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// One from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What one process does at a time. Its text is how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lease {
    /// What time alone brings about, pruning too.
    Sweeping,
    /// Going on with rotations of keys.
    Rotating,
    /// Telling a webhook of changes.
    Delivering(WebhookId),
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sweeping => f.write_str("sweeping"),
            Self::Rotating => f.write_str("rotating"),
            Self::Delivering(webhook) => write!(f, "delivering {webhook}"),
        }
    }
}

/// Leases, in a store. Its rules are those of [`Store`](super::Store).
///
/// A lease saves work and keeps an order; nothing that is stored hangs on it. Who lost one without noticing, as its process was
/// stopped for a while, is told `Stale` by what it changes then, or changes nothing that is not to be changed.
///
/// # Errors
/// Those of [`Store`](super::Store).
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes a lease, or keeps it, for so long by the store's own clock; says whether it is the holder's now. A store that one
    /// process has to itself always says yes.
    async fn lease_take(
        &self,
        account: AccountId,
        lease: Lease,
        holder: NodeId,
        span: Duration,
    ) -> Result<bool>;

    /// Gives a lease back, if it is the holder's.
    async fn lease_give_back(&self, account: AccountId, lease: Lease, holder: NodeId) -> Result<()>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::Ksuid;
    use strongroom_crypto::SystemRng;

    #[test]
    fn leases_and_nodes_have_texts_of_their_own() {
        let webhook = WebhookId::new(Ksuid::MIN);
        let texts =
            [Lease::Sweeping, Lease::Rotating, Lease::Delivering(webhook)].map(|lease| lease.to_string());
        assert_eq!(texts, ["sweeping".to_owned(), "rotating".to_owned(), format!("delivering {webhook}")]);
        assert_eq!(NodeId::from_bytes([0xab; 16]).to_string(), "ab".repeat(16));
        assert_ne!(NodeId::make(&SystemRng).unwrap(), NodeId::make(&SystemRng).unwrap());
    }
}
