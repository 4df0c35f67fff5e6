//! What is to be told of the ends of secrets. It stands in a column of its own, which no record carries: telling is no change
//! of a secret.

use jiff::Timestamp;
use strongroom_domain::Result;
use strongroom_domain::secret::{Expiring, Secret, Told};

use super::row::get;
use super::secrets::{self, COLUMNS, JOIN};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;

pub(super) async fn list(pool: &Pool, account: i64, by: Timestamp, limit: usize) -> Result<Vec<Expiring>> {
    let sql = format!(
        "SELECT {COLUMNS}, secret.expiry_due FROM secret {JOIN} \
         WHERE secret.account = $1 AND secret.expiry_due <= $2 ORDER BY secret.expiry_due, secret.id LIMIT $3"
    );
    let rows = pool.query(&sql, &values![account, by, limit]).await?;
    rows.iter().map(|row| Ok(Expiring { secret: secrets::view(row)?, due: get(row, 13)? })).collect()
}

pub(super) async fn told(transaction: &Transaction, told: &[Told]) -> Result<()> {
    let sql = "UPDATE secret SET expiry_due = $5 WHERE account = $1 AND id = $2 AND revision = $3 AND expiry_due = $4 \
               AND EXISTS (SELECT 1 FROM vault WHERE account = $1 AND id = $6 AND name = $7)";
    for Told { was: Expiring { secret, due }, next } in told {
        let values = values![
            transaction.account,
            secret.id,
            secret.revision,
            *due,
            *next,
            // The event tells the vault's name, so it must still be that.
            secret.vault_id,
            &secret.vault_name,
        ];
        transaction.change(sql, &values).await?;
    }
    Ok(())
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
