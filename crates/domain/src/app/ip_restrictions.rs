//! IP restrictions. Only an admin looks after them, and whoever works on the machine itself can lift them.

use super::App;
use super::ip_policies::LockOut;
use crate::answer::{Creation, Made, Repeatable};
use crate::audit::Action;
use crate::caller::Caller;
use crate::error::{Denial, Error, Missing, Noun, Result, Rule};
use crate::ids::{IpPolicyId, IpRestrictionId};
use crate::ip_policy::{IpRestriction, RestrictionType};
use crate::page::{Listing, Page, PageLimit, Query};
use crate::text::{Description, Metadata};

/// The policies of a restriction: one or more, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpPolicyIds(Vec<IpPolicyId>);

impl IpPolicyIds {
    /// Checks a list.
    ///
    /// # Errors
    /// The rule that it breaks: none, too many, or one twice.
    pub fn new(ids: Vec<IpPolicyId>) -> Result<Self, Rule> {
        if ids.is_empty() {
            return Err(Rule::NoIpPolicy);
        }
        if ids.len() > IpRestriction::POLICIES_MAX {
            return Err(Rule::TooManyIpPolicies { max: IpRestriction::POLICIES_MAX });
        }
        let twice = ids.iter().enumerate().any(|(place, id)| ids[..place].contains(id));
        if twice { Err(Rule::Parameter("ip_policy_ids")) } else { Ok(Self(ids)) }
    }
}

/// A restriction to be made.
#[derive(Clone)]
pub struct IpRestrictionDraft {
    /// What it is about.
    pub kind: RestrictionType,
    /// Whether it keeps anybody out.
    pub enforced: bool,
    /// The policies.
    pub policies: IpPolicyIds,
    /// What it is for.
    pub description: Description,
    /// What its writer wants to remember.
    pub metadata: Metadata,
}

/// What to change of a restriction; `None` leaves it as it is.
#[derive(Clone, Default)]
pub struct IpRestrictionChange {
    /// Whether it keeps anybody out.
    pub enforced: Option<bool>,
    /// Other policies in place of all that it had.
    pub policies: Option<IpPolicyIds>,
    /// A new description.
    pub description: Option<Description>,
    /// New metadata.
    pub metadata: Option<Metadata>,
}

impl IpRestrictionChange {
    fn apply_to(self, restriction: &mut IpRestriction) {
        restriction.enforced = self.enforced.unwrap_or(restriction.enforced);
        if let Some(IpPolicyIds(policies)) = self.policies {
            restriction.policies = policies;
        }
        if let Some(description) = self.description {
            restriction.description = description.into_string();
        }
        if let Some(metadata) = self.metadata {
            restriction.metadata = metadata.into_string();
        }
    }
}

impl App {
    /// Makes a restriction. What was asked for before is given as it was then.
    ///
    /// # Errors
    /// `Forbidden`, `LimitReached`, `Conflict` if it would keep the caller out; `Invalid` if there is no such policy, or
    /// something else was asked for under the same key.
    pub async fn ip_restriction_create(
        &self,
        caller: &Caller,
        draft: IpRestrictionDraft,
        lock_out: LockOut,
        to: Option<&Repeatable>,
    ) -> Result<Made<IpRestriction>> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        self.retry_stale(caller, caller.principal, || async {
            if let Some(answer) = self.answered(caller, to).await? {
                return Ok(Made::before(answer.into_ip_restriction()?));
            }
            let stamp = self.stamper.stamp()?;
            let IpRestrictionDraft { kind, enforced, policies, description, metadata } = draft.clone();
            let restriction = IpRestriction {
                id: IpRestrictionId::new(stamp.ksuid),
                kind,
                enforced,
                policies: policies.0,
                description: description.into_string(),
                metadata: metadata.into_string(),
                created_at: stamp.at,
                revision: 1,
            };
            let creation = Creation::new(self.event(caller, &restriction, Action::Created)?, to, None);
            let stay = caller.stay(lock_out);
            self.store.ip_restriction_insert(caller.account, restriction.clone(), stay, creation).await?;
            Ok(Made::now(restriction))
        })
        .await
    }

    /// A restriction.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn ip_restriction_get(&self, caller: &Caller, id: IpRestrictionId) -> Result<IpRestriction> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        let found = self.store.ip_restriction_find(caller.account, id).await?;
        found.ok_or(Error::NotFound(Missing::Resource(Noun::IpRestriction)))
    }

    /// A page of restrictions.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn ip_restriction_list(&self, caller: &Caller, query: Query) -> Result<Listing<IpRestriction>> {
        caller.must_be_admin(Denial::IpRestrictions)?;
        self.store.ip_restriction_list(caller.account, query).await
    }

    /// Changes a restriction. A change that changes nothing leaves no trace.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` if it would keep the caller out, `Invalid` if there is no such policy.
    pub async fn ip_restriction_change(
        &self,
        caller: &Caller,
        id: IpRestrictionId,
        change: IpRestrictionChange,
        lock_out: LockOut,
    ) -> Result<IpRestriction> {
        self.retry_stale(caller, id, || async {
            let old = self.ip_restriction_get(caller, id).await?;
            let mut restriction = old.clone();
            change.clone().apply_to(&mut restriction);
            if restriction == old {
                return Ok(old);
            }
            restriction.revision += 1;
            let event = self.event(caller, &restriction, Action::Updated)?;
            let stay = caller.stay(lock_out);
            self.store.ip_restriction_update(caller.account, restriction.clone(), stay, event).await?;
            Ok(restriction)
        })
        .await
    }

    /// Removes a restriction.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` if it would keep the caller out.
    pub async fn ip_restriction_remove(
        &self,
        caller: &Caller,
        id: IpRestrictionId,
        lock_out: LockOut,
    ) -> Result<()> {
        self.retry_stale(caller, id, || async {
            let restriction = self.ip_restriction_get(caller, id).await?;
            let event = self.event(caller, &restriction, Action::Deleted)?;
            let stay = caller.stay(lock_out);
            self.store.ip_restriction_delete(caller.account, id, restriction.revision, stay, event).await
        })
        .await
    }

    /// Makes every restriction of the API one that only warns; gives those that were more.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn ip_restrictions_lift(&self, caller: &Caller) -> Result<Vec<IpRestriction>> {
        // There are never more than one page of them.
        let query = Query { page: Page { before: None, limit: PageLimit::MAX }, filter: None, scope: None };
        let mut lifted = Vec::new();
        for restriction in self.ip_restriction_list(caller, query).await?.items {
            if restriction.enforced && restriction.kind == RestrictionType::Api {
                let change = IpRestrictionChange { enforced: Some(false), ..IpRestrictionChange::default() };
                let change = self.ip_restriction_change(caller, restriction.id, change, LockOut::Confirmed);
                lifted.push(change.await?);
            }
        }
        Ok(lifted)
    }
}
