//! API keys.

use jiff::Timestamp;

use super::App;
use crate::answer::{Answer, Creation, Made, Repeatable};
use crate::api_key::ApiKey;
use crate::audit::Action;
use crate::caller::Caller;
use crate::error::{Conflict, Denial, Error, Missing, Noun, Result, Rule};
use crate::fingerprint::Fingerprint;
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
    /// The certificate that it is bound to.
    pub client_certificate: Option<Fingerprint>,
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
    /// Another certificate that it is bound to, or none.
    pub client_certificate: Option<Option<Fingerprint>>,
}

/// The answer that made a key is kept, and the key's token is not.
#[derive(Debug, thiserror::Error)]
#[error("the token of a kept answer is missing, or is no text")]
struct TokenLost;

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
        if let Some(certificate) = self.client_certificate {
            key.client_certificate = certificate;
        }
    }
}

impl App {
    /// Makes a key. Its token is in the answer and nowhere else in clear. What was asked for before is given as it was then.
    ///
    /// # Errors
    /// `Forbidden` when a caller who is no admin names another owner or gives more than an ordinary key has, or the owner is
    /// inactive; `NotFound` when there is no owner with that id; `Invalid` when there is none with that e-mail address,
    /// the key's end does not lie ahead, or something else was asked for under the same key.
    pub async fn api_key_create(
        &self,
        caller: &Caller,
        draft: ApiKeyDraft,
        to: Option<&Repeatable>,
    ) -> Result<Made<(ApiKey, Token)>> {
        must_keep_keys(caller)?;
        must_give(caller, draft.grants.as_ref())?;
        self.retry_stale(caller, caller.principal, || async {
            match self.answered(caller, to).await? {
                Some(answer) => Ok(Made::before(self.api_key_made(caller, answer).await?)),
                None => Ok(Made::now(self.api_key_make(caller, &draft, to).await?)),
            }
        })
        .await
    }

    async fn api_key_make(
        &self,
        caller: &Caller,
        draft: &ApiKeyDraft,
        to: Option<&Repeatable>,
    ) -> Result<(ApiKey, Token)> {
        self.check_expiry(draft.expires_at)?;
        let owner = self.owner_of(caller, &draft.owner).await?;
        let stamp = self.stamper.stamp()?;
        let id = ApiKeyId::new(stamp.ksuid);
        let token = Token::make(id, &*self.rng)?;
        let key = ApiKey {
            id,
            description: draft.description.clone().into_string(),
            metadata: draft.metadata.clone().into_string(),
            created_at: stamp.at,
            owner,
            grants: draft.grants.clone(),
            expires_at: draft.expires_at,
            client_certificate: draft.client_certificate,
            revision: 1,
            // Hashed to be stored in place of the token.
            hash: self.keyring.keys()?.token.hash(token.expose_secret()),
        };
        let kept = self.token_kept(caller, &token, to)?;
        let creation = Creation::new(self.event(caller, &key, Action::Created)?, to, kept);
        self.store.api_key_insert(caller.account, key.clone(), creation).await?;
        Ok((key, token))
    }

    /// A key that was asked for before, and its token.
    async fn api_key_made(&self, caller: &Caller, answer: Answer) -> Result<(ApiKey, Token)> {
        let place = answer.to.token_place(caller.account);
        let sealed = answer.token.as_ref().ok_or_else(|| Error::Internal(Box::new(TokenLost)))?;
        let root = self.root_of(&sealed.wrapped_key).await?;
        let token = Token::kept(&root.open_token(sealed, &place)?);
        let token = token.ok_or_else(|| Error::Internal(Box::new(TokenLost)))?;
        // Hashed, as the key has the hash of its token.
        let key = answer.into_api_key(self.keyring.keys()?.token.hash(token.expose_secret()))?;
        if key.owner != caller.principal {
            caller.must_be_admin(Denial::OtherOwner)?;
        }
        Ok((key, token))
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
    /// `Forbidden`, `NotFound`; `Conflict` if the caller's own key would be bound to a certificate that was not shown.
    pub async fn api_key_change(
        &self,
        caller: &Caller,
        id: ApiKeyId,
        change: ApiKeyChange,
    ) -> Result<ApiKey> {
        must_keep_keys(caller)?;
        must_give(caller, change.grants.as_ref())?;
        self.check_expiry(change.expires_at.flatten())?;
        self.retry_stale(caller, id, || async {
            let old = self.api_key_get(caller, id).await?;
            let mut key = old.clone();
            change.apply_to(&mut key);
            if key.same_as(&old) {
                return Ok(old);
            }
            let bounds = |key: &ApiKey| (key.grants.clone(), key.expires_at, key.client_certificate);
            if bounds(&key) != bounds(&old) {
                // What an admin gave and bounded, nobody else prolongs or alters.
                must_give(caller, old.grants.as_ref())?;
            }
            // It would be the last thing that the key does, and there may be no other.
            let binds = key.client_certificate != old.client_certificate && key.client_certificate.is_some();
            if binds && caller.key == Some(id) && key.client_certificate != caller.certificate {
                return Err(Error::Conflict(Conflict::OtherCertificate));
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
        self.retry_stale(caller, id, || async {
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
