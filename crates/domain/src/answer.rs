//! First answers, which are kept for a day: a create that is asked for again under the same `Idempotency-Key` gets it once more.
//!
//! Who asked for what is known by keyed hashes alone; what was answered is made of what the audit event tells, and of the
//! token of a new API key, sealed.

use jiff::{SignedDuration, Timestamp};
use strongroom_crypto::context::TokenPlace;
use strongroom_crypto::{Digest, SealedValue, TokenHash, WrappedKey};

use crate::api_key::ApiKey;
use crate::audit::{Event, Object};
use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
use crate::keep::VaultKeep;
use crate::principal::ServiceUser;
use crate::secret::Secret;
use crate::vault::Vault;

/// For how long a first answer is kept.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A request that may come again, by keyed hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeatable {
    /// Of who asks, where, and under which key: another request has another one.
    pub mark: Digest,
    /// Of what is asked: the same again has the same one.
    pub request: Digest,
}

/// The first answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The request.
    pub to: Repeatable,
    /// When it was given, to the second.
    pub at: Timestamp,
    /// What was made, as it was then.
    pub object: Object,
    /// The token of a new API key, sealed.
    pub token: Option<SealedValue>,
}

/// What a create brings along beside what it makes.
#[derive(Debug)]
pub struct Creation {
    /// The event that tells of it.
    pub event: Event,
    /// Its answer, if that is to be kept.
    pub answer: Option<Answer>,
}

impl From<Event> for Creation {
    fn from(event: Event) -> Self {
        Self { event, answer: None }
    }
}

impl Creation {
    /// A create that an event tells of, whose answer is kept if it may be asked for again.
    #[must_use]
    pub fn new(event: Event, to: Option<&Repeatable>, token: Option<SealedValue>) -> Self {
        let answer = to.map(|to| Answer { to: *to, at: event.at, object: event.object.clone(), token });
        Self { event, answer }
    }
}

/// What a create gives.
#[derive(Debug)]
pub struct Made<T> {
    /// What was made: now, or when it was asked for before, as it was then.
    pub it: T,
    /// Whether it was asked for before.
    pub again: bool,
}

impl<T> Made<T> {
    pub(crate) fn now(it: T) -> Self {
        Self { it, again: false }
    }

    pub(crate) fn before(it: T) -> Self {
        Self { it, again: true }
    }
}

/// A kept answer tells of something else than was asked for.
#[derive(Debug, thiserror::Error)]
#[error("a kept answer tells of something else than was asked for")]
struct OtherKind;

fn other_kind() -> Error {
    Error::Internal(Box::new(OtherKind))
}

impl Repeatable {
    /// What the token of its answer is bound to.
    #[must_use]
    pub fn token_place(&self, account: AccountId) -> TokenPlace {
        TokenPlace { account: *account.ksuid().as_bytes(), request: self.mark }
    }
}

impl Answer {
    /// What was given by then does not count any more.
    #[must_use]
    pub fn over_by(now: Timestamp) -> Timestamp {
        now.checked_sub(KEPT_FOR).unwrap_or(Timestamp::MIN)
    }

    /// What was made, as it is stored.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as JSON, which nothing is known to do.
    pub fn object_to_json(&self) -> Result<String> {
        serde_json::to_string(&self.object).map_err(|error| Error::Internal(Box::new(error)))
    }

    /// What was made, out of what is stored.
    ///
    /// # Errors
    /// [`Error::Internal`] when the text is none.
    pub fn object_from_json(text: &str) -> Result<Object> {
        serde_json::from_str(text).map_err(|error| Error::Internal(Box::new(error)))
    }

    /// The vault that was made. What is told of it has no key, and nothing is to be opened with it.
    pub(crate) fn into_vault(self) -> Result<Vault> {
        let Object::Vault {
            id,
            created_at,
            updated_at,
            name,
            description,
            metadata,
            created_by,
            last_updated_by,
            ..
        } = self.object
        else {
            return Err(other_kind());
        };
        Ok(Vault {
            id,
            name,
            description,
            metadata,
            created_at,
            created_by,
            updated_at,
            last_updated_by,
            revision: 1,
            wrapped_key: WrappedKey::from_bytes(Vec::new()),
            previous_key: None,
            keyed_at: created_at,
            keep: VaultKeep::default(),
        })
    }

    /// The secret that was made.
    pub(crate) fn into_secret(self) -> Result<Secret> {
        let Object::Secret {
            id,
            created_at,
            updated_at,
            name,
            description,
            metadata,
            created_by,
            last_updated_by,
            vault,
            vault_name,
            version,
            expires_at,
            ..
        } = self.object
        else {
            return Err(other_kind());
        };
        Ok(Secret {
            id,
            vault_id: vault,
            vault_name,
            name,
            description,
            metadata,
            created_at,
            created_by,
            updated_at,
            last_updated_by,
            revision: 1,
            version,
            expires_at,
        })
    }

    /// The API key that was made, whose token has that hash.
    pub(crate) fn into_api_key(self, hash: TokenHash) -> Result<ApiKey> {
        let Object::ApiKey {
            id,
            description,
            metadata,
            created_at,
            owner_id,
            grants,
            expires_at,
            client_certificate,
        } = self.object
        else {
            return Err(other_kind());
        };
        Ok(ApiKey {
            id,
            description,
            metadata,
            created_at,
            owner: owner_id,
            grants,
            expires_at,
            client_certificate,
            revision: 1,
            hash,
        })
    }

    /// The service user that was made.
    pub(crate) fn into_service_user(self) -> Result<ServiceUser> {
        let Object::ServiceUser { id, name, active, created_at } = self.object else {
            return Err(other_kind());
        };
        Ok(ServiceUser { id, name, active, created_at, revision: 1 })
    }

    /// The IP policy that was made.
    pub(crate) fn into_ip_policy(self) -> Result<IpPolicy> {
        let Object::IpPolicy { id, created_at, description, metadata } = self.object else {
            return Err(other_kind());
        };
        Ok(IpPolicy { id, description, metadata, created_at, revision: 1 })
    }

    /// The rule of an IP policy that was made.
    pub(crate) fn into_ip_rule(self) -> Result<IpPolicyRule> {
        let Object::IpPolicyRule { id, created_at, description, metadata, cidr, action, ip_policy } =
            self.object
        else {
            return Err(other_kind());
        };
        let policy = ip_policy;
        Ok(IpPolicyRule { id, policy, cidr, action, description, metadata, created_at, revision: 1 })
    }

    /// The IP restriction that was made.
    pub(crate) fn into_ip_restriction(self) -> Result<IpRestriction> {
        let Object::IpRestriction { id, created_at, description, metadata, kind, enforced, ip_policies } =
            self.object
        else {
            return Err(other_kind());
        };
        let policies = ip_policies;
        Ok(IpRestriction { id, kind, enforced, policies, description, metadata, created_at, revision: 1 })
    }
}
