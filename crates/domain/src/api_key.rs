//! An API key: how a principal shows who it is.

use jiff::Timestamp;
use strongroom_crypto::TokenHash;

use crate::filter::{Field, Kind};
use crate::ids::{ApiKeyId, PrincipalId};

/// An API key. Its token was shown once and is not kept.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whom it acts for.
    pub owner: PrincipalId,
    /// How often it changed, from 1.
    pub revision: u64,
    /// The keyed hash of its token.
    pub hash: TokenHash,
}

impl ApiKey {
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: ApiKeyId::decode } },
        Field { name: "description", kind: Kind::Text },
        Field { name: "metadata", kind: Kind::Text },
        Field { name: "created_at", kind: Kind::Time },
        Field { name: "owner_id", kind: Kind::Id { decode: PrincipalId::decode } },
    ];
}
