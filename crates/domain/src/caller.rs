//! Who is asking, and what they may do.

use jiff::Timestamp;

use crate::api_key::ApiKey;
use crate::error::{BadCredential, Error, Result};
use crate::grant::Grants;
use crate::ids::{AccountId, ApiKeyId, PrincipalId};

/// What a principal may do: see [`Role::standing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything but looking after service users and other people's keys.
    Developer,
    /// Reading.
    Viewer,
}

impl Role {
    /// The word that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// The role of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::Developer, Self::Viewer].into_iter().find(|role| role.as_str() == text)
    }
}

/// An API key and the principal behind it, as one lookup finds them.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The account of both.
    pub account: AccountId,
    /// The key.
    pub key: ApiKey,
    /// What its owner is called in the audit log: an e-mail address or a service user's name.
    pub subject: String,
    /// What its owner may do.
    pub role: Role,
    /// Whether its owner is active.
    pub active: bool,
}

/// Somebody who showed a valid API key, or works on the machine itself. Only [`crate::app::App::authenticate`] and
/// [`crate::app::App::operator`] make one.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) account: AccountId,
    pub(crate) principal: PrincipalId,
    pub(crate) subject: String,
    pub(crate) role: Role,
    pub(crate) key: Option<ApiKeyId>,
    pub(crate) grants: Option<Grants>,
}

impl Caller {
    /// Whether the same caller, looked at at another time, may do the same.
    pub(crate) fn may_the_same(&self, other: &Self) -> bool {
        (self.role, &self.grants) == (other.role, &other.grants)
    }

    /// The account that the caller belongs to: every query names it.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// What the principal is called.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The key that was shown; none for somebody who works on the machine itself.
    #[must_use]
    pub fn key(&self) -> Option<ApiKeyId> {
        self.key
    }

    /// What the key may do, and nothing else; none for a key that may do what its owner may.
    #[must_use]
    pub fn grants(&self) -> Option<&Grants> {
        self.grants.as_ref()
    }

    /// What its owner is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whom the key acts for.
    #[must_use]
    pub fn principal(&self) -> PrincipalId {
        self.principal
    }

    /// The caller that a key makes.
    pub(crate) fn from_credential(credential: &Credential) -> Self {
        Self {
            account: credential.account,
            principal: credential.key.owner,
            subject: credential.subject.clone(),
            role: credential.role,
            key: Some(credential.key.id),
            grants: credential.key.grants.clone(),
        }
    }

    /// Whether this caller sees a key: an admin sees all of the account's, a key with grants itself, everyone else their
    /// own.
    pub(crate) fn sees_key(&self, key: &ApiKey) -> bool {
        self.is_admin()
            || if self.grants.is_some() { self.key == Some(key.id) } else { key.owner == self.principal }
    }
}

impl Credential {
    /// Refuses a key that does not count any more, or not now.
    pub(crate) fn must_count(&self, now: impl FnOnce() -> Timestamp) -> Result<()> {
        if !self.active {
            return Err(Error::Unauthenticated(BadCredential::OwnerInactive(self.key.owner)));
        }
        match self.key.expires_at {
            Some(at) if at <= now() => Err(Error::Unauthenticated(BadCredential::Expired(at))),
            _ => Ok(()),
        }
    }
}
