//! What is to be told of the ends of secrets. It stands in a column of its own, which no record carries: telling is no change
//! of a secret.

use std::borrow::Cow;

use jiff::Timestamp;
use strongroom_domain::Result;
use strongroom_domain::ids::Ksuid;
use strongroom_domain::secret::{Expiring, Secret, Told};

use super::row::get;
use super::secrets::{self, COLUMNS, JOIN};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::{Value, values};

pub(super) async fn list(pool: &Pool, account: i64, by: Timestamp, limit: usize) -> Result<Vec<Expiring>> {
    let sql = format!(
        "SELECT {COLUMNS}, secret.expiry_due FROM secret {JOIN} \
         WHERE secret.account = $1 AND secret.expiry_due <= $2 ORDER BY secret.expiry_due, secret.id LIMIT $3"
    );
    let rows = pool.query(&sql, &values![account, by, limit]).await?;
    rows.iter().map(|row| Ok(Expiring { secret: secrets::view(row)?, due: get(row, 13)? })).collect()
}

pub(super) async fn told(transaction: &Transaction, told: &[Told]) -> Result<()> {
    // The event tells the vault's name, so it must still be that.
    let sql = "UPDATE secret SET expiry_due = told.next \
               FROM unnest($2::BYTEA[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BYTEA[], $7::TEXT[]) \
               AS told (id, revision, due, next, vault, vault_name) \
               WHERE secret.account = $1 AND secret.id = told.id AND secret.revision = told.revision \
               AND secret.expiry_due = told.due \
               AND EXISTS (SELECT 1 FROM vault WHERE account = $1 AND vault.id = told.vault AND name = told.vault_name)";
    let ids = |of: fn(&Secret) -> Ksuid| {
        let bytes = told.iter().map(|told| Cow::Owned(of(&told.was.secret).as_bytes().to_vec()));
        Value::ManyBytes(bytes.collect())
    };
    let values = [
        transaction.account.into(),
        ids(|secret| secret.id.ksuid()),
        Value::Ints(told.iter().map(|told| told.was.secret.revision.cast_signed()).collect()),
        Value::Ints(told.iter().map(|told| told.was.due.as_second()).collect()),
        Value::OptionalInts(told.iter().map(|told| told.next.map(Timestamp::as_second)).collect()),
        ids(|secret| secret.vault_id.ksuid()),
        Value::Texts(told.iter().map(|told| &*told.was.secret.vault_name).collect()),
    ];
    transaction.change_all(told.len(), sql, &values).await
}

/// Has a secret that is brought back go on where it was: what was told of its end before it was deleted is not told again.
pub(super) async fn keep(transaction: &Transaction, secret: &Secret) -> Result<()> {
    if secret.expires_at.is_none() {
        return Ok(());
    }
    let sql = "UPDATE secret SET expiry_due = (SELECT expiry_due FROM deleted_secret WHERE account = $1 AND id = $2) \
               WHERE account = $1 AND id = $2";
    transaction.execute(sql, &values![transaction.account, secret.id]).await.map(drop)
}
