//! The feed of changes: what became of vaults and secrets, in the order in which it came about, as each caller gets to
//! know of it. It tells names, never a value.
//!
//! It is the audit log without what is no change of a vault or a secret. So it is kept, numbered and in order by itself,
//! and a place in it is a place in the log.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use strongroom_crypto::{Digest, leaf_digest};

use crate::audit::{Event, Object, Record, Whereabouts};
use crate::caller::Caller;
use crate::ids::{AccountId, EventId, SecretId, VaultId};
use crate::page::PageLimit;

/// A place in the feed: after a record of the log. With the start of that record's hash it tells of which log, so that a
/// place in another server's, or in one that was set back to a backup, is not taken for one in this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    sequence: u64,
    mark: u64,
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is what an answer of the feed told")]
pub struct BadCursor;

impl Cursor {
    /// The place after a record, by its number and hash.
    #[must_use]
    pub fn after(sequence: u64, hash: &Digest) -> Self {
        let mark = hash[..8].iter().fold(0, |mark, byte| mark << 8 | u64::from(*byte));
        Self { sequence, mark }
    }

    /// The place before the first record of an account's log.
    #[must_use]
    pub fn start(account: AccountId) -> Self {
        Self::after(0, &leaf_digest(account.ksuid().as_bytes()))
    }

    /// The number of the record.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.sequence, self.mark)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (sequence, mark) = text.split_once('-').ok_or(BadCursor)?;
        let sequence: i64 = sequence.parse().map_err(|_| BadCursor)?;
        let mark = u64::from_str_radix(mark, 16).map_err(|_| BadCursor)?;
        let cursor = Self { sequence: u64::try_from(sequence).map_err(|_| BadCursor)?, mark };
        // It has one form: a sign, zeros in front and capitals are of something else.
        if cursor.to_string() == text { Ok(cursor) } else { Err(BadCursor) }
    }
}

/// From where the feed is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// From now on.
    Now,
    /// From the oldest change that is kept.
    Oldest,
    /// From a place on that was reached before.
    Cursor(Cursor),
}

/// One change of a vault or a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The place in the feed after it.
    pub cursor: Cursor,
    /// The type of its event.
    pub kind: Cow<'static, str>,
    /// Its event.
    pub event: EventId,
    /// When it came about.
    pub at: Timestamp,
    /// What was changed, and what it is called.
    pub thing: Thing,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A secret.
    Secret {
        /// Its id.
        id: SecretId,
        /// Where it is.
        now: Whereabouts,
        /// Where it was, when it was renamed or moved.
        previous: Option<Whereabouts>,
    },
    /// A vault.
    Vault {
        /// Its id.
        id: VaultId,
        /// Its name, which all that is in it shows.
        name: String,
        /// The name that it had, when it was renamed.
        previous: Option<String>,
    },
}

/// What a caller gets to know of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Whole,
    /// It came into what the caller sees: for them it is new, and where it was is not for them.
    Came,
    /// It went out of what the caller sees: for them it is gone, and where it is now is not for them.
    Went,
}

impl Sight {
    fn of(now: bool, previous: Option<bool>) -> Option<Self> {
        match (now, previous) {
            (true, None | Some(true)) => Some(Self::Whole),
            (true, Some(false)) => Some(Self::Came),
            (false, Some(true)) => Some(Self::Went),
            (false, None | Some(false)) => None,
        }
    }
}

impl Change {
    /// The change that a record of the log tells of, if it is one.
    fn of(event: Event, cursor: Cursor) -> Option<Self> {
        let thing = match event.object {
            Object::Secret { id, name, vault, vault_name, version, previous, .. } => {
                Thing::Secret { id, now: Whereabouts { name, vault, vault_name, version }, previous }
            }
            Object::Vault { id, name, previous, .. } => Thing::Vault { id, name, previous },
            Object::VaultKeep { id, name, .. } => Thing::Vault { id, name, previous: None },
            _ => return None,
        };
        Some(Self { cursor, kind: event.kind, event: event.id, at: event.at, thing })
    }

    /// The change as a caller gets to know of it: by the names that they see, and no other.
    #[must_use]
    pub fn seen_by(&self, caller: &Caller) -> Option<Cow<'_, Self>> {
        let sight = match &self.thing {
            Thing::Secret { now, previous, .. } => {
                let sees = |at: &Whereabouts| caller.sees_secret(&at.vault_name, &at.name);
                Sight::of(sees(now), previous.as_ref().map(sees))
            }
            Thing::Vault { name, previous, .. } => {
                let sees = |name: &String| caller.sees_vault(name);
                Sight::of(sees(name), previous.as_ref().map(sees))
            }
        };
        Some(match sight? {
            Sight::Whole => Cow::Borrowed(self),
            Sight::Came => Cow::Owned(self.without_previous()),
            Sight::Went => Cow::Owned(self.as_before()),
        })
    }

    fn without_previous(&self) -> Self {
        let mut change = self.clone();
        change.kind = match &mut change.thing {
            Thing::Secret { previous, .. } => {
                *previous = None;
                Cow::Borrowed("secret_created.v0")
            }
            Thing::Vault { previous, .. } => {
                *previous = None;
                Cow::Borrowed("vault_created.v0")
            }
        };
        change
    }

    fn as_before(&self) -> Self {
        let mut change = self.clone();
        change.kind = match &mut change.thing {
            Thing::Secret { now, previous, .. } => {
                previous.take().into_iter().for_each(|was| *now = was);
                Cow::Borrowed("secret_deleted.v0")
            }
            Thing::Vault { name, previous, .. } => {
                previous.take().into_iter().for_each(|was| *name = was);
                Cow::Borrowed("vault_deleted.v0")
            }
        };
        change
    }
}

/// A record of the log, as the feed takes it.
#[derive(Debug, Clone)]
pub struct Noted {
    /// The place after it.
    pub cursor: Cursor,
    /// The change that it tells of, if any. In a box, as most records are of values that were given out.
    pub change: Option<Box<Change>>,
    /// Whether it tells that a key, who it acts for, or from where it may be used is not what it was.
    pub of_keys: bool,
}

impl Noted {
    /// Reads a record. One that is damaged may have been of anything: the feed goes on after it, and the walk through the log
    /// tells of it.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let cursor = Cursor::after(record.sequence, &record.hash());
        let Ok(event) = Event::from_canonical(&record.canonical) else {
            return Self { cursor, change: None, of_keys: true };
        };
        let of_keys = match event.object {
            Object::ApiKey { .. } | Object::ServiceUser { .. } => !event.kind.ends_with("_created.v0"),
            // What is new keeps out too.
            // A server that is sealed lets nobody wait.
            Object::IpPolicyRule { .. } | Object::IpRestriction { .. } | Object::Server { .. } => true,
            _ => false,
        };
        Self { cursor, change: Change::of(event, cursor).map(Box::new), of_keys }
    }
}

/// A stretch of the feed, as a caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// The place in the feed after them.
    pub cursor: Cursor,
    /// Whether there is more to be read already.
    pub more: bool,
}

impl Changes {
    /// None yet, after a place.
    #[must_use]
    pub fn after(cursor: Cursor) -> Self {
        Self { changes: Vec::new(), cursor, more: false }
    }

    /// Takes the next record; says whether there was room for it.
    pub fn take(&mut self, noted: &Noted, caller: &Caller, limit: PageLimit) -> bool {
        self.more = self.changes.len() == limit.get();
        if !self.more {
            let seen = noted.change.as_ref().and_then(|change| change.seen_by(caller));
            self.changes.extend(seen.map(Cow::into_owned));
            self.cursor = noted.cursor;
        }
        !self.more
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::caller::Role;
    use crate::ids::{Ksuid, PrincipalId, UserId};

    fn nobody() -> AccountId {
        AccountId::new(Ksuid::MIN)
    }

    fn caller(grants: Option<&str>) -> Caller {
        Caller {
            account: nobody(),
            principal: PrincipalId::User(UserId::new(Ksuid::MIN)),
            subject: String::new(),
            role: Role::Admin,
            key: None,
            grants: grants.map(|grants| grants.parse().unwrap()),
            address: None,
            warned: None,
            certificate: None,
        }
    }

    fn at(vault_name: &str, name: &str) -> Whereabouts {
        let (name, vault_name) = (name.to_owned(), vault_name.to_owned());
        Whereabouts { name, vault: VaultId::new(Ksuid::MIN), vault_name, version: 3 }
    }

    fn change(thing: Thing) -> Change {
        Change {
            cursor: Cursor::start(nobody()),
            kind: Cow::Borrowed("an_event.v0"),
            event: EventId::new(Ksuid::MIN),
            at: Timestamp::UNIX_EPOCH,
            thing,
        }
    }

    /// What a caller with these grants is told: the type, where it is and where it was.
    fn told(change: &Change, grants: Option<&str>) -> Option<String> {
        let seen = change.seen_by(&caller(grants))?;
        let (now, was) = match &seen.thing {
            Thing::Secret { now, previous, .. } => {
                let text = |at: &Whereabouts| format!("{}:{}", at.vault_name, at.name);
                (text(now), previous.as_ref().map(text))
            }
            Thing::Vault { name, previous, .. } => (name.clone(), previous.clone()),
        };
        Some(format!("{} {now}{}", seen.kind, was.map(|was| format!(" was {was}")).unwrap_or_default()))
    }

    #[test]
    fn a_cursor_has_one_form() {
        let cursor = Cursor::after(17, &[0xab; 32]);
        assert_eq!(cursor.to_string(), "17-abababababababab");
        for cursor in [cursor, Cursor::start(nobody()), Cursor::after(1, &[0; 32])] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for bad in [
            "",
            "-",
            "17",
            "17-",
            "17-ab",
            "017-abababababababab",
            "+17-abababababababab",
            "17-ABABABABABABABAB",
            "17-0abababababababab",
            "-1-abababababababab",
            "9223372036854775808-abababababababab",
            "17-abababababababab ",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(BadCursor), "{bad}");
        }
        assert_ne!(Cursor::start(nobody()), Cursor::start(AccountId::new(Ksuid::from_bytes([1; 20]))));
    }

    #[test]
    fn the_feed_goes_on_after_a_damaged_record() {
        let noted = Noted::of(&Record { sequence: 7, canonical: b"{".to_vec() });
        assert!(noted.change.is_none() && noted.of_keys && noted.cursor.sequence() == 7);
    }

    #[test]
    fn a_change_is_told_to_who_sees_the_secret() {
        let change = change(Thing::Secret {
            id: SecretId::new(Ksuid::MIN),
            now: at("prod", "tls-key"),
            previous: None,
        });
        let whole = Some("an_event.v0 prod:tls-key".to_owned());
        for grants in [None, Some("read *:*"), Some("resolve prod:tls-*"), Some("audit\nmanage prod:tls-key")]
        {
            assert_eq!(told(&change, grants), whole, "{grants:?}");
        }
        for grants in ["audit", "admin", "read prod:db-*", "resolve dev:*\nmanage pro:*"] {
            assert_eq!(told(&change, Some(grants)), None, "{grants}");
        }
    }

    #[test]
    fn who_sees_one_name_is_told_of_that_one_alone() {
        let moved = change(Thing::Secret {
            id: SecretId::new(Ksuid::MIN),
            now: at("prod", "new"),
            previous: Some(at("dev", "old")),
        });
        for (grants, expected) in [
            (None, Some("an_event.v0 prod:new was dev:old")),
            (Some("read prod:*\nread dev:*"), Some("an_event.v0 prod:new was dev:old")),
            (Some("read prod:*"), Some("secret_created.v0 prod:new")),
            (Some("read dev:*"), Some("secret_deleted.v0 dev:old")),
            (Some("read prod:old\nread dev:new"), None),
        ] {
            assert_eq!(told(&moved, grants).as_deref(), expected, "{grants:?}");
        }
        let renamed = change(Thing::Vault {
            id: VaultId::new(Ksuid::MIN),
            name: "prod".to_owned(),
            previous: Some("dev".to_owned()),
        });
        for (grants, expected) in [
            (None, Some("an_event.v0 prod was dev")),
            (Some("resolve *:one"), Some("an_event.v0 prod was dev")),
            (Some("resolve prod:one"), Some("vault_created.v0 prod")),
            (Some("resolve dev:one"), Some("vault_deleted.v0 dev")),
            (Some("audit"), None),
        ] {
            assert_eq!(told(&renamed, grants).as_deref(), expected, "{grants:?}");
        }
    }
}
