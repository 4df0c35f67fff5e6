//! Service users. Only an admin changes them.

use super::App;
use crate::answer::{Creation, Made, Repeatable};
use crate::api_key::ApiKey;
use crate::audit;
use crate::caller::Caller;
use crate::error::{Denial, Error, Missing, Noun, Result};
use crate::grant::Action;
use crate::ids::{PrincipalId, ServiceUserId};
use crate::page::{Listing, Page, PageLimit, Query};
use crate::principal::ServiceUser;
use crate::store::ApiKeysOf;
use crate::text::DisplayName;

/// A service user to be made.
pub struct ServiceUserDraft {
    /// Its name.
    pub name: DisplayName,
    /// Whether its keys work.
    pub active: bool,
}

/// What to change of a service user; `None` leaves it as it is.
#[derive(Default)]
pub struct ServiceUserChange {
    /// A new name.
    pub name: Option<DisplayName>,
    /// Whether its keys work.
    pub active: Option<bool>,
}

impl App {
    /// Makes a service user. What was asked for before is given as it was then.
    ///
    /// # Errors
    /// `Forbidden`, `NotUnique`; `Invalid` if something else was asked for under the same key.
    pub async fn service_user_create(
        &self,
        caller: &Caller,
        draft: ServiceUserDraft,
        to: Option<&Repeatable>,
    ) -> Result<Made<ServiceUser>> {
        caller.must_be_admin(Denial::ServiceUsers)?;
        let name = draft.name.into_string();
        self.retry_stale(caller, &name, || async {
            if let Some(answer) = self.answered(caller, to).await? {
                return Ok(Made::before(answer.into_service_user()?));
            }
            let stamp = self.stamper.stamp()?;
            let user = ServiceUser {
                id: ServiceUserId::new(stamp.ksuid),
                name: name.clone(),
                active: draft.active,
                created_at: stamp.at,
                revision: 1,
            };
            let creation = Creation::new(self.event(caller, &user, audit::Action::Created)?, to, None);
            self.store.service_user_insert(caller.account, user.clone(), creation).await?;
            Ok(Made::now(user))
        })
        .await
    }

    /// A service user.
    ///
    /// # Errors
    /// `NotFound`, also for a key with grants that are not an admin's.
    pub async fn service_user_get(&self, caller: &Caller, id: ServiceUserId) -> Result<ServiceUser> {
        if !sees_service_users(caller) {
            return Err(Error::NotFound(Missing::Resource(Noun::ServiceUser)));
        }
        let found = self.store.service_user_find(caller.account, id).await?;
        found.ok_or(Error::NotFound(Missing::Resource(Noun::ServiceUser)))
    }

    /// A page of service users.
    ///
    /// # Errors
    /// `Forbidden` for a key with grants that are not an admin's.
    pub async fn service_user_list(&self, caller: &Caller, query: Query) -> Result<Listing<ServiceUser>> {
        if !sees_service_users(caller) {
            return Err(Error::Forbidden(Denial::NotGranted { action: Action::Admin, target: None }));
        }
        self.store.service_user_list(caller.account, query).await
    }

    /// Changes a service user. A change that changes nothing leaves no trace.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `NotUnique`.
    pub async fn service_user_change(
        &self,
        caller: &Caller,
        id: ServiceUserId,
        change: ServiceUserChange,
    ) -> Result<ServiceUser> {
        caller.must_be_admin(Denial::ServiceUsers)?;
        let name = change.name.map(DisplayName::into_string);
        self.retry_stale(caller, id, || async {
            let old = self.service_user_get(caller, id).await?;
            let mut user = old.clone();
            user.name = name.clone().unwrap_or(user.name);
            user.active = change.active.unwrap_or(user.active);
            if user == old {
                return Ok(old);
            }
            user.revision += 1;
            let event = self.event(caller, &user, audit::Action::Updated)?;
            self.store.service_user_update(caller.account, user.clone(), event).await?;
            Ok(user)
        })
        .await
    }

    /// Removes a service user and its keys, which stop working at once.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn service_user_remove(&self, caller: &Caller, id: ServiceUserId) -> Result<()> {
        caller.must_be_admin(Denial::ServiceUsers)?;
        self.retry_stale(caller, id, || async {
            let user = self.service_user_get(caller, id).await?;
            let keys = self.keys_of(caller, PrincipalId::ServiceUser(id)).await?;
            let mut events = Vec::with_capacity(keys.len() + 1);
            for key in &keys {
                events.push(self.event(caller, key, audit::Action::Deleted)?);
            }
            events.push(self.event(caller, &user, audit::Action::Deleted)?);
            let keys = keys.iter().map(|key| key.id).collect();
            self.store.service_user_delete(caller.account, id, user.revision, keys, events).await
        })
        .await
    }

    async fn keys_of(&self, caller: &Caller, owner: PrincipalId) -> Result<Vec<ApiKey>> {
        let mut keys: Vec<ApiKey> = Vec::new();
        loop {
            let before = keys.last().map(|key| key.id.ksuid());
            let query = Query { page: Page { before, limit: PageLimit::MAX }, filter: None, scope: None };
            let page = self.store.api_key_list(caller.account, ApiKeysOf::Owner(owner), query).await?;
            keys.extend(page.items);
            if !page.more {
                return Ok(keys);
            }
        }
    }
}

fn sees_service_users(caller: &Caller) -> bool {
    caller.grants.is_none() || caller.is_admin()
}
