//! An API key: how a principal shows who it is.

use jiff::Timestamp;
use strongroom_crypto::TokenHash;

use crate::filter::{Field, Kind};
use crate::fingerprint::Fingerprint;
use crate::grant::Grants;
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
    /// What it may do, and nothing else; none for a key that may do what its owner may, but read no value.
    pub grants: Option<Grants>,
    /// When it stops working, to the second; none for never.
    pub expires_at: Option<Timestamp>,
    /// The certificate that a connection has to show for it to work; none for any connection.
    pub client_certificate: Option<Fingerprint>,
    /// How often it changed, from 1.
    pub revision: u64,
    /// The keyed hash of its token.
    pub hash: TokenHash,
}

impl ApiKey {
    /// Whether both are the same in all that can be changed of a key.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let bounds = |key: &Self| (key.expires_at, key.client_certificate);
        let changeable = |key: &Self| (key.description.clone(), key.metadata.clone(), key.grants.clone());
        changeable(self) == changeable(other) && bounds(self) == bounds(other)
    }

    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: ApiKeyId::decode } },
        Field { name: "description", kind: Kind::Text },
        Field { name: "metadata", kind: Kind::Text },
        Field { name: "created_at", kind: Kind::Time },
        Field { name: "owner_id", kind: Kind::Id { decode: PrincipalId::decode } },
    ];
}
