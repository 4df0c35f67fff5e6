//! What a caller may do: the table of roles, and the grants of the key.
//!
//! A key without grants may do what its owner's role brings along. A key with grants may do those and nothing else, and of
//! those only what the owner's role does not rule out. What a caller may not see is answered as what is not there.

use crate::caller::{Caller, Role};
use crate::error::{Denial, Error, Result};
use crate::grant::{Action, Grant, Target};

/// How a role stands to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It brings it along: a key without grants may do it.
    Own,
    /// It does not bring it along; a grant, which an admin gives, does.
    ByGrant,
    /// It rules it out, whatever the key's grants.
    Never,
}

impl Role {
    /// The table of roles: what each may do. `docs/access.md` shows it to people.
    #[must_use]
    pub fn standing(self, action: Action) -> Standing {
        match (self, action) {
            (_, Action::Resolve) | (Self::Developer | Self::Viewer, Action::Audit) => Standing::ByGrant,
            (Self::Admin, _) | (_, Action::Read) | (Self::Developer, Action::Manage) => Standing::Own,
            (Self::Developer, Action::Admin) | (Self::Viewer, Action::Manage | Action::Admin) => {
                Standing::Never
            }
        }
    }
}

/// Whether something is allowed, and what decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling<'a> {
    /// Allowed: the owner's role brings it along, and the key has no grants that would narrow it.
    ByRole(Role),
    /// Allowed by a grant: the first that does.
    ByGrant(&'a Grant),
    /// Not allowed: the owner's role rules it out.
    RoleForbids(Role),
    /// Not allowed: it takes a grant, and the key has none at all.
    GrantNeeded,
    /// Not allowed: none of the key's grants says so.
    NoGrant,
}

impl Ruling<'_> {
    /// Whether it is allowed.
    #[must_use]
    pub fn allows(&self) -> bool {
        matches!(self, Self::ByRole(_) | Self::ByGrant(_))
    }
}

/// The secrets, or the vaults, that a list is limited to: those that one of these is about.
pub type Scope = Vec<Target>;

impl Caller {
    /// What decides about an action on what `covers` says that a grant is about.
    fn ruling(&self, action: Action, covers: impl Fn(&Grant) -> bool) -> Ruling<'_> {
        let standing = self.role.standing(action);
        match (&self.grants, standing) {
            (_, Standing::Never) => Ruling::RoleForbids(self.role),
            (None, Standing::Own) => Ruling::ByRole(self.role),
            (None, Standing::ByGrant) => Ruling::GrantNeeded,
            (Some(grants), _) => {
                let grant = grants.iter().find(|grant| grant.includes(action) && covers(grant));
                grant.map_or(Ruling::NoGrant, Ruling::ByGrant)
            }
        }
    }

    /// What decides about an action on a secret.
    #[must_use]
    pub fn ruling_on(&self, action: Action, vault: &str, secret: &str) -> Ruling<'_> {
        self.ruling(action, |grant| grant.target().is_some_and(|target| target.covers(vault, secret)))
    }

    /// What decides about an action that has no target.
    fn ruling_at_large(&self, action: Action) -> Ruling<'_> {
        self.ruling(action, |_| true)
    }

    /// Whether the caller gets to know that there is a secret of that name: some grant is about it.
    #[must_use]
    pub fn sees_secret(&self, vault: &str, secret: &str) -> bool {
        self.sees(|target| target.covers(vault, secret))
    }

    /// Whether the caller gets to know that there is a vault of that name: some grant is about something in it.
    pub(crate) fn sees_vault(&self, vault: &str) -> bool {
        self.sees(|target| target.vault.matches(vault))
    }

    fn sees(&self, covers: impl Fn(&Target) -> bool) -> bool {
        let Some(grants) = &self.grants else { return true };
        grants.iter().filter_map(Grant::target).any(covers)
    }

    /// Refuses who may not do that with a secret which they may see.
    pub(crate) fn must(&self, action: Action, vault: &str, secret: &str) -> Result<()> {
        let told = || Denial::NotGranted { action, target: Some(format!("{vault}:{secret}")) };
        self.ruling_on(action, vault, secret).or_refuse(told)
    }

    /// Refuses who may not read a vault's metadata: who may read nothing in it.
    pub(crate) fn must_read_vault(&self, vault: &str) -> Result<()> {
        let covers = |grant: &Grant| grant.target().is_some_and(|target| target.vault.matches(vault));
        let told = || Denial::NotGranted { action: Action::Read, target: Some(vault.to_owned()) };
        self.ruling(Action::Read, covers).or_refuse(told)
    }

    /// Refuses who may not make, change or remove a vault: it takes a grant to manage all that may be in it.
    pub(crate) fn must_manage_vault(&self, vault: &str) -> Result<()> {
        let covers = |grant: &Grant| grant.target().is_some_and(|target| target.covers_vault(vault));
        let told = || Denial::NotGranted { action: Action::Manage, target: Some(format!("{vault}:*")) };
        self.ruling(Action::Manage, covers).or_refuse(told)
    }

    /// Refuses those whose role rules out writing, before anything is looked for.
    pub(crate) fn must_write(&self) -> Result<()> {
        match self.role.standing(Action::Manage) {
            Standing::Never => Err(Error::Forbidden(Denial::ReadOnly)),
            Standing::Own | Standing::ByGrant => Ok(()),
        }
    }

    /// Refuses all but those who look after keys and service users, for the reason given.
    pub(crate) fn must_be_admin(&self, otherwise: Denial) -> Result<()> {
        if self.is_admin() { Ok(()) } else { Err(Error::Forbidden(otherwise)) }
    }

    /// Whether the caller looks after everyone's keys and service users.
    pub(crate) fn is_admin(&self) -> bool {
        self.ruling_at_large(Action::Admin).allows()
    }

    /// Refuses who may not see how the server does.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a key with grants, unless `audit` or `admin` is among them.
    pub fn must_watch(&self) -> Result<()> {
        let allowed =
            self.grants.is_none() || self.is_admin() || self.ruling_at_large(Action::Audit).allows();
        let denied = Denial::NotGranted { action: Action::Audit, target: None };
        if allowed { Ok(()) } else { Err(Error::Forbidden(denied)) }
    }

    /// Refuses who may not read the audit log.
    pub(crate) fn must_audit(&self) -> Result<()> {
        let told = || Denial::NotGranted { action: Action::Audit, target: None };
        self.ruling_at_large(Action::Audit).or_refuse(told)
    }

    /// Whether the caller may read any value at all.
    pub(crate) fn may_resolve(&self) -> bool {
        self.ruling_at_large(Action::Resolve).allows()
    }

    /// Refuses a change of names that would give the caller a value to read which it may not read now.
    pub(crate) fn must_not_gain(&self, old: (&str, &str), new: (&str, &str)) -> Result<()> {
        let resolves = |(vault, secret)| self.ruling_on(Action::Resolve, vault, secret).allows();
        if resolves(new) && !resolves(old) { Err(Error::Forbidden(Denial::WouldGain)) } else { Ok(()) }
    }

    /// The same for a vault's name and all that is in it.
    pub(crate) fn must_not_gain_vault(&self, old: &str, new: &str) -> Result<()> {
        let gains = |grant: &Grant| {
            let Some(target) = grant.target().filter(|_| grant.action() == Action::Resolve) else {
                return false;
            };
            target.vault.matches(new) && !target.vault.matches(old)
        };
        let gains = self.grants.iter().flat_map(|grants| grants.iter()).any(gains);
        if gains { Err(Error::Forbidden(Denial::WouldGain)) } else { Ok(()) }
    }

    /// What a list of metadata is limited to; `None` is no limit.
    pub(crate) fn scope_to_read(&self) -> Option<Scope> {
        self.scope(|grant| grant.includes(Action::Read))
    }

    /// What the caller gets to know of at all; `None` is no limit.
    pub(crate) fn scope_to_see(&self) -> Option<Scope> {
        self.scope(|_| true)
    }

    fn scope(&self, counts: impl Fn(&Grant) -> bool) -> Option<Scope> {
        let grants = self.grants.as_ref()?;
        Some(grants.iter().filter(|grant| counts(grant)).filter_map(Grant::target).cloned().collect())
    }
}

impl Ruling<'_> {
    fn or_refuse(self, told: impl FnOnce() -> Denial) -> Result<()> {
        match self {
            Self::ByRole(_) | Self::ByGrant(_) => Ok(()),
            Self::RoleForbids(_) => Err(Error::Forbidden(Denial::ReadOnly)),
            Self::GrantNeeded | Self::NoGrant => Err(Error::Forbidden(told())),
        }
    }
}
