//! What the database's errors mean to the domain.

use strongroom_domain::Error;
use strongroom_domain::error::{Noun, Rule};
use tokio_postgres::error::SqlState;

/// A stored column holds what the schema does not allow.
#[derive(Debug, thiserror::Error)]
#[error("the store's {0} holds what it cannot hold")]
pub(super) struct Corrupt(pub(super) &'static str);

/// The database cannot answer now.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Away {
    /// What is known of it, without any data.
    text: String,
    /// Whether the same may be tried again at once: nothing of it was committed, and it may go better.
    pub(super) again: bool,
    /// Whether the database itself said so.
    refused: bool,
    /// What it said.
    code: Option<SqlState>,
    /// Whether it is for a person to mend, and waiting does not help who comes for the first time.
    lasts: bool,
}

/// The database answers, and refuses what it should not.
#[derive(Debug, thiserror::Error)]
#[error("the database refuses a statement: {text}")]
struct Refused {
    text: String,
    code: Option<SqlState>,
}

/// An error without the rows that it may quote: the database's own details name keys and values.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refused) => format!("{} ({})", refused.message(), refused.code().code()),
        None => {
            let source = std::error::Error::source(error).map(|source| format!(": {source}"));
            format!("{error}{}", source.unwrap_or_default())
        }
    }
}

/// What an error means when nothing more is known of it.
pub(super) fn plain(error: tokio_postgres::Error) -> Error {
    let text = told(&error);
    let Some(code) = error.code() else {
        // Without a code it is the connection's, unless what was sent or received could not be read.
        let again = !text.starts_with("error serializing") && !text.starts_with("error deserializing");
        let lasts = is_lasting(&error, &text);
        return if again {
            Error::Unavailable(Box::new(Away { text, again, refused: false, code: None, lasts }))
        } else {
            Error::Internal(Box::new(Refused { text, code: None }))
        };
    };
    if is_passing(code) {
        // A full disk does not pass by within the time that somebody waits, and whoever comes after would wait for that, too.
        let again = *code != SqlState::DISK_FULL;
        let (refused, code) = (is_refusal(code), Some(code.clone()));
        return Error::Unavailable(Box::new(Away { text, again, refused, code, lasts: false }));
    }
    Error::Internal(Box::new(Refused { text, code: Some(code.clone()) }))
}

/// Whether an error of a connection is one of how it was asked for: TLS that the database does not have, a certificate that is not
/// taken, a password that is missing. A handshake that was cut off is none.
fn is_lasting(error: &tokio_postgres::Error, text: &str) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let cut = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    let was_cut =
        matches!(cut, Some(BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof));
    let of_asking = ["error performing TLS handshake", "authentication error", "invalid configuration"];
    !was_cut && of_asking.iter().any(|start| text.starts_with(start))
}

/// The classes of errors that go by, by the appendix of PostgreSQL's manual: 08 connections, 40 transactions rolled back (40001
/// above all), 53 resources, 57 an operator's hand, 58 the system; a standby that cannot be written to yet (25006), and a transaction
/// that was ended because nothing was heard of its node (25P03).
fn is_passing(code: &SqlState) -> bool {
    const CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];
    CLASSES.contains(&code.code().get(..2).unwrap_or_default())
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        || *code == SqlState::LOCK_NOT_AVAILABLE
}

/// Whether the connection can be used after this error of a statement, whose transaction is undone then. These end it, perhaps in the
/// middle of a commit; and after 40003 nobody knows what was done.
fn is_refusal(code: &SqlState) -> bool {
    !["57", "08", "25P03", "40003"].iter().any(|ends| code.code().starts_with(ends))
}

/// Whether a `COMMIT` that ends in this error has undone its transaction. PostgreSQL itself says nothing once it has committed. Engines
/// that commit on several machines may tell of an error and have committed all the same, as by 40003: so only what is known to come
/// before that counts. 40001 and 40P01 are conflicts, 40002 and 23 what was to be checked at the end, 53 is a lack of resources.
fn undoes(code: &SqlState) -> bool {
    ["40001", "40P01", "40002", "23", "53"].iter().any(|before| code.code().starts_with(before))
}

/// The database is away, and nothing was committed.
pub(super) fn away(text: impl Into<String>) -> Error {
    Error::Unavailable(Box::new(Away {
        text: text.into(),
        again: true,
        refused: false,
        code: None,
        lasts: false,
    }))
}

/// Nobody knows whether the change was committed, and trying it again might do it twice.
pub(super) fn unknown(error: &Error) -> Error {
    let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Error::Unavailable(Box::new(Away {
        text: format!("nobody knows whether the commit was done: {text}"),
        again: false,
        refused: false,
        code: None,
        lasts: false,
    }))
}

/// Whether the same may be tried again.
pub(super) fn is_passing_by(error: &Error) -> bool {
    matches!(error, Error::Unavailable(cause) if cause.downcast_ref::<Away>().is_some_and(|away| away.again))
}

/// Whether it may be well again by itself.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Unavailable(cause) if cause.downcast_ref::<Away>().is_none_or(|away| !away.lasts))
}

/// Whether it was the database that refused, and not the connection that failed.
pub(super) fn was_refused(error: &Error) -> bool {
    match error {
        Error::Unavailable(cause) => cause.downcast_ref::<Away>().is_none_or(|away| away.refused),
        _ => true,
    }
}

/// Whether this error of a `COMMIT` says that nothing was committed.
pub(super) fn was_undone(error: &Error) -> bool {
    code(error).is_some_and(undoes)
}

/// Whether a statement asks for a function that the engine does not have.
pub(super) fn is_unknown_function(error: &Error) -> bool {
    code(error) == Some(&SqlState::UNDEFINED_FUNCTION)
}

/// What the database said.
fn code(error: &Error) -> Option<&SqlState> {
    match error {
        Error::Unavailable(cause) => cause.downcast_ref::<Away>()?.code.as_ref(),
        Error::Internal(cause) => cause.downcast_ref::<Refused>()?.code.as_ref(),
        _ => None,
    }
}

/// What an error means when `noun` is written: a broken uniqueness is the name's, one of the primary key the id's. Only something
/// that brings its id along can meet one that is there.
pub(super) fn writing(noun: Noun, error: tokio_postgres::Error) -> Error {
    let Some(refused) = error.as_db_error().filter(|refused| *refused.code() == SqlState::UNIQUE_VIOLATION)
    else {
        return plain(error);
    };
    match refused.constraint() {
        Some(constraint) if constraint.ends_with("_pkey") => Rule::Parameter("id").into(),
        _ => Error::NotUnique(noun),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over every code that the manual lists under these classes, and those of engines that have more.
    #[test]
    fn a_commit_is_undone_only_by_what_is_known_to_come_before_it() {
        const UNDONE: [&str; 14] = [
            "40001", "40P01", "40002", "23000", "23001", "23502", "23503", "23505", "23514", "23P01",
            "53000", "53100", "53200", "53300",
        ];
        const UNKNOWN: [&str; 18] = [
            "40003", "40000", "08000", "08006", "08007", "25P02", "25P03", "57014", "57P01", "57P02",
            "57P03", "58000", "58030", "XX000", "XXUUU", "XXA00", "0A000", "P0001",
        ];
        for code in UNDONE {
            assert!(undoes(&SqlState::from_code(code)), "{code}");
        }
        for code in UNKNOWN {
            assert!(!undoes(&SqlState::from_code(code)), "{code}");
        }
    }

    #[test]
    fn after_what_nobody_knows_the_end_of_a_connection_is_not_used() {
        for code in ["40003", "08006", "57P01", "57014", "25P03"] {
            assert!(!is_refusal(&SqlState::from_code(code)), "{code}");
        }
        for code in ["40001", "40P01", "53100", "55P03", "58030"] {
            assert!(is_refusal(&SqlState::from_code(code)), "{code}");
        }
        // It goes by all the same: what is found not to be done is tried again.
        assert!(is_passing(&SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN));
    }
}
