//! Columns to words and back.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use strongroom_crypto::TokenHash;
use strongroom_domain::fingerprint::Fingerprint;
use strongroom_domain::ids::{Ksuid, PrincipalId};

/// A column read as a domain type. It is a type of its own because neither trait nor type is ours.
pub(super) struct Col<T>(pub(super) T);

fn array<const N: usize>(value: ValueRef<'_>) -> FromSqlResult<[u8; N]> {
    let bytes = value.as_blob()?;
    bytes.try_into().map_err(|_| FromSqlError::InvalidBlobSize { expected_size: N, blob_size: bytes.len() })
}

impl FromSql for Col<Ksuid> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        array(value).map(|bytes| Self(Ksuid::from_bytes(bytes)))
    }
}

impl FromSql for Col<PrincipalId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        PrincipalId::from_bytes(array(value)?).map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

impl FromSql for Col<Timestamp> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let seconds = value.as_i64()?;
        Timestamp::from_second(seconds).map(Self).map_err(|_| FromSqlError::OutOfRange(seconds))
    }
}

impl FromSql for Col<Option<Timestamp>> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self(None)),
            value => Col::<Timestamp>::column_result(value).map(|col| Self(Some(col.0))),
        }
    }
}

impl FromSql for Col<Option<PrincipalId>> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self(None)),
            value => Col::<PrincipalId>::column_result(value).map(|col| Self(Some(col.0))),
        }
    }
}

impl FromSql for Col<Option<Fingerprint>> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self(None)),
            value => array(value).map(|bytes| Self(Some(Fingerprint::from_bytes(bytes)))),
        }
    }
}

impl FromSql for Col<TokenHash> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        array(value).map(|bytes| Self(TokenHash::from_bytes(bytes)))
    }
}

/// What is read from a column, by its place in the select list.
pub(super) fn get<T>(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<T>
where
    Col<T>: FromSql,
{
    row.get::<_, Col<T>>(index).map(|col| col.0)
}
