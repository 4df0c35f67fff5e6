//! The rotation of keys. A vault that is deleted and kept has its columns in `deleted_vault`, its rotation goes on there.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use strongroom_crypto::{SealedValue, WrappedKey};
use strongroom_domain::audit::Event;
use strongroom_domain::error::Conflict;
use strongroom_domain::ids::{AccountId, SecretId, VaultId};
use strongroom_domain::rotation::{Due, Kind, NewKey, NewRootKey, Rotation, Turned, Usage};
use strongroom_domain::store::RotationStore;
use strongroom_domain::{Error, Result};

use super::row::get;
use super::writer::Step;
use super::{SqliteStore, accounts, error, root_key};

/// The vault that is rotated, wherever it is now.
const VAULT: &str = "SELECT key_id, generation FROM vault WHERE account = ?1 AND id = ?2 \
                     UNION ALL SELECT key_id, generation FROM deleted_vault WHERE account = ?1 AND id = ?2";

/// What a rotation has still to do, of the versions in a table of secrets joined with the vault as `now`.
fn is_due(kind: Kind) -> &'static str {
    match kind {
        Kind::VaultKey => "substr(version.wrapped_key, 1, 8) <> now.key_id",
        Kind::DataKeys => "version.generation <> now.generation",
    }
}

/// The versions of a vault's secrets, live and deleted, as the two halves of a compound.
fn versions_of(columns: &str, condition: &str) -> String {
    let half = |table: &str, index: &str| {
        format!(
            "SELECT {columns} FROM now CROSS JOIN {table} AS secret INDEXED BY {index} CROSS JOIN version \
             WHERE secret.account = ?1 AND secret.vault = ?2 \
             AND version.account = ?1 AND version.secret = secret.id AND {condition}"
        )
    };
    let (live, deleted) = (half("secret", "secret_vault"), half("deleted_secret", "deleted_secret_vault"));
    format!("WITH now AS MATERIALIZED ({VAULT}) {live} UNION ALL {deleted}")
}

fn view(row: &Row<'_>) -> rusqlite::Result<Rotation> {
    let kind: String = row.get(1)?;
    // Nothing else is ever written there.
    let kind = Kind::parse(&kind).ok_or(rusqlite::Error::InvalidQuery)?;
    let vault = VaultId::new(get(row, 0)?);
    Ok(Rotation { vault, kind, started_at: get(row, 2)?, done: row.get(3)? })
}

const SELECT: &str = "SELECT vault, kind, started_at, done FROM rotation WHERE account = ?1";

fn find(connection: &Connection, account: i64, vault: VaultId) -> rusqlite::Result<Option<Rotation>> {
    connection
        .prepare_cached(&format!("{SELECT} AND vault = ?2"))?
        .query_row((account, vault.ksuid().as_bytes()), view)
        .optional()
}

fn list(connection: &Connection, account: i64) -> rusqlite::Result<Vec<Rotation>> {
    connection
        .prepare_cached(&format!("{SELECT} ORDER BY started_at, vault"))?
        .query_map([account], view)?
        .collect()
}

/// How many versions of a vault there are under a condition.
fn count(connection: &Connection, account: i64, vault: VaultId, condition: &str) -> rusqlite::Result<u64> {
    let of_each = versions_of("count(*) AS versions", condition);
    connection
        .prepare_cached(&format!("SELECT sum(versions) FROM ({of_each})"))?
        .query_row((account, vault.ksuid().as_bytes()), |row| row.get(0))
}

fn usage(connection: &Connection, account: i64, vault: VaultId) -> rusqlite::Result<Usage> {
    let values = count(connection, account, vault, "TRUE")?;
    let rotation = match find(connection, account, vault)? {
        Some(rotation) => Some((rotation, count(connection, account, vault, is_due(rotation.kind))?)),
        None => None,
    };
    Ok(Usage { values, rotation })
}

fn due(
    connection: &Connection,
    account: i64,
    (vault, kind): (VaultId, Kind),
    after: Option<(SecretId, u32)>,
    limit: usize,
) -> rusqlite::Result<Vec<Due>> {
    let ciphertext = if kind == Kind::VaultKey { "x''" } else { "version.ciphertext" };
    let columns = format!("secret.id, version.number, version.wrapped_key, {ciphertext}");
    let condition =
        format!("secret.id >= ?3 AND (secret.id > ?3 OR version.number > ?4) AND {}", is_due(kind));
    let (secret, number) =
        after.map_or((Vec::new(), 0), |(id, number)| (id.ksuid().as_bytes().to_vec(), number));
    connection
        .prepare_cached(&format!("{} ORDER BY 1, 2 LIMIT ?5", versions_of(&columns, &condition)))?
        .query_map((account, vault.ksuid().as_bytes(), secret, number, limit as i64), |row| {
            let wrapped_key = WrappedKey::from_bytes(row.get(2)?);
            let sealed = SealedValue { wrapped_key, ciphertext: row.get(3)? };
            Ok(Due { secret: SecretId::new(get(row, 0)?), number: row.get(1)?, sealed })
        })?
        .collect()
}

fn overdue(
    connection: &Connection,
    account: i64,
    by: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<VaultId>> {
    connection
        .prepare_cached(
            "SELECT id FROM vault WHERE account = ?1 AND coalesce(keyed_at, created_at) <= ?2 \
             AND NOT EXISTS (SELECT 1 FROM rotation WHERE rotation.account = ?1 AND rotation.vault = vault.id) \
             ORDER BY coalesce(keyed_at, created_at), id LIMIT ?3",
        )?
        .query_map((account, by.as_second(), limit as i64), |row| Ok(VaultId::new(get(row, 0)?)))?
        .collect()
}

fn begin(step: &Step<'_>, account: i64, rotation: &Rotation, key: Option<&NewKey>) -> Result<()> {
    let id = rotation.vault.ksuid();
    if find(step.connection, account, rotation.vault).map_err(error::plain)?.is_some() {
        return Err(Error::Conflict(Conflict::Rotating(rotation.vault)));
    }
    accounts::check_root_key(step, account, key.map(|key| &key.wrapped))?;
    let begun = match key {
        Some(NewKey { id: key, wrapped, replaces }) => step
            .connection
            .prepare_cached(
                "UPDATE vault SET previous_key = wrapped_key, wrapped_key = ?4, key_id = ?5, keyed_at = ?6 \
                 WHERE account = ?1 AND id = ?2 AND wrapped_key = ?3 AND previous_key IS NULL",
            )
            .and_then(|mut update| {
                let (replaces, wrapped) = (replaces.as_bytes(), wrapped.as_bytes());
                let at = rotation.started_at.as_second();
                update.execute((account, id.as_bytes(), replaces, wrapped, key.as_bytes(), at))
            }),
        None => step
            .connection
            .prepare_cached("UPDATE vault SET generation = generation + 1 WHERE account = ?1 AND id = ?2")
            .and_then(|mut update| update.execute((account, id.as_bytes()))),
    };
    if begun.map_err(error::plain)? == 0 {
        return Err(Error::Stale);
    }
    step.connection
        .prepare_cached(
            "INSERT INTO rotation (account, vault, kind, started_at, done) VALUES (?1, ?2, ?3, ?4, 0)",
        )
        .and_then(|mut insert| {
            let (kind, at) = (rotation.kind.as_str(), rotation.started_at.as_second());
            insert.execute((account, id.as_bytes(), kind, at))
        })
        .map_err(error::plain)?;
    Ok(())
}

/// Checks that a rotation is under way; else `Stale`.
fn check(step: &Step<'_>, account: i64, vault: VaultId, kind: Kind) -> Result<()> {
    match find(step.connection, account, vault).map_err(error::plain)? {
        Some(rotation) if rotation.kind == kind => Ok(()),
        _ => Err(Error::Stale),
    }
}

fn turn(step: &Step<'_>, account: i64, (vault, kind): (VaultId, Kind), turned: &[Turned]) -> Result<u64> {
    check(step, account, vault, kind)?;
    let generation: u64 = step
        .connection
        .prepare_cached(&format!("SELECT generation FROM ({VAULT})"))
        .and_then(|mut select| select.query_row((account, vault.ksuid().as_bytes()), |row| row.get(0)))
        .map_err(error::plain)?;
    // A wrapped key has a nonce of its own, so one that is the same means that all of the version is.
    let mut update = step
        .connection
        .prepare_cached(match kind {
            Kind::VaultKey => {
                "UPDATE version SET wrapped_key = ?5 \
                 WHERE account = ?1 AND secret = ?2 AND number = ?3 AND wrapped_key = ?4"
            }
            Kind::DataKeys => {
                "UPDATE version SET wrapped_key = ?5, ciphertext = ?6, generation = ?7 \
                 WHERE account = ?1 AND secret = ?2 AND number = ?3 AND wrapped_key = ?4"
            }
        })
        .map_err(error::plain)?;
    let mut done = 0;
    for Turned { secret, number, was, sealed } in turned {
        let (secret, was, key) = (secret.ksuid(), was.as_bytes(), sealed.wrapped_key.as_bytes());
        let changed = match kind {
            Kind::VaultKey => update.execute((account, secret.as_bytes(), number, was, key)),
            Kind::DataKeys => {
                let ciphertext = &sealed.ciphertext;
                update.execute((account, secret.as_bytes(), number, was, key, ciphertext, generation))
            }
        };
        done += changed.map_err(error::plain)? as u64;
    }
    step.connection
        .prepare_cached("UPDATE rotation SET done = done + ?3 WHERE account = ?1 AND vault = ?2")
        .and_then(|mut update| update.execute((account, vault.ksuid().as_bytes(), done)))
        .map_err(error::plain)?;
    Ok(done)
}

fn end(step: &mut Step<'_>, account: i64, vault: VaultId, kind: Kind) -> Result<()> {
    check(step, account, vault, kind)?;
    // Counted in the commit that destroys the old key: what is written after it is under the new one.
    if count(step.connection, account, vault, is_due(kind)).map_err(error::plain)? > 0 {
        return Err(Error::NotEmpty);
    }
    for table in ["vault", "deleted_vault"] {
        let sql = format!("UPDATE {table} SET previous_key = NULL WHERE account = ?1 AND id = ?2");
        step.connection
            .prepare_cached(&sql)
            .and_then(|mut update| update.execute((account, vault.ksuid().as_bytes())))
            .map_err(error::plain)?;
    }
    forget(step, account, vault)?;
    step.erase();
    Ok(())
}

/// Forgets the rotation of a vault that is destroyed, or is done with.
pub(super) fn forget(step: &Step<'_>, account: i64, vault: VaultId) -> Result<()> {
    step.connection
        .prepare_cached("DELETE FROM rotation WHERE account = ?1 AND vault = ?2")
        .and_then(|mut delete| delete.execute((account, vault.ksuid().as_bytes())))
        .map_err(error::plain)?;
    Ok(())
}

/// Has a vault that is brought back keep the keys that it has among the deleted ones: they may have been rotated since it
/// was read.
pub(super) fn keep_keys(step: &Step<'_>, account: i64, vault: VaultId) -> Result<()> {
    const KEYS: &str = "wrapped_key, key_id, previous_key, keyed_at, generation";
    step.connection
        .prepare_cached(&format!(
            "UPDATE vault SET ({KEYS}) = (SELECT {KEYS} FROM deleted_vault WHERE account = ?1 AND id = ?2) \
             WHERE account = ?1 AND id = ?2"
        ))
        .and_then(|mut update| update.execute((account, vault.ksuid().as_bytes())))
        .map_err(error::plain)?;
    Ok(())
}

#[async_trait]
impl RotationStore for SqliteStore {
    async fn rotation_begin(
        &self,
        account: AccountId,
        rotation: Rotation,
        key: Option<NewKey>,
        event: Event,
    ) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| begin(step, number, &rotation, key.as_ref())).await
    }

    async fn rotation_list(&self, account: AccountId) -> Result<Vec<Rotation>> {
        let number = self.number(account)?;
        self.readers.work_through(move |connection| list(connection, number)).await
    }

    async fn rotation_usage(&self, account: AccountId, vaults: Vec<VaultId>) -> Result<Vec<Usage>> {
        let number = self.number(account)?;
        let read = move |connection: &Connection| {
            vaults.iter().map(|vault| usage(connection, number, *vault)).collect()
        };
        self.readers.work_through(read).await
    }

    async fn rotation_due(
        &self,
        account: AccountId,
        vault: VaultId,
        kind: Kind,
        after: Option<(SecretId, u32)>,
        limit: usize,
    ) -> Result<Vec<Due>> {
        let number = self.number(account)?;
        let read = move |connection: &Connection| due(connection, number, (vault, kind), after, limit);
        self.readers.work_through(read).await
    }

    async fn rotation_step(
        &self,
        account: AccountId,
        vault: VaultId,
        kind: Kind,
        turned: Vec<Turned>,
    ) -> Result<u64> {
        let number = self.number(account)?;
        self.change(Vec::new(), move |step| turn(step, number, (vault, kind), &turned)).await
    }

    async fn rotation_end(&self, account: AccountId, vault: VaultId, kind: Kind, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| end(step, number, vault, kind)).await?;
        self.erased().await
    }

    async fn root_key_replace(&self, account: AccountId, new: NewRootKey, event: Event) -> Result<u64> {
        let number = self.number(account)?;
        let count = self.change(vec![event], move |step| root_key::replace(step, number, &new)).await?;
        self.erased().await?;
        Ok(count)
    }

    async fn root_keyed_at(&self, account: AccountId) -> Result<Timestamp> {
        let number = self.number(account)?;
        self.readers.lookup(|connection| accounts::root_keyed_at(connection, number))
    }

    async fn rotation_overdue(
        &self,
        account: AccountId,
        by: Timestamp,
        limit: usize,
    ) -> Result<Vec<VaultId>> {
        let number = self.number(account)?;
        self.readers.work_through(move |connection| overdue(connection, number, by, limit)).await
    }
}
