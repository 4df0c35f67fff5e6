//! Key slots.

use async_trait::async_trait;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row};
use strongroom_crypto::{SealedRootKey, SlotKind, WrappedKey};
use strongroom_domain::audit::Event;
use strongroom_domain::error::{Conflict, Noun};
use strongroom_domain::ids::{AccountId, KeySlotId};
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::rotation::NewRootKey;
use strongroom_domain::store::KeySlotStore;
use strongroom_domain::{Error, Result};

use super::error::Corrupt;
use super::row::get;
use super::writer::Step;
use super::{SqliteStore, accounts, error};

const SELECT: &str =
    "SELECT id, name, kind, opener, public_key, psk, message, created_at, created_by FROM key_slot";

fn view(row: &Row<'_>) -> rusqlite::Result<KeySlot> {
    let kind = SlotKind::parse(&row.get::<_, String>(2)?);
    Ok(KeySlot {
        id: KeySlotId::new(get(row, 0)?),
        name: row.get(1)?,
        kind: kind.ok_or_else(|| FromSqlError::Other(Box::new(Corrupt("kind"))))?,
        opener: row.get(3)?,
        sealed: SealedRootKey {
            public: row.get(4)?,
            psk: WrappedKey::from_bytes(row.get(5)?),
            message: row.get(6)?,
        },
        created_at: get(row, 7)?,
        created_by: get(row, 8)?,
    })
}

pub(super) fn list(connection: &Connection, account: i64) -> rusqlite::Result<Vec<KeySlot>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE account = ?1 ORDER BY id"))?
        .query_map([account], view)?
        .collect()
}

pub(super) fn insert(step: &Step<'_>, account: i64, slot: &KeySlot) -> Result<()> {
    accounts::check_root_key(step, account, [&slot.sealed.psk])?;
    if list(step.connection, account).map_err(error::plain)?.len() as u64 >= KeySlot::MAX {
        return Err(Error::LimitReached { noun: Noun::KeySlot, max: KeySlot::MAX, vault: None });
    }
    step.connection
        .prepare_cached(
            "INSERT INTO key_slot (account, id, name, kind, opener, public_key, psk, message, created_at, created_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut insert| {
            insert.execute((
                account,
                slot.id.ksuid().as_bytes(),
                &slot.name,
                slot.kind.as_str(),
                &slot.opener,
                &slot.sealed.public,
                slot.sealed.psk.as_bytes(),
                &slot.sealed.message,
                slot.created_at.as_second(),
                slot.created_by.to_bytes(),
            ))
        })
        .map(drop)
        .map_err(error::writing(Noun::KeySlot))
}

fn delete(step: &mut Step<'_>, account: i64, id: KeySlotId) -> Result<()> {
    let slots = list(step.connection, account).map_err(error::plain)?;
    if slots.iter().all(|slot| slot.id != id) {
        return Err(Error::Stale);
    }
    if slots.len() == 1 {
        return Err(Error::Conflict(Conflict::LastKeySlot));
    }
    step.connection
        .execute("DELETE FROM key_slot WHERE account = ?1 AND id = ?2", (account, id.ksuid().as_bytes()))
        .map_err(error::plain)?;
    step.erase();
    Ok(())
}

/// Seals another root key to every slot.
pub(super) fn reseal(step: &Step<'_>, account: i64, new: &NewRootKey) -> Result<()> {
    for slot in list(step.connection, account).map_err(error::plain)? {
        let sealed = (new.reseal)(&slot)?;
        let sql = "UPDATE key_slot SET psk = ?3, message = ?4 WHERE account = ?1 AND id = ?2";
        let id = slot.id.ksuid();
        step.connection
            .execute(sql, (account, id.as_bytes(), sealed.psk.as_bytes(), &sealed.message))
            .map_err(error::plain)?;
    }
    Ok(())
}

#[async_trait]
impl KeySlotStore for SqliteStore {
    async fn key_slot_list(&self, account: AccountId) -> Result<Vec<KeySlot>> {
        let number = self.number(account)?;
        let read_only = self.writer.is_none();
        self.readers.lookup(|connection| {
            // What is only read is not brought into the present shape: a store of before there were slots has none.
            let there = !read_only || connection.table_exists(None, "key_slot")?;
            if there { list(connection, number) } else { Ok(Vec::new()) }
        })
    }

    async fn key_slot_insert(&self, account: AccountId, slot: KeySlot, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| insert(step, number, &slot)).await
    }

    async fn key_slot_delete(&self, account: AccountId, id: KeySlotId, event: Event) -> Result<()> {
        let number = self.number(account)?;
        self.change(vec![event], move |step| delete(step, number, id)).await
    }
}
