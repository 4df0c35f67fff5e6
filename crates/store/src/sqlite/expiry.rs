//! What is to be told of the ends of secrets. It stands in a column of its own, which no record carries: telling is no change
//! of a secret.

use jiff::Timestamp;
use rusqlite::Connection;
use strongroom_domain::secret::{Expiring, Secret, Told};
use strongroom_domain::{Error, Result};

use super::error;
use super::row::get;
use super::secrets::{self, COLUMNS, JOIN};
use super::writer::Step;

pub(super) fn list(
    connection: &Connection,
    account: i64,
    by: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Expiring>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, secret.expiry_due FROM secret INDEXED BY secret_expiry {JOIN} \
             WHERE secret.account = ?1 AND secret.expiry_due <= ?2 ORDER BY secret.expiry_due, secret.id LIMIT ?3"
        ))?
        .query_map((account, by.as_second(), limit as i64), |row| {
            Ok(Expiring { secret: secrets::view(row)?, due: get(row, 13)? })
        })?
        .collect()
}

pub(super) fn told(step: &mut Step<'_>, account: i64, told: &[Told]) -> Result<()> {
    let mut update = step
        .connection
        .prepare_cached(
            "UPDATE secret SET expiry_due = ?5 WHERE account = ?1 AND id = ?2 AND revision = ?3 AND expiry_due = ?4 \
             AND EXISTS (SELECT 1 FROM vault WHERE account = ?1 AND id = ?6 AND name = ?7)",
        )
        .map_err(error::plain)?;
    for Told { was: Expiring { secret, due }, next } in told {
        let noted = update
            .execute((
                account,
                secret.id.ksuid().as_bytes(),
                secret.revision,
                due.as_second(),
                next.map(|next| next.as_second()),
                // The event tells the vault's name, so it must still be that.
                secret.vault_id.ksuid().as_bytes(),
                &secret.vault_name,
            ))
            .map_err(error::plain)?;
        if noted == 0 {
            return Err(Error::Stale);
        }
    }
    Ok(())
}

/// Has a secret that is brought back go on where it was: what was told of its end before it was deleted is not told again.
pub(super) fn keep(step: &Step<'_>, account: i64, secret: &Secret) -> Result<()> {
    if secret.expires_at.is_none() {
        return Ok(());
    }
    step.connection
        .prepare_cached(
            "UPDATE secret SET expiry_due = (SELECT expiry_due FROM deleted_secret WHERE account = ?1 AND id = ?2) \
             WHERE account = ?1 AND id = ?2",
        )
        .and_then(|mut update| update.execute((account, secret.id.ksuid().as_bytes())))
        .map_err(error::plain)?;
    Ok(())
}
