//! Accounts, users and service users.

use jiff::Timestamp;
use strongroom_crypto::{KeyId, WrappedKey};

use crate::caller::Role;
use crate::filter::{Field, Kind};
use crate::ids::{AccountId, ServiceUserId, UserId};

/// Who owns everything. One is made at the first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it is called.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The root key that everything in it is sealed under.
    pub root_key: KeyId,
    /// The key of its tokens' hashes, wrapped by the root key.
    pub wrapped_token_key: WrappedKey,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its e-mail address: what it is called in the audit log.
    pub email: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A program with an identity of its own. It acts as a developer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUser {
    /// Its id.
    pub id: ServiceUserId,
    /// Its name, unique in the account.
    pub name: String,
    /// Whether its keys work.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often it changed, from 1.
    pub revision: u64,
}

impl ServiceUser {
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: ServiceUserId::decode } },
        Field { name: "name", kind: Kind::Text },
        Field { name: "active", kind: Kind::Bool },
        Field { name: "created_at", kind: Kind::Time },
    ];
}
