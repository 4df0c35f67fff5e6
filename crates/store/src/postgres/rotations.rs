//! The rotation of keys. A vault that is deleted and kept has its columns in `deleted_vault`, its rotation goes on there.

use std::borrow::Cow;

use async_trait::async_trait;
use jiff::Timestamp;
use strongroom_crypto::{KeyId, SealedValue};
use strongroom_domain::audit::Event;
use strongroom_domain::error::Conflict;
use strongroom_domain::ids::{AccountId, SecretId, VaultId};
use strongroom_domain::rotation::{Due, Kind, NewKey, NewRootKey, Rotation, Turned, Usage};
use strongroom_domain::store::RotationStore;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use super::node::patiently;
use super::row::{corrupt, get, get_opt};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::{Value, values};
use super::{PostgresStore, accounts, root_key};

/// The vault that is rotated, wherever it is now.
const VAULT: &str = "SELECT key_id, generation FROM vault WHERE account = $1 AND id = $2 \
                     UNION ALL SELECT key_id, generation FROM deleted_vault WHERE account = $1 AND id = $2";

/// What a rotation has still to do, of the versions in a table of secrets joined with the vault as `now`.
fn is_due(kind: Kind) -> &'static str {
    match kind {
        Kind::VaultKey => "substr(version.wrapped_key, 1, 8) <> now.key_id",
        Kind::DataKeys => "version.generation <> now.generation",
    }
}

/// The versions of a vault's secrets, live and deleted, as the two halves of a compound.
fn versions_of(columns: &str, condition: &str) -> String {
    let half = |table: &str| {
        format!(
            "SELECT {columns} FROM now CROSS JOIN {table} AS secret JOIN version ON version.account = $1 AND version.secret = secret.id \
             WHERE secret.account = $1 AND secret.vault = $2 AND {condition}"
        )
    };
    format!("WITH now AS ({VAULT}) {} UNION ALL {}", half("secret"), half("deleted_secret"))
}

fn view(row: &Row) -> Result<Rotation> {
    let kind: String = get(row, 1)?;
    let kind = Kind::parse(&kind).ok_or_else(|| corrupt("rotation"))?;
    Ok(Rotation { vault: get(row, 0)?, kind, started_at: get(row, 2)?, done: get(row, 3)? })
}

const SELECT: &str = "SELECT vault, kind, started_at, done FROM rotation WHERE account = $1";

async fn find(reader: &impl Reader, account: i64, vault: VaultId) -> Result<Option<Rotation>> {
    reader.query_opt(&format!("{SELECT} AND vault = $2"), &values![account, vault], view).await
}

async fn list(pool: &Pool, account: i64) -> Result<Vec<Rotation>> {
    let sql = format!("{SELECT} ORDER BY started_at, vault");
    pool.query(&sql, &values![account]).await?.iter().map(view).collect()
}

/// Counts the versions of a vault that are under a condition.
fn counting(condition: &str) -> String {
    let of_each = versions_of("count(*) AS versions", condition);
    format!("SELECT sum(versions)::BIGINT FROM ({of_each}) AS counted")
}

async fn usage(pool: &Pool, account: i64, vault: VaultId) -> Result<Usage> {
    let count = async |condition| {
        let rows = pool.walk(counting(condition), values![account, vault].into()).await?;
        get(rows.first().ok_or_else(|| corrupt("count"))?, 0)
    };
    let values = count("TRUE").await?;
    let rotation = match find(pool, account, vault).await? {
        Some(rotation) => Some((rotation, count(is_due(rotation.kind)).await?)),
        None => None,
    };
    Ok(Usage { values, rotation })
}

async fn due(
    pool: &Pool,
    account: i64,
    (vault, kind): (VaultId, Kind),
    after: Option<(SecretId, u32)>,
    limit: usize,
) -> Result<Vec<Due>> {
    let ciphertext = if kind == Kind::VaultKey { "''::BYTEA" } else { "version.ciphertext" };
    let columns = format!("secret.id, version.number, version.wrapped_key, {ciphertext}");
    let condition =
        format!("secret.id >= $3 AND (secret.id > $3 OR version.number > $4) AND {}", is_due(kind));
    let (secret, number) =
        after.map_or((Vec::new(), 0), |(id, number)| (id.ksuid().as_bytes().to_vec(), number));
    let sql = format!("{} ORDER BY 1, 2 LIMIT $5", versions_of(&columns, &condition));
    let rows = pool.work_through(sql, values![account, vault, secret, number, limit].into()).await?;
    let view = |row: &Row| {
        let sealed = SealedValue { wrapped_key: get(row, 2)?, ciphertext: get(row, 3)? };
        Ok(Due { secret: get(row, 0)?, number: get(row, 1)?, sealed })
    };
    rows.iter().map(view).collect()
}

async fn overdue(pool: &Pool, account: i64, by: Timestamp, limit: usize) -> Result<Vec<VaultId>> {
    let sql = "SELECT id FROM vault WHERE account = $1 AND coalesce(keyed_at, created_at) <= $2 \
               AND NOT EXISTS (SELECT 1 FROM rotation WHERE rotation.account = $1 AND rotation.vault = vault.id) \
               ORDER BY coalesce(keyed_at, created_at), id LIMIT $3";
    let rows = pool.work_through(sql.to_owned(), values![account, by, limit].into()).await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

async fn begin(transaction: &Transaction, rotation: &Rotation, key: Option<&NewKey>) -> Result<()> {
    let (account, vault) = (transaction.account, rotation.vault);
    if find(transaction, account, vault).await?.is_some() {
        return Err(Error::Conflict(Conflict::Rotating(vault)));
    }
    accounts::check_root_key(transaction, key.map(|key| &key.wrapped)).await?;
    match key {
        Some(NewKey { id: key, wrapped, replaces }) => {
            let sql = "UPDATE vault SET previous_key = wrapped_key, wrapped_key = $4, key_id = $5, keyed_at = $6 \
                       WHERE account = $1 AND id = $2 AND wrapped_key = $3 AND previous_key IS NULL";
            let values = values![account, vault, replaces, wrapped, key, rotation.started_at];
            transaction.change(sql, &values).await?;
        }
        None => {
            let sql = "UPDATE vault SET generation = generation + 1 WHERE account = $1 AND id = $2";
            transaction.change(sql, &values![account, vault]).await?;
        }
    }
    let sql = "INSERT INTO rotation (account, vault, kind, started_at, done) VALUES ($1, $2, $3, $4, 0)";
    let values = values![account, vault, rotation.kind.as_str(), rotation.started_at];
    transaction.execute(sql, &values).await.map(drop)
}

/// Checks that a rotation is under way; else `Stale`.
async fn check(transaction: &Transaction, vault: VaultId, kind: Kind) -> Result<()> {
    match find(transaction, transaction.account, vault).await? {
        Some(rotation) if rotation.kind == kind => Ok(()),
        _ => Err(Error::Stale),
    }
}

/// A wrapped key has a nonce of its own, so one that is the same means that all of the version is.
const TURN_KEYS: &str = "UPDATE version SET wrapped_key = new.wrapped_key \
     FROM unnest($2::BYTEA[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[]) AS new (secret, number, was, wrapped_key) \
     WHERE version.account = $1 AND version.secret = new.secret AND version.number = new.number \
     AND version.wrapped_key = new.was";
const TURN_VALUES: &str = "UPDATE version SET wrapped_key = new.wrapped_key, ciphertext = new.ciphertext, generation = $7 \
     FROM unnest($2::BYTEA[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[], $6::BYTEA[]) \
     AS new (secret, number, was, wrapped_key, ciphertext) \
     WHERE version.account = $1 AND version.secret = new.secret AND version.number = new.number \
     AND version.wrapped_key = new.was";

async fn turn(transaction: &Transaction, (vault, kind): (VaultId, Kind), turned: &[Turned]) -> Result<u64> {
    check(transaction, vault, kind).await?;
    let account = transaction.account;
    let secrets = turned.iter().map(|turned| Cow::Owned(turned.secret.ksuid().as_bytes().to_vec()));
    let bytes = |of: fn(&Turned) -> &[u8]| {
        Value::ManyBytes(turned.iter().map(|turned| Cow::Borrowed(of(turned))).collect())
    };
    let mut values = vec![
        account.into(),
        Value::ManyBytes(secrets.collect()),
        Value::Ints(turned.iter().map(|turned| i64::from(turned.number)).collect()),
        bytes(|turned| turned.was.as_bytes()),
        bytes(|turned| turned.sealed.wrapped_key.as_bytes()),
    ];
    let done = match kind {
        Kind::VaultKey => transaction.execute(TURN_KEYS, &values).await?,
        Kind::DataKeys => {
            let sql = format!("SELECT generation FROM ({VAULT}) AS now");
            let generation: u64 = transaction.query_one(&sql, &values![account, vault]).await?;
            values.extend([bytes(|turned| &turned.sealed.ciphertext), generation.into()]);
            transaction.execute(TURN_VALUES, &values).await?
        }
    };
    let sql = "UPDATE rotation SET done = done + $3 WHERE account = $1 AND vault = $2";
    transaction.execute(sql, &values![account, vault, done]).await?;
    if done > 0 {
        transaction.is_untold();
    }
    Ok(done)
}

/// What a vault's values are sealed under by now.
#[derive(PartialEq, Eq)]
struct Keys {
    id: Option<KeyId>,
    generation: u64,
}

impl Keys {
    fn view(row: &Row) -> Result<Self> {
        Ok(Self { id: get_opt(row, 0)?, generation: get(row, 1)? })
    }
}

/// What was found of a rotation when all of its vault's versions were looked through.
struct Looked {
    at: Keys,
    has_due: bool,
}

/// Looks all of them through before the log is held: that would keep every change of every node waiting.
async fn look(pool: &Pool, account: i64, vault: VaultId, kind: Kind) -> Result<Looked> {
    let due = versions_of("1", is_due(kind));
    let sql = format!("SELECT key_id, generation, EXISTS ({due}) FROM ({VAULT}) AS rotated");
    let rows = pool.work_through(sql, values![account, vault].into()).await?;
    let row = rows.first().ok_or(Error::Stale)?;
    Ok(Looked { at: Keys::view(row)?, has_due: get(row, 2)? })
}

/// Ends a rotation. Nothing that was not due when it was looked for is due now, if the vault's keys are still the same: whatever
/// writes a version since looks in its own commit that it is under those, and no two commits are at once.
async fn end(transaction: &Transaction, vault: VaultId, kind: Kind, looked: &Looked) -> Result<()> {
    check(transaction, vault, kind).await?;
    let account = transaction.account;
    let keys = transaction.query_opt(VAULT, &values![account, vault], Keys::view).await?;
    if keys.as_ref() != Some(&looked.at) {
        return Err(Error::Stale);
    }
    if looked.has_due {
        return Err(Error::NotEmpty);
    }
    for table in ["vault", "deleted_vault"] {
        let sql = format!("UPDATE {table} SET previous_key = NULL WHERE account = $1 AND id = $2");
        transaction.execute(&sql, &values![account, vault]).await?;
    }
    forget(transaction, vault).await
}

/// Forgets the rotation of a vault that is destroyed, or is done with.
pub(super) async fn forget(transaction: &Transaction, vault: VaultId) -> Result<()> {
    let sql = "DELETE FROM rotation WHERE account = $1 AND vault = $2";
    transaction.execute(sql, &values![transaction.account, vault]).await.map(drop)
}

/// Has a vault that is brought back keep the keys that it has among the deleted ones: they may have been rotated since it
/// was read.
pub(super) async fn keep_keys(transaction: &Transaction, vault: VaultId) -> Result<()> {
    const KEYS: &str = "wrapped_key, key_id, previous_key, keyed_at, generation";
    let sql = format!(
        "UPDATE vault SET ({KEYS}) = (SELECT {KEYS} FROM deleted_vault WHERE account = $1 AND id = $2) \
         WHERE account = $1 AND id = $2"
    );
    transaction.execute(&sql, &values![transaction.account, vault]).await.map(drop)
}

#[async_trait]
impl RotationStore for PostgresStore {
    async fn rotation_begin(
        &self,
        account: AccountId,
        rotation: Rotation,
        key: Option<NewKey>,
        event: Event,
    ) -> Result<()> {
        let (rotation, key) = (&rotation, key.as_ref());
        self.transact(account, vec![event], move |transaction| async move {
            begin(&transaction, rotation, key).await
        })
        .await
    }

    async fn rotation_list(&self, account: AccountId) -> Result<Vec<Rotation>> {
        list(self.pool(), self.number(account).await?).await
    }

    async fn rotation_usage(&self, account: AccountId, vaults: Vec<VaultId>) -> Result<Vec<Usage>> {
        let number = self.number(account).await?;
        let mut found = Vec::with_capacity(vaults.len());
        for vault in vaults {
            found.push(usage(self.pool(), number, vault).await?);
        }
        Ok(found)
    }

    async fn rotation_due(
        &self,
        account: AccountId,
        vault: VaultId,
        kind: Kind,
        after: Option<(SecretId, u32)>,
        limit: usize,
    ) -> Result<Vec<Due>> {
        due(self.pool(), self.number(account).await?, (vault, kind), after, limit).await
    }

    async fn rotation_step(
        &self,
        account: AccountId,
        vault: VaultId,
        kind: Kind,
        turned: Vec<Turned>,
    ) -> Result<u64> {
        let turned = &turned;
        self.transact(account, Vec::new(), move |transaction| async move {
            turn(&transaction, (vault, kind), turned).await
        })
        .await
    }

    async fn rotation_end(&self, account: AccountId, vault: VaultId, kind: Kind, event: Event) -> Result<()> {
        let number = self.number(account).await?;
        let looked = &patiently(|| look(self.pool(), number, vault, kind)).await?;
        self.transact(account, vec![event], move |transaction| async move {
            end(&transaction, vault, kind, looked).await
        })
        .await
    }

    async fn root_key_replace(&self, account: AccountId, new: NewRootKey, event: Event) -> Result<u64> {
        let new = &new;
        self.transact(account, vec![event], move |transaction| async move {
            root_key::replace(&transaction, new).await
        })
        .await
    }

    async fn root_keyed_at(&self, account: AccountId) -> Result<Timestamp> {
        accounts::root_keyed_at(self.pool(), self.number(account).await?).await
    }

    async fn rotation_overdue(
        &self,
        account: AccountId,
        by: Timestamp,
        limit: usize,
    ) -> Result<Vec<VaultId>> {
        overdue(self.pool(), self.number(account).await?, by, limit).await
    }
}
