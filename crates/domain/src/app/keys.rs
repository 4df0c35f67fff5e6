//! Whether a store's keys open, for those who work on the machine itself.

use std::collections::HashMap;

use strongroom_crypto::{RootKey, SealedValue};

use crate::error::Result;
use crate::ids::{AccountId, SecretId, VaultId, WebhookId};
use crate::page::{Page, PageLimit, Query};
use crate::principal::Account;
use crate::secret::place;
use crate::store::Store;
use crate::vault::{Vault, VaultKeys};
use crate::webhook;

/// A key in the store that does not open, though the root key is the right one: it was altered or moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The key of the token hashes: no API key can be checked.
    #[error("the key of the API tokens does not open: it was altered")]
    TokenKey,
    /// The key that signs the audit log's checkpoints.
    #[error("the key of the audit log does not open: it was altered")]
    LogKey,
    /// A vault's key: none of its values can be read.
    #[error("the key of vault {0} does not open: it was altered")]
    VaultKey(VaultId),
    /// A webhook's signing secret: it can be told nothing.
    #[error("the signing secret of webhook {0} does not open: it was altered")]
    SigningSecret(WebhookId),
}

/// The opened keys of every vault of an account, those of the deleted ones too.
pub struct Opened {
    account: AccountId,
    keys: HashMap<VaultId, VaultKeys>,
}

impl Opened {
    /// Whether a version of a secret's value is sealed under a key of its vault, for its place.
    #[must_use]
    pub fn opens(&self, vault: VaultId, (secret, version): (SecretId, u32), sealed: &SealedValue) -> bool {
        let place = place(self.account, vault, secret, version);
        self.keys.get(&vault).is_some_and(|keys| keys.open(sealed, &place).is_ok())
    }
}

/// Opens every key of an account, and counts the vaults.
///
/// # Errors
/// Those of the store. What was found is in the value.
pub async fn check(store: &dyn Store, account: &Account, root_key: &RootKey) -> Result<Result<u64, Broken>> {
    Ok(open(store, account, root_key).await?.map(|(count, _)| count))
}

/// The same, and gives the keys of the vaults.
///
/// # Errors
/// Those of the store. What was found is in the value.
pub async fn open(
    store: &dyn Store,
    account: &Account,
    root_key: &RootKey,
) -> Result<Result<(u64, Opened), Broken>> {
    if root_key.open_token_key(&account.wrapped_token_key, account.id.ksuid().as_bytes()).is_err() {
        return Ok(Err(Broken::TokenKey));
    }
    if let Some(wrapped) = store.log_key_find(account.id).await?
        && root_key.open_log_key(&wrapped, account.id.ksuid().as_bytes()).is_err()
    {
        return Ok(Err(Broken::LogKey));
    }
    let mut opened = Opened { account: account.id, keys: HashMap::new() };
    let mut before = None;
    loop {
        let query = Query { page: Page { before, limit: PageLimit::MAX }, filter: None, scope: None };
        let page = store.vault_list(account.id, query).await?;
        for vault in &page.items {
            if let Err(broken) = opened.add(vault, root_key) {
                return Ok(Err(broken));
            }
        }
        before = page.items.last().map(|vault| vault.id.ksuid());
        if !page.more {
            break;
        }
    }
    let count = opened.keys.len() as u64;
    if let Err(broken) = add_deleted(store, root_key, &mut opened).await? {
        return Ok(Err(broken));
    }
    Ok(check_webhooks(store, account, root_key).await?.map(|()| (count, opened)))
}

impl Opened {
    fn add(&mut self, vault: &Vault, root_key: &RootKey) -> Result<(), Broken> {
        let keys = vault.open_keys(self.account, root_key).map_err(|_| Broken::VaultKey(vault.id))?;
        self.keys.insert(vault.id, keys);
        Ok(())
    }
}

/// Opens the signing secrets of the webhooks, of which there are no more than a page holds.
async fn check_webhooks(
    store: &dyn Store,
    account: &Account,
    root_key: &RootKey,
) -> Result<Result<(), Broken>> {
    let query = Query { page: Page { before: None, limit: PageLimit::MAX }, filter: None, scope: None };
    for webhook in store.webhook_list(account.id, query).await?.items {
        let (account, place) = webhook::place(&account.id, &webhook.id);
        let old = webhook.old_secret.iter().map(|(secret, _)| secret);
        let opens = |secret| root_key.open_signing_secret(secret, &account, &place).is_ok();
        if !std::iter::once(&webhook.secret).chain(old).all(opens) {
            return Ok(Err(Broken::SigningSecret(webhook.id)));
        }
    }
    Ok(Ok(()))
}

/// Opens the keys of the vaults that are deleted and can be brought back.
async fn add_deleted(
    store: &dyn Store,
    root_key: &RootKey,
    opened: &mut Opened,
) -> Result<Result<(), Broken>> {
    let mut before = None;
    loop {
        let query = Query { page: Page { before, limit: PageLimit::MAX }, filter: None, scope: None };
        let page = store.deleted_list(opened.account, query).await?;
        for vault in page.vaults.iter().map(|vault| &vault.was) {
            if let Err(broken) = opened.add(vault, root_key) {
                return Ok(Err(broken));
            }
        }
        before = page.last();
        if !page.more {
            return Ok(Ok(()));
        }
    }
}
