//! Values on their way to the database. Each says its type, so that no statement has to ask for it.

use std::borrow::Cow;
use std::fmt;

use bytes::BytesMut;
use jiff::Timestamp;
use strongroom_crypto::{KeyId, TokenHash, WrappedKey};
use strongroom_domain::fingerprint::Fingerprint;
use strongroom_domain::ids::{
    AccountId, ApiKeyId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, KeySlotId, Ksuid, PrincipalId,
    SecretId, ServiceUserId, UserId, VaultId, WebhookId,
};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// One value. It has no `Debug` of what it holds: that may be sealed bytes, names, hashes.
#[derive(Clone)]
pub(super) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<Cow<'a, [u8]>>),
    Bool(bool),
    Ints(Vec<i64>),
    OptionalInts(Vec<Option<i64>>),
    ManyBytes(Vec<Cow<'a, [u8]>>),
    Texts(Vec<&'a str>),
}

/// Values for the placeholders of a statement, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::postgres::value::Value::from($value)),*] };
}
pub(super) use values;

impl Value<'_> {
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Int(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
            Self::Bool(_) => Type::BOOL,
            Self::Ints(_) | Self::OptionalInts(_) => Type::INT8_ARRAY,
            Self::ManyBytes(_) => Type::BYTEA_ARRAY,
            Self::Texts(_) => Type::TEXT_ARRAY,
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of type {}", self.kind())
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let kind = self.kind();
        match self {
            Self::Int(value) => value.to_sql(&kind, out),
            Self::Text(value) => value.as_deref().to_sql(&kind, out),
            Self::Bytes(value) => value.as_deref().to_sql(&kind, out),
            Self::Bool(value) => value.to_sql(&kind, out),
            Self::Ints(values) => values.to_sql(&kind, out),
            Self::OptionalInts(values) => values.to_sql(&kind, out),
            Self::ManyBytes(values) => {
                values.iter().map(|value| &**value).collect::<Vec<&[u8]>>().to_sql(&kind, out)
            }
            Self::Texts(values) => values.to_sql(&kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The database has no unsigned numbers; what it cannot hold is beyond anything that is counted here.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Self::Int(Some(int(value)))
    }
}

impl From<Option<u64>> for Value<'_> {
    fn from(value: Option<u64>) -> Self {
        Self::Int(value.map(int))
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<Option<u32>> for Value<'_> {
    fn from(value: Option<u32>) -> Self {
        Self::Int(value.map(i64::from))
    }
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::Int(Some(int(value as u64)))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.as_second()))
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(Timestamp::as_second))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(Cow::Borrowed(value)))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Some(Cow::Borrowed(value)))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Some(Cow::Owned(value)))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(Cow::Owned))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Some(Cow::Borrowed(value)))
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::Bytes(value.map(Cow::Borrowed))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Bytes(Some(Cow::Borrowed(value)))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(Cow::Owned(value)))
    }
}

impl From<Option<Vec<u8>>> for Value<'_> {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Bytes(value.map(Cow::Owned))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Self::Bytes(Some(Cow::Borrowed(value)))
    }
}

impl<const N: usize> From<[u8; N]> for Value<'_> {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(Some(Cow::Owned(value.to_vec())))
    }
}

impl<'a> From<&'a WrappedKey> for Value<'a> {
    fn from(value: &'a WrappedKey) -> Self {
        value.as_bytes().into()
    }
}

impl<'a> From<Option<&'a WrappedKey>> for Value<'a> {
    fn from(value: Option<&'a WrappedKey>) -> Self {
        value.map(WrappedKey::as_bytes).into()
    }
}

impl<'a> From<&'a KeyId> for Value<'a> {
    fn from(value: &'a KeyId) -> Self {
        value.as_bytes().into()
    }
}

impl<'a> From<&'a TokenHash> for Value<'a> {
    fn from(value: &'a TokenHash) -> Self {
        value.as_bytes().into()
    }
}

impl<'a> From<Option<&'a Fingerprint>> for Value<'a> {
    fn from(value: Option<&'a Fingerprint>) -> Self {
        value.map(|value| value.as_bytes().as_slice()).into()
    }
}

impl From<Ksuid> for Value<'_> {
    fn from(value: Ksuid) -> Self {
        (*value.as_bytes()).into()
    }
}

impl From<PrincipalId> for Value<'_> {
    fn from(value: PrincipalId) -> Self {
        value.to_bytes().into()
    }
}

impl From<Option<PrincipalId>> for Value<'_> {
    fn from(value: Option<PrincipalId>) -> Self {
        Self::Bytes(value.map(|value| Cow::Owned(value.to_bytes().to_vec())))
    }
}

macro_rules! ids {
    ($($id:ident),*) => {
        $(impl From<$id> for Value<'_> {
            fn from(value: $id) -> Self {
                value.ksuid().into()
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
