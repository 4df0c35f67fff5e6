//! Columns to words and back.

use jiff::Timestamp;
use strongroom_crypto::{Digest, KeyId, TokenHash, WrappedKey};
use strongroom_domain::fingerprint::Fingerprint;
use strongroom_domain::ids::{
    AccountId, ApiKeyId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, KeySlotId, Ksuid, PrincipalId,
    SecretId, ServiceUserId, UserId, VaultId, WebhookId,
};
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;

use super::error::{Corrupt, plain};

/// What can be read from a column.
pub(super) trait Column: Sized {
    /// What the driver reads it as.
    type Stored: FromSqlOwned;

    /// Checks it; `None` if it cannot be that.
    fn of(stored: Self::Stored) -> Option<Self>;
}

/// What is read from a column, by its place in the select list.
pub(super) fn get<T: Column>(row: &Row, index: usize) -> Result<T> {
    let stored = row.try_get::<_, T::Stored>(index).map_err(plain)?;
    T::of(stored).ok_or_else(|| corrupt("column"))
}

/// The same of a column that may be NULL.
pub(super) fn get_opt<T: Column>(row: &Row, index: usize) -> Result<Option<T>> {
    let stored = row.try_get::<_, Option<T::Stored>>(index).map_err(plain)?;
    stored.map(|stored| T::of(stored).ok_or_else(|| corrupt("column"))).transpose()
}

/// A stored column holds what the schema does not allow.
pub(super) fn corrupt(what: &'static str) -> Error {
    Error::Internal(Box::new(Corrupt(what)))
}

macro_rules! columns {
    ($($column:ty: $stored:ty => $of:expr;)*) => {
        $(impl Column for $column {
            type Stored = $stored;

            fn of(stored: $stored) -> Option<Self> {
                let of: fn($stored) -> Option<Self> = $of;
                of(stored)
            }
        })*
    };
}

columns! {
    i64: i64 => Some;
    u64: i64 => |stored| stored.try_into().ok();
    u32: i64 => |stored| stored.try_into().ok();
    bool: bool => Some;
    String: String => Some;
    Vec<u8>: Vec<u8> => Some;
    Digest: Vec<u8> => |stored| stored.try_into().ok();
    Timestamp: i64 => |stored| Timestamp::from_second(stored).ok();
    Ksuid: Vec<u8> => |stored| stored.try_into().ok().map(Ksuid::from_bytes);
    PrincipalId: Vec<u8> => |stored| PrincipalId::from_bytes(stored.try_into().ok()?).ok();
    KeyId: Vec<u8> => |stored| stored.try_into().ok().map(KeyId::from_bytes);
    TokenHash: Vec<u8> => |stored| stored.try_into().ok().map(TokenHash::from_bytes);
    Fingerprint: Vec<u8> => |stored| stored.try_into().ok().map(Fingerprint::from_bytes);
    WrappedKey: Vec<u8> => |stored| Some(WrappedKey::from_bytes(stored));
}

macro_rules! ids {
    ($($id:ident),*) => {
        $(impl Column for $id {
            type Stored = Vec<u8>;

            fn of(stored: Vec<u8>) -> Option<Self> {
                Ksuid::of(stored).map(Self::new)
            }
        })*
    };
}
ids!(
    AccountId,
    ApiKeyId,
    IpPolicyId,
    IpPolicyRuleId,
    IpRestrictionId,
    KeySlotId,
    SecretId,
    ServiceUserId,
    UserId,
    VaultId,
    WebhookId
);
