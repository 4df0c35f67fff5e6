//! A secret: a named value in a vault. What is here is its metadata; the value is sealed in a [`Version`].

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use strongroom_crypto::context::ValuePlace;
use strongroom_crypto::{Digest, SealedValue, chain_digest};

use crate::filter::{Field, Kind};
use crate::ids::{AccountId, ApiKeyId, PrincipalId, SecretId, VaultId};
use crate::stamp::Stamp;

/// All of a secret but its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its id.
    pub id: SecretId,
    /// The vault it is in.
    pub vault_id: VaultId,
    /// That vault's name.
    pub vault_name: String,
    /// Its name, unique in the vault.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What its writer wants to remember.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: PrincipalId,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub last_updated_by: PrincipalId,
    /// How often it changed, from 1: what a change says it is based on.
    pub revision: u64,
    /// Which version of its value is current, from 1.
    pub version: u32,
    /// When its value stops being given out, to the second; none for never.
    pub expires_at: Option<Timestamp>,
}

impl Secret {
    /// What a filter may ask about.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "id", kind: Kind::Id { decode: SecretId::decode } },
        Field { name: "name", kind: Kind::Text },
        Field { name: "description", kind: Kind::Text },
        Field { name: "metadata", kind: Kind::Text },
        Field { name: "created_at", kind: Kind::Time },
        Field { name: "updated_at", kind: Kind::Time },
        Field { name: "created_by", kind: Kind::Id { decode: PrincipalId::decode } },
        Field { name: "vault.id", kind: Kind::Id { decode: VaultId::decode } },
        Field { name: "vault_name", kind: Kind::Text },
        Field { name: "expires_at", kind: Kind::End },
    ];

    /// When something is to be told of its end for the first time.
    #[must_use]
    pub fn first_told(&self) -> Option<Timestamp> {
        self.expires_at.map(|at| ahead(at, DAYS_AHEAD[0]))
    }

    /// Whether its value is not given out any more.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Notes a change: when and by whom, and that it is one more.
    pub(crate) fn touch(&mut self, stamp: Stamp, by: PrincipalId) {
        self.updated_at = stamp.at;
        self.last_updated_by = by;
        self.revision += 1;
    }

    /// What a version of its value is bound to.
    #[must_use]
    pub fn place(&self, account: AccountId, version: u32) -> ValuePlace {
        place(account, self.vault_id, self.id, version)
    }
}

/// What a version of a secret's value is bound to.
pub(crate) fn place(account: AccountId, vault: VaultId, secret: SecretId, version: u32) -> ValuePlace {
    ValuePlace {
        account: *account.ksuid().as_bytes(),
        vault: *vault.ksuid().as_bytes(),
        secret: *secret.ksuid().as_bytes(),
        version,
    }
}

impl Secret {
    /// Tells one state of its metadata from another: another one as soon as anything in it is. It tells nothing of the value.
    #[must_use]
    pub fn tag(&self) -> Digest {
        // Revisions are counted again after a store was put back from a backup; the time goes on.
        let at = self.updated_at.as_second().to_be_bytes();
        let vault = self.vault_name.as_bytes();
        chain_digest(&[0; 32], self.revision, &[&self.id.ksuid().as_bytes()[..], &at, vault].concat())
    }
}

/// The last time that a secret's value was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// When, to the second.
    pub at: Timestamp,
    /// The key that it was given to.
    pub by: ApiKeyId,
}

/// A secret's metadata, and its last use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Its metadata.
    pub secret: Arc<Secret>,
    /// The last time that its value was given out; none if it never was.
    pub resolved: Option<Resolved>,
}

/// One value that a secret has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    /// When it was written.
    pub created_at: Timestamp,
    /// Who wrote it; unknown of a value that was written before this was kept.
    pub created_by: Option<PrincipalId>,
    /// The value, sealed.
    pub sealed: SealedValue,
}

/// What there is to tell of a value that is kept, without the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number, from 1.
    pub number: u32,
    /// When it was written.
    pub created_at: Timestamp,
    /// Who wrote it; unknown of a value that was written before this was kept.
    pub created_by: Option<PrincipalId>,
    /// Since when another one has been in its place; none of the current one.
    pub replaced_at: Option<Timestamp>,
}

/// How many days ahead of a secret's end something is told of it.
const DAYS_AHEAD: [i64; 3] = [30, 7, 1];

/// A time that lies so many days ahead of an end.
fn ahead(end: Timestamp, days: i64) -> Timestamp {
    end.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN)
}

/// A secret of whose end something is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// The secret.
    pub secret: Secret,
    /// Since when that is due.
    pub due: Timestamp,
}

/// That something was told of a secret's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What was due.
    pub was: Expiring,
    /// When there is something to be told again; none after the end.
    pub next: Option<Timestamp>,
}

impl Told {
    /// That it was told at a time of what was due by then.
    #[must_use]
    pub fn of(was: Expiring, now: Timestamp) -> Self {
        let end = was.secret.expires_at;
        let times = DAYS_AHEAD.into_iter().chain([0]).filter_map(|days| Some(ahead(end?, days)));
        let next = times.filter(|time| *time > now).min();
        Self { was, next }
    }
}

/// Where a walk through the values that were replaced has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// When the last one was replaced.
    pub replaced_at: Timestamp,
    /// Whose it is.
    pub secret: SecretId,
    /// Its number.
    pub number: u32,
}

/// What a step of such a walk found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// The values that are not to be kept any longer.
    pub versions: Vec<(SecretId, u32)>,
    /// Where to go on; none at the end.
    pub next: Option<Walked>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::{Ksuid, UserId};

    const DAY: i64 = 24 * 3600;
    const END: i64 = 2_000_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ending(expires_at: Option<Timestamp>) -> Secret {
        let user = PrincipalId::User(UserId::new(Ksuid::MIN));
        Secret {
            id: SecretId::new(Ksuid::MIN),
            vault_id: VaultId::new(Ksuid::MIN),
            vault_name: String::new(),
            name: String::new(),
            description: String::new(),
            metadata: String::new(),
            created_at: at(0),
            created_by: user,
            updated_at: at(0),
            last_updated_by: user,
            revision: 1,
            version: 1,
            expires_at,
        }
    }

    #[test]
    fn an_end_is_told_of_30_7_and_1_days_ahead_and_once_it_is_past() {
        let secret = ending(Some(at(END)));
        assert_eq!(secret.first_told(), Some(at(END - 30 * DAY)));
        for (now, next) in [
            (END - 30 * DAY, Some(END - 7 * DAY)),
            (END - 8 * DAY, Some(END - 7 * DAY)),
            (END - 7 * DAY, Some(END - DAY)),
            (END - DAY - 1, Some(END - DAY)),
            (END - DAY, Some(END)),
            (END - 1, Some(END)),
            (END, None),
            (END + 1, None),
        ] {
            let due = Expiring { secret: secret.clone(), due: at(END - 30 * DAY) };
            assert_eq!(Told::of(due, at(now)).next, next.map(at), "{now}");
        }
        assert!(!secret.has_expired(at(END - 1)) && secret.has_expired(at(END)));
        assert!(ending(None).first_told().is_none() && !ending(None).has_expired(Timestamp::MAX));
    }
}
