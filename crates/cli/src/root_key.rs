//! The root key of a store, by the key in a file: for the server's start, and for all who work on the machine itself.

use std::path::Path;

use strongroom_crypto::{KeyFile, KeyId, RootKey, SlotKind};
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::principal::Account;
use strongroom_domain::store::Store;

use crate::failure::Failure;
use crate::folder;

/// Why the key in a file does not open a store.
pub(crate) enum Shut {
    /// There is no such file.
    Missing,
    /// It is the key of no slot. What it is called.
    Other(KeyId),
    /// It is the key of a slot that was altered. What the slot is called.
    Altered(String),
}

/// An account, and the ways to its root key.
pub(crate) struct Ways {
    pub(crate) account: Account,
    pub(crate) slots: Vec<KeySlot>,
}

impl Ways {
    /// Those of a store, if it has an account.
    pub(crate) async fn of(store: &dyn Store) -> strongroom_domain::Result<Option<Self>> {
        let Some(account) = store.account_find().await? else { return Ok(None) };
        let slots = store.key_slot_list(account.id).await?;
        Ok(Some(Self { account, slots }))
    }

    /// The root key, by the key in a file.
    pub(crate) fn by_file(&self, file: Option<&KeyFile>) -> Result<RootKey, Shut> {
        let file = file.ok_or(Shut::Missing)?;
        let (needed, id) = (self.account.root_key, file.slot_key.id());
        if let Some(slot) = self.slots.iter().find(|slot| slot.key_id() == id) {
            let opened = slot.open(self.account.id, &file.slot_key, needed);
            return opened.map_err(|_| Shut::Altered(slot.name.clone()));
        }
        // A store of before there were slots, under the key in the file itself.
        match &file.root_key {
            Some(key) if self.slots.is_empty() && key.id() == needed => Ok(key.same()),
            Some(key) => Err(Shut::Other(key.id())),
            None => Err(Shut::Other(id)),
        }
    }

    /// What the key in a file must be called: those of the slots of such keys, or the root key of a store of before.
    pub(crate) fn expected(&self) -> String {
        let files = self.slots.iter().filter(|slot| slot.kind == SlotKind::File);
        let ids: Vec<String> = files.map(|slot| slot.key_id().to_string()).collect();
        match &ids[..] {
            [] if self.slots.is_empty() => self.account.root_key.to_string(),
            [] => "none, as no key slot is a file".to_owned(),
            ids => ids.join(" or "),
        }
    }

    /// Whether something else than a file may open it.
    pub(crate) fn has_others(&self) -> bool {
        self.slots.iter().any(|slot| slot.kind != SlotKind::File)
    }

    /// What is told of a file that does not open it.
    pub(crate) fn failure(&self, shut: &Shut, file: &Path) -> Failure {
        let (file, expected) = (file.display(), self.expected());
        match shut {
            Shut::Missing => {
                Failure::new(format!("the root key file {file} is missing: the store needs key {expected}"))
                    .todo("put a copy of the file back, or name it with --root-key-file")
            }
            Shut::Other(found) => Failure::new(format!(
                "the root key file {file} holds another key than the store was sealed under: expected key {expected}, \
                 found key {found}; nothing was changed"
            ))
            .todo("name the right file with --root-key-file"),
            Shut::Altered(slot) => Failure::new(format!(
                "the key in {file} is that of the key slot '{slot}', which does not open: it was altered"
            ))
            .todo("unseal the store by another key slot, or restore a backup"),
        }
    }
}

/// The root key of a store that is read on the machine itself.
pub(crate) async fn of_store(store: &dyn Store, file: &Path) -> Result<(Account, RootKey), Failure> {
    let ways =
        Ways::of(store).await.map_err(|error| Failure::new("the store cannot be read").because(error))?;
    let ways = ways.ok_or_else(|| Failure::new("the store is empty"))?;
    let key =
        ways.by_file(folder::key_file_read(file)?.as_ref()).map_err(|shut| ways.failure(&shut, file))?;
    Ok((ways.account, key))
}
