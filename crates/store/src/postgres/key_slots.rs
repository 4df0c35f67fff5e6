//! Key slots.

use async_trait::async_trait;
use strongroom_crypto::{SealedRootKey, SlotKind};
use strongroom_domain::audit::Event;
use strongroom_domain::error::{Conflict, Noun};
use strongroom_domain::ids::{AccountId, KeySlotId};
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::rotation::NewRootKey;
use strongroom_domain::store::KeySlotStore;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;

use super::row::{corrupt, get};
use super::session::Reader;
use super::transaction::Transaction;
use super::value::values;
use super::{PostgresStore, accounts};

fn view(row: &Row) -> Result<KeySlot> {
    let kind: String = get(row, 2)?;
    Ok(KeySlot {
        id: get(row, 0)?,
        name: get(row, 1)?,
        kind: SlotKind::parse(&kind).ok_or_else(|| corrupt("kind"))?,
        opener: get(row, 3)?,
        sealed: SealedRootKey { public: get(row, 4)?, psk: get(row, 5)?, message: get(row, 6)? },
        created_at: get(row, 7)?,
        created_by: get(row, 8)?,
    })
}

async fn list(reader: &impl Reader, account: i64) -> Result<Vec<KeySlot>> {
    let sql = "SELECT id, name, kind, opener, public_key, psk, message, created_at, created_by FROM key_slot \
               WHERE account = $1 ORDER BY id";
    reader.query(sql, &values![account]).await?.iter().map(view).collect()
}

pub(super) async fn insert(transaction: &Transaction, slot: &KeySlot) -> Result<()> {
    let account = transaction.account;
    accounts::check_root_key(transaction, [&slot.sealed.psk]).await?;
    if list(transaction, account).await?.len() as u64 >= KeySlot::MAX {
        return Err(Error::LimitReached { noun: Noun::KeySlot, max: KeySlot::MAX, vault: None });
    }
    let sql = "INSERT INTO key_slot (account, id, name, kind, opener, public_key, psk, message, created_at, created_by) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = values![
        account,
        slot.id,
        &slot.name,
        slot.kind.as_str(),
        &slot.opener,
        &slot.sealed.public,
        &slot.sealed.psk,
        &slot.sealed.message,
        slot.created_at,
        slot.created_by,
    ];
    transaction.write(Noun::KeySlot, sql, &values).await.map(drop)
}

async fn delete(transaction: &Transaction, id: KeySlotId) -> Result<()> {
    let slots = list(transaction, transaction.account).await?;
    if slots.iter().all(|slot| slot.id != id) {
        return Err(Error::Stale);
    }
    if slots.len() == 1 {
        return Err(Error::Conflict(Conflict::LastKeySlot));
    }
    let sql = "DELETE FROM key_slot WHERE account = $1 AND id = $2";
    transaction.change(sql, &values![transaction.account, id]).await
}

/// Seals another root key to every slot.
pub(super) async fn reseal(transaction: &Transaction, new: &NewRootKey) -> Result<()> {
    let account = transaction.account;
    for slot in list(transaction, account).await? {
        let sealed = (new.reseal)(&slot)?;
        let sql = "UPDATE key_slot SET psk = $3, message = $4 WHERE account = $1 AND id = $2";
        transaction.change(sql, &values![account, slot.id, &sealed.psk, &sealed.message]).await?;
    }
    Ok(())
}

#[async_trait]
impl KeySlotStore for PostgresStore {
    async fn key_slot_list(&self, account: AccountId) -> Result<Vec<KeySlot>> {
        list(self.pool(), self.number(account).await?).await
    }

    async fn key_slot_insert(&self, account: AccountId, slot: KeySlot, event: Event) -> Result<()> {
        let slot = &slot;
        self.transact(
            account,
            vec![event],
            move |transaction| async move { insert(&transaction, slot).await },
        )
        .await
    }

    async fn key_slot_delete(&self, account: AccountId, id: KeySlotId, event: Event) -> Result<()> {
        self.transact(account, vec![event], move |transaction| async move { delete(&transaction, id).await })
            .await
    }
}
