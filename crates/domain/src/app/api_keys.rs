//! API keys.

use jiff::Timestamp;

use super::{App, retry_stale};
use crate::api_key::ApiKey;
use crate::audit::Action;
use crate::caller::Caller;
use crate::error::{Denial, Error, Missing, Noun, Result, Rule};
use crate::grant::{Grant, Grants};
use crate::ids::{ApiKeyId, PrincipalId};
use crate::page::{Listing, Query};
use crate::store::ApiKeysOf;
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
    /// What it may do, and nothing else.
    pub grants: Option<Grants>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// What to change of a key; `None` leaves it as it is.
#[derive(Default)]
pub struct ApiKeyChange {
    /// A new description.
    pub description: Option<Description>,
    /// New metadata.
    pub metadata: Option<Metadata>,
    /// New grants in place of all it had.
    pub grants: Option<Grants>,
    /// Another end, or none.
    pub expires_at: Option<Option<Timestamp>>,
}

impl ApiKeyChange {
    fn apply_to(&self, key: &mut ApiKey) {
        if let Some(description) = &self.description {
            key.description = description.clone().into_string();
        }
        if let Some(metadata) = &self.metadata {
            key.metadata = metadata.clone().into_string();
        }
        if let Some(grants) = &self.grants {
            key.grants = Some(grants.clone());
        }
        if let Some(expires_at) = self.expires_at {
            key.expires_at = expires_at;
        }
    }
}

impl App {
    /// Makes a key. Its token is in the answer and nowhere else.
    ///
    /// # Errors
    /// `Forbidden` when a caller who is no admin names another owner or gives more than an ordinary key has, or the owner is
    /// inactive; `NotFound` when there is no owner with that id; `Invalid` when there is none with that e-mail address, or
    /// the key's end does not lie ahead.
    pub async fn api_key_create(&self, caller: &Caller, draft: ApiKeyDraft) -> Result<(ApiKey, Token)> {
        must_keep_keys(caller)?;
        must_give(caller, draft.grants.as_ref())?;
        self.check_expiry(draft.expires_at)?;
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
                grants: draft.grants.clone(),
                expires_at: draft.expires_at,
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
        let of = match (caller.is_admin(), &caller.grants, caller.key) {
            (true, _, _) => ApiKeysOf::Account,
            (false, Some(_), Some(key)) => ApiKeysOf::Key(key),
            _ => ApiKeysOf::Owner(caller.principal),
        };
        self.store.api_key_list(caller.account, of, query).await
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
        must_keep_keys(caller)?;
        must_give(caller, change.grants.as_ref())?;
        self.check_expiry(change.expires_at.flatten())?;
        retry_stale(|| async {
            let old = self.api_key_get(caller, id).await?;
            let mut key = old.clone();
            change.apply_to(&mut key);
            if key.same_as(&old) {
                return Ok(old);
            }
            if (&key.grants, key.expires_at) != (&old.grants, old.expires_at) {
                // What an admin gave and bounded, nobody else prolongs or alters.
                must_give(caller, old.grants.as_ref())?;
            }
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
        must_keep_keys(caller)?;
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

/// Refuses those who do not look after keys: whose role rules out writing, and keys with grants but an admin's.
fn must_keep_keys(caller: &Caller) -> Result<()> {
    caller.must_write()?;
    if caller.grants.is_some() { caller.must_be_admin(Denial::ApiKeys) } else { Ok(()) }
}

/// Refuses to give grants that only an admin gives.
fn must_give(caller: &Caller, grants: Option<&Grants>) -> Result<()> {
    let admins = grants.is_some_and(|grants| grants.iter().any(Grant::is_admins));
    if admins { caller.must_be_admin(Denial::AdminGrants) } else { Ok(()) }
}
