//! Accounts, users, and the lookup of a key with its owner.

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::{KeyId, WrappedKey};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::caller::{Credential, Role};
use strongroom_domain::ids::{AccountId, ApiKeyId, PrincipalId};
use strongroom_domain::principal::{Account, User};
use strongroom_domain::store::Counts;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use super::row::{corrupt, get, get_opt};
use super::session::{Pool, Reader};
use super::transaction::Transaction;
use super::value::values;
use super::{api_keys, error};

/// The account and its number in the other tables.
pub(super) async fn find(pool: &Pool) -> Result<Option<(i64, Account)>> {
    let sql = "SELECT number, id, name, created_at, root_key, wrapped_token_key FROM account";
    pool.query_opt(sql, &[], |row| {
        let account = Account {
            id: get(row, 1)?,
            name: get(row, 2)?,
            created_at: get(row, 3)?,
            root_key: get(row, 4)?,
            wrapped_token_key: get(row, 5)?,
        };
        Ok((get(row, 0)?, account))
    })
    .await
}

/// When the root key was made.
pub(super) async fn root_keyed_at(pool: &Pool, account: i64) -> Result<Timestamp> {
    let sql = "SELECT coalesce(root_keyed_at, created_at) FROM account WHERE number = $1";
    pool.query_one(sql, &values![account]).await
}

/// What is to be stored must be wrapped by the root key that the account is under; else `Stale`.
pub(super) async fn check_root_key(
    transaction: &Transaction,
    wrapped: impl IntoIterator<Item = &WrappedKey> + Send,
) -> Result<()> {
    let wrapped: Vec<Option<KeyId>> = wrapped.into_iter().map(WrappedKey::wrapped_by).collect();
    let present = Some(root_key(transaction).await?);
    if wrapped.into_iter().all(|by| by == present) { Ok(()) } else { Err(Error::Stale) }
}

/// The root key that the account is under.
pub(super) async fn root_key(transaction: &Transaction) -> Result<KeyId> {
    let sql = "SELECT root_key FROM account WHERE number = $1";
    transaction.query_one(sql, &values![transaction.account]).await
}

/// Makes the account; says its number.
pub(super) async fn insert(
    transaction: &Transaction,
    account: &Account,
    user: &User,
    key: &ApiKey,
) -> Result<()> {
    if transaction.query_one("SELECT EXISTS (SELECT 1 FROM account)", &[]).await? {
        return Err(Error::Stale);
    }
    let number = transaction.account;
    let sql = "INSERT INTO account (number, id, name, created_at, root_key, wrapped_token_key) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = values![
        number,
        account.id,
        &account.name,
        account.created_at,
        &account.root_key,
        &account.wrapped_token_key,
    ];
    transaction.execute(sql, &values).await?;
    let sql = "INSERT INTO \"user\" (account, id, email, role, created_at) VALUES ($1, $2, $3, $4, $5)";
    let values = values![number, user.id, &user.email, user.role.as_str(), user.created_at];
    transaction.execute(sql, &values).await?;
    api_keys::insert(transaction, key).await
}

pub(super) async fn log_key_find(pool: &Pool, account: i64) -> Result<Option<WrappedKey>> {
    let sql = "SELECT wrapped_key FROM log_key WHERE account = $1";
    pool.query_opt(sql, &values![account], |row| get(row, 0)).await
}

pub(super) async fn log_key_insert(transaction: &Transaction, key: &WrappedKey) -> Result<()> {
    let sql = "INSERT INTO log_key (account, wrapped_key) VALUES ($1, $2) ON CONFLICT (account) DO NOTHING";
    transaction.change(sql, &values![transaction.account, key]).await?;
    transaction.execute("UPDATE audit_head SET log_keys_made = log_keys_made + 1", &[]).await.map(drop)
}

pub(super) async fn log_keys_made(pool: &Pool) -> Result<u64> {
    pool.query_one("SELECT log_keys_made FROM audit_head WHERE id = 1", &[]).await
}

pub(super) async fn user_find(pool: &Pool, account: i64, email: &str) -> Result<Option<User>> {
    let sql = "SELECT id, email, role, created_at FROM \"user\" WHERE account = $1 AND email = $2";
    pool.query_opt(sql, &values![account, email], |row| {
        let role: String = get(row, 2)?;
        Ok(User { id: get(row, 0)?, email: get(row, 1)?, role: view_role(&role)?, created_at: get(row, 3)? })
    })
    .await
}

/// Whether a principal is active. `None` when there is no such principal.
pub(super) async fn principal_is_active(
    reader: &impl Reader,
    account: i64,
    id: PrincipalId,
) -> Result<Option<bool>> {
    let (sql, id) = match id {
        PrincipalId::User(id) => ("SELECT TRUE FROM \"user\" WHERE account = $1 AND id = $2", id.ksuid()),
        PrincipalId::ServiceUser(id) => {
            ("SELECT active FROM service_user WHERE account = $1 AND id = $2", id.ksuid())
        }
    };
    reader.query_opt(sql, &values![account, id], |row| get(row, 0)).await
}

/// The first byte of a stored principal says its kind (0x75 is a user), the others are its id.
const CREDENTIAL: &str = "SELECT api_key.id, owner, description, metadata, api_key.created_at, api_key.revision, hash, grants, \
     expires_at, client_certificate, \"user\".email, \"user\".role, service_user.name, service_user.active FROM api_key \
     LEFT JOIN \"user\" ON \"user\".account = api_key.account AND \"user\".id = substr(owner, 2) AND substr(owner, 1, 1) = '\\x75' \
     LEFT JOIN service_user ON service_user.account = api_key.account AND service_user.id = substr(owner, 2) \
     AND substr(owner, 1, 1) <> '\\x75' WHERE api_key.account = $1 AND api_key.id = $2";

/// A key with its owner, in one round trip. A key whose owner is gone is no key.
pub(super) async fn credential_find(
    pool: &Pool,
    (account, id): (i64, AccountId),
    key: ApiKeyId,
) -> Result<Option<Arc<Credential>>> {
    let view = |row: &Row| Ok(owner(row)?.zip(Some(api_keys::view(row)?)));
    let found = pool.query_opt(CREDENTIAL, &values![account, key], view).await?.flatten();
    Ok(found.map(|((subject, role, active), key)| {
        Arc::new(Credential { account: id, key, subject, role, active })
    }))
}

/// What the owner of a key is called, what it may do, and whether it is active.
fn owner(row: &Row) -> Result<Option<(String, Role, bool)>> {
    if let Some(email) = get_opt(row, 10)? {
        return Ok(Some((email, view_role(&get::<String>(row, 11)?)?, true)));
    }
    let Some(name) = get_opt(row, 12)? else { return Ok(None) };
    Ok(Some((name, Role::Developer, get(row, 13)?)))
}

fn view_role(text: &str) -> Result<Role> {
    Role::parse(text).ok_or_else(|| corrupt("role"))
}

/// How much there is, all accounts together; what this process wrote is not in it.
pub(super) async fn counts(pool: &Pool) -> Result<Counts> {
    let sql = "SELECT coalesce(sum(vaults), 0)::BIGINT, coalesce(sum(secrets), 0)::BIGINT, \
               coalesce(sum(api_keys), 0)::BIGINT, (SELECT sequence FROM audit_head WHERE id = 1) FROM account";
    let rows = pool.query(sql, &[]).await?;
    let row = rows.first().ok_or_else(|| corrupt("account"))?;
    Ok(Counts {
        vaults: get(row, 0)?,
        secrets: get(row, 1)?,
        api_keys: get(row, 2)?,
        events: get(row, 3)?,
        bytes: size(pool).await?,
        ..Counts::default()
    })
}

/// How large the database is, where the engine tells: some know no such function, some say NULL.
async fn size(pool: &Pool) -> Result<Option<u64>> {
    let told = pool.query("SELECT pg_database_size(current_database())", &[]).await;
    match told {
        Ok(rows) => get_opt(rows.first().ok_or_else(|| corrupt("size"))?, 0),
        Err(error) if error::is_unknown_function(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
