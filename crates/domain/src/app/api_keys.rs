//! API keys.

use super::{App, retry_stale};
use crate::api_key::ApiKey;
use crate::audit::Action;
use crate::caller::{Caller, Role};
use crate::error::{Denial, Error, Missing, Noun, Result, Rule};
use crate::ids::{ApiKeyId, PrincipalId};
use crate::page::{Listing, Query};
use crate::text::{Description, Metadata};
use crate::token::Token;

/// Whom a new key acts for, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Whoever makes it.
    Caller,
    /// A user or service user by id.
    Id(PrincipalId),
    /// A user by e-mail address.
    Email(String),
}

/// A key to be made.
pub struct ApiKeyDraft {
    /// Whom it acts for.
    pub owner: Owner,
    /// What it is for.
    pub description: Description,
    /// What its writer wants to remember.
    pub metadata: Metadata,
}

/// What to change of a key; `None` leaves it as it is.
#[derive(Default)]
pub struct ApiKeyChange {
    /// A new description.
    pub description: Option<Description>,
    /// New metadata.
    pub metadata: Option<Metadata>,
}

impl App {
    /// Makes a key. Its token is in the answer and nowhere else.
    ///
    /// # Errors
    /// `Forbidden` when a caller who is no admin names another owner, or the owner is inactive; `NotFound` when there is
    /// none with that id; `Invalid` when there is none with that e-mail address.
    pub async fn api_key_create(&self, caller: &Caller, draft: ApiKeyDraft) -> Result<(ApiKey, Token)> {
        caller.must_write()?;
        let (description, metadata) = (draft.description.into_string(), draft.metadata.into_string());
        retry_stale(|| async {
            let owner = self.owner_of(caller, &draft.owner).await?;
            let stamp = self.stamper.stamp()?;
            let id = ApiKeyId::new(stamp.ksuid);
            let token = Token::make(id, &*self.rng)?;
            let key = ApiKey {
                id,
                description: description.clone(),
                metadata: metadata.clone(),
                created_at: stamp.at,
                owner,
                revision: 1,
                // Hashed to be stored in place of the token.
                hash: self.token_key.hash(token.expose_secret()),
            };
            let event = self.event(caller, &key, Action::Created)?;
            self.store.api_key_insert(caller.account, key.clone(), event).await?;
            Ok((key, token))
        })
        .await
    }

    /// A key.
    ///
    /// # Errors
    /// `NotFound`, also for a key that the caller may not see.
    pub async fn api_key_get(&self, caller: &Caller, id: ApiKeyId) -> Result<ApiKey> {
        let found = self.store.api_key_find(caller.account, id).await?;
        let visible = found.filter(|key| caller.sees_key(key));
        visible.ok_or(Error::NotFound(Missing::Resource(Noun::ApiKey)))
    }

    /// A page of the keys that the caller may see.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn api_key_list(&self, caller: &Caller, query: Query) -> Result<Listing<ApiKey>> {
        let owner = (caller.role != Role::Admin).then_some(caller.principal);
        self.store.api_key_list(caller.account, owner, query).await
    }

    /// Changes a key. A change that changes nothing leaves no trace.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn api_key_change(
        &self,
        caller: &Caller,
        id: ApiKeyId,
        change: ApiKeyChange,
    ) -> Result<ApiKey> {
        caller.must_write()?;
        let description = change.description.map(Description::into_string);
        let metadata = change.metadata.map(Metadata::into_string);
        retry_stale(|| async {
            let mut key = self.api_key_get(caller, id).await?;
            let same = description.as_ref().is_none_or(|new| *new == key.description)
                && metadata.as_ref().is_none_or(|new| *new == key.metadata);
            if same {
                return Ok(key);
            }
            key.description = description.clone().unwrap_or(key.description);
            key.metadata = metadata.clone().unwrap_or(key.metadata);
            key.revision += 1;
            let event = self.event(caller, &key, Action::Updated)?;
            self.store.api_key_update(caller.account, key.clone(), event).await?;
            Ok(key)
        })
        .await
    }

    /// Removes a key: its token stops working at once.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn api_key_remove(&self, caller: &Caller, id: ApiKeyId) -> Result<()> {
        caller.must_write()?;
        retry_stale(|| async {
            let key = self.api_key_get(caller, id).await?;
            let event = self.event(caller, &key, Action::Deleted)?;
            self.store.api_key_delete(caller.account, id, key.revision, event).await
        })
        .await
    }

    async fn owner_of(&self, caller: &Caller, named: &Owner) -> Result<PrincipalId> {
        let owner = match named {
            Owner::Caller => return Ok(caller.principal),
            Owner::Id(id) if *id == caller.principal => return Ok(*id),
            Owner::Id(id) => {
                caller.must_be_admin(Denial::OtherOwner)?;
                *id
            }
            Owner::Email(email) => {
                caller.must_be_admin(Denial::OtherOwner)?;
                let user = self.store.user_find(caller.account, email).await?;
                PrincipalId::User(user.ok_or(Rule::Parameter("owner_email"))?.id)
            }
        };
        match self.store.principal_is_active(caller.account, owner).await? {
            Some(true) => Ok(owner),
            Some(false) => Err(Error::Forbidden(Denial::OwnerInactive)),
            None => Err(Error::NotFound(Missing::Owner(owner))),
        }
    }
}
