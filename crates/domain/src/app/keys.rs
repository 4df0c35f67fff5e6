//! Whether a store's keys open, for those who work on the machine itself.

use strongroom_crypto::RootKey;

use crate::error::Result;
use crate::ids::{VaultId, WebhookId};
use crate::page::{Page, PageLimit, Query};
use crate::principal::Account;
use crate::store::Store;
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

/// Opens every key of an account, and counts the vaults.
///
/// # Errors
/// Those of the store. What was found is in the value.
pub async fn check(store: &dyn Store, account: &Account, root_key: &RootKey) -> Result<Result<u64, Broken>> {
    if root_key.open_token_key(&account.wrapped_token_key, account.id.ksuid().as_bytes()).is_err() {
        return Ok(Err(Broken::TokenKey));
    }
    if let Some(wrapped) = store.log_key_find(account.id).await?
        && root_key.open_log_key(&wrapped, account.id.ksuid().as_bytes()).is_err()
    {
        return Ok(Err(Broken::LogKey));
    }
    let (mut before, mut count) = (None, 0);
    loop {
        let query = Query { page: Page { before, limit: PageLimit::MAX }, filter: None, scope: None };
        let page = store.vault_list(account.id, query).await?;
        for vault in &page.items {
            if vault.open_keys(account.id, root_key).is_err() {
                return Ok(Err(Broken::VaultKey(vault.id)));
            }
        }
        count += page.items.len() as u64;
        before = page.items.last().map(|vault| vault.id.ksuid());
        if !page.more {
            break;
        }
    }
    if let Err(broken) = check_deleted(store, account, root_key).await? {
        return Ok(Err(broken));
    }
    Ok(check_webhooks(store, account, root_key).await?.map(|()| count))
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
async fn check_deleted(
    store: &dyn Store,
    account: &Account,
    root_key: &RootKey,
) -> Result<Result<(), Broken>> {
    let mut before = None;
    loop {
        let query = Query { page: Page { before, limit: PageLimit::MAX }, filter: None, scope: None };
        let page = store.deleted_list(account.id, query).await?;
        for vault in page.vaults.iter().map(|vault| &vault.was) {
            if vault.open_keys(account.id, root_key).is_err() {
                return Ok(Err(Broken::VaultKey(vault.id)));
            }
        }
        before = page.last();
        if !page.more {
            return Ok(Ok(()));
        }
    }
}
