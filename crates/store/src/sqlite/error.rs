//! What SQLite's errors mean to the domain.

use rusqlite::ffi;
use strongroom_domain::Error;
use strongroom_domain::error::{Noun, Rule};

/// A stored column holds what the schema does not allow.
#[derive(Debug, thiserror::Error)]
#[error("the store's {0} holds what it cannot hold")]
pub(super) struct Corrupt(pub(super) &'static str);

/// What an error means when nothing more is known of it.
pub(super) fn plain(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let code = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.code),
        _ => None,
    };
    match code {
        Some(
            Code::DiskFull
            | Code::SystemIoFailure
            | Code::CannotOpen
            | Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::ReadOnly
            | Code::OutOfMemory
            | Code::OperationInterrupted,
        ) => Error::Unavailable(Box::new(error)),
        _ => Error::Internal(Box::new(error)),
    }
}

/// What an error means when `noun` is written: a broken uniqueness is the name's.
pub(super) fn writing(noun: Noun) -> impl Fn(rusqlite::Error) -> Error {
    move |error| match &error {
        rusqlite::Error::SqliteFailure(failure, _)
            if failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE =>
        {
            Error::NotUnique(noun)
        }
        // Only something that brings its id along can meet one that is there.
        rusqlite::Error::SqliteFailure(failure, _)
            if failure.extended_code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY =>
        {
            Rule::Parameter("id").into()
        }
        _ => plain(error),
    }
}
