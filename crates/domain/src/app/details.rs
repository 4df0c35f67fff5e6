//! Secrets' metadata together with what ngrok's API does not tell of them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{App, VaultRef};
use crate::caller::Caller;
use crate::error::Result;
use crate::ids::SecretId;
use crate::page::{Listing, Query};
use crate::secret::{Detail, Secret};

impl App {
    /// A secret in detail.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub async fn detail_get(&self, caller: &Caller, id: SecretId) -> Result<Detail> {
        self.detail_of(caller, self.secret_get(caller, id).await?).await
    }

    /// A secret that the caller was given, in detail.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn detail_of(&self, caller: &Caller, secret: Arc<Secret>) -> Result<Detail> {
        let resolved = self.store.resolved_find(caller.account, secret.id).await?;
        Ok(Detail { secret, resolved })
    }

    /// A page of secrets in detail: all, or of the vault of that name. With `unused_since`, only those that were neither
    /// made nor resolved since then.
    ///
    /// # Errors
    /// `NotFound` for the vault.
    pub async fn detail_list(
        &self,
        caller: &Caller,
        vault: Option<&str>,
        unused_since: Option<Timestamp>,
        mut query: Query,
    ) -> Result<Listing<Detail>> {
        let vault = match vault {
            None => None,
            Some(name) => Some(self.vault_of(caller, &VaultRef::Name(name.to_owned())).await?.id),
        };
        query.scope = caller.scope_to_read();
        self.store.detail_list(caller.account, vault, unused_since, query).await
    }
}
