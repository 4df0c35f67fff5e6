//! First answers to requests that may come again, each kept in the commit that makes what it tells of.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_crypto::{Digest, SealedValue, WrappedKey};
use strongroom_domain::answer::{Answer, Repeatable};
use strongroom_domain::{Error, Result};

use super::accounts;
use super::error::{self, Corrupt};
use super::row::get;
use super::writer::Step;

fn view(row: &Row<'_>) -> rusqlite::Result<Answer> {
    let object: String = row.get(3)?;
    let object = Answer::object_from_json(&object)
        .map_err(|_| rusqlite::types::FromSqlError::Other(Box::new(Corrupt("answer"))))?;
    let (wrapped_key, token): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(4)?, row.get(5)?);
    let token = wrapped_key.zip(token).map(|(wrapped_key, ciphertext)| {
        let wrapped_key = WrappedKey::from_bytes(wrapped_key);
        SealedValue { wrapped_key, ciphertext }
    });
    let to = Repeatable { mark: row.get(0)?, request: row.get(1)? };
    Ok(Answer { to, at: get(row, 2)?, object, token })
}

pub(super) fn find(connection: &Connection, account: i64, mark: &Digest) -> rusqlite::Result<Option<Answer>> {
    connection
        .prepare_cached(
            "SELECT mark, request, at, object, wrapped_key, token FROM answer WHERE account = ?1 AND mark = ?2",
        )?
        .query_row((account, mark), view)
        .optional()
}

/// Makes something and keeps the answer, if that is to be kept. `Stale` if the same request was answered already.
pub(super) fn with(
    step: &mut Step<'_>,
    account: i64,
    answer: Option<&Answer>,
    make: impl FnOnce(&mut Step<'_>) -> Result<()>,
) -> Result<()> {
    let Some(answer) = answer else { return make(step) };
    let before = given_at(step, account, &answer.to.mark)?;
    if before.is_some_and(|at| at > Answer::over_by(answer.at).as_second()) {
        return Err(Error::Stale);
    }
    let token = answer.token.iter().map(|token| &token.wrapped_key);
    accounts::check_root_key(step, account, token)?;
    make(step)?;
    keep(step, account, answer)?;
    if before.is_some() {
        // What was replaced did not count any more, and may have had a token in it.
        step.erase();
    }
    Ok(())
}

/// When the answer to a request was given that is kept, Unix seconds.
fn given_at(step: &Step<'_>, account: i64, mark: &Digest) -> Result<Option<i64>> {
    step.connection
        .prepare_cached("SELECT at FROM answer WHERE account = ?1 AND mark = ?2")
        .and_then(|mut select| select.query_row((account, mark), |row| row.get(0)).optional())
        .map_err(error::plain)
}

fn keep(step: &Step<'_>, account: i64, answer: &Answer) -> Result<()> {
    let object = answer.object_to_json()?;
    let token = answer.token.as_ref();
    step.connection
        .prepare_cached(
            "INSERT OR REPLACE INTO answer (account, mark, request, at, object, wrapped_key, token) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                answer.to.mark,
                answer.to.request,
                answer.at.as_second(),
                &object,
                token.map(|token| token.wrapped_key.as_bytes()),
                token.map(|token| &token.ciphertext),
            ))
        })
        .map_err(error::plain)?;
    Ok(())
}

/// Removes answers that were given by a time; says how many.
pub(super) fn prune(step: &mut Step<'_>, account: i64, by: Timestamp, limit: usize) -> Result<usize> {
    let params = (account, by.as_second(), limit as i64);
    let with_token: bool = step
        .connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM (SELECT token FROM answer INDEXED BY answer_at \
             WHERE account = ?1 AND at <= ?2 ORDER BY at LIMIT ?3) WHERE token IS NOT NULL)",
        )
        .and_then(|mut select| select.query_row(params, |row| row.get(0)))
        .map_err(error::plain)?;
    let gone = step
        .connection
        .prepare_cached(
            "DELETE FROM answer WHERE account = ?1 AND mark IN (SELECT mark FROM answer INDEXED BY answer_at \
             WHERE account = ?1 AND at <= ?2 ORDER BY at LIMIT ?3)",
        )
        .and_then(|mut delete| delete.execute(params))
        .map_err(error::plain)?;
    if with_token {
        step.erase();
    }
    Ok(gone)
}
