//! First answers to requests that may come again, each kept in the commit that makes what it tells of.

use jiff::Timestamp;
use strongroom_crypto::{Digest, SealedValue};
use strongroom_domain::answer::{Answer, Repeatable};
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use super::accounts;
use super::row::{corrupt, get, get_opt};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;

fn view(row: &Row) -> Result<Answer> {
    let object: String = get(row, 3)?;
    let object = Answer::object_from_json(&object).map_err(|_| corrupt("answer"))?;
    let token = get_opt(row, 4)?.zip(get_opt(row, 5)?);
    let token = token.map(|(wrapped_key, ciphertext)| SealedValue { wrapped_key, ciphertext });
    let to = Repeatable { mark: get(row, 0)?, request: get(row, 1)? };
    Ok(Answer { to, at: get(row, 2)?, object, token })
}

pub(super) async fn find(pool: &Pool, account: i64, mark: &Digest) -> Result<Option<Answer>> {
    let sql =
        "SELECT mark, request, at, object, wrapped_key, token FROM answer WHERE account = $1 AND mark = $2";
    pool.query_opt(sql, &values![account, mark], view).await
}

/// `Stale` if the same request was answered already.
pub(super) async fn check(transaction: &Transaction, answer: Option<&Answer>) -> Result<()> {
    let Some(answer) = answer else { return Ok(()) };
    let sql = "SELECT EXISTS (SELECT 1 FROM answer WHERE account = $1 AND mark = $2 AND at > $3)";
    let values = values![transaction.account, &answer.to.mark, Answer::over_by(answer.at)];
    if transaction.query_one(sql, &values).await? {
        return Err(Error::Stale);
    }
    accounts::check_root_key(transaction, answer.token.iter().map(|token| &token.wrapped_key)).await
}

/// Keeps an answer, in the place of one that does not count any more.
pub(super) async fn keep(transaction: &Transaction, answer: Option<&Answer>) -> Result<()> {
    let Some(answer) = answer else { return Ok(()) };
    let token = answer.token.as_ref();
    let values = values![
        transaction.account,
        &answer.to.mark,
        &answer.to.request,
        answer.at,
        answer.object_to_json()?,
        token.map(|token| &token.wrapped_key),
        token.map(|token| token.ciphertext.as_slice()),
    ];
    transaction.execute(KEEP, &values).await.map(drop)
}

const KEEP: &str = "INSERT INTO answer (account, mark, request, at, object, wrapped_key, token) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account, mark) DO UPDATE SET request = excluded.request, \
     at = excluded.at, object = excluded.object, wrapped_key = excluded.wrapped_key, token = excluded.token";

/// Removes answers that were given by a time; says how many.
pub(super) async fn prune(transaction: &Transaction, by: Timestamp, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM answer WHERE account = $1 AND mark IN (SELECT mark FROM answer \
               WHERE account = $1 AND at <= $2 ORDER BY at LIMIT $3)";
    let gone = transaction.execute(sql, &values![transaction.account, by, limit]).await?;
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}
