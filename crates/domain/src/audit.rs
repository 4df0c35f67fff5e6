//! The audit log: what happened, who did it, and a chain that shows when a record was altered, dropped or moved.
//!
//! An event's *canonical bytes* are its compact JSON in the order of the fields below. They are what is stored and what the
//! chain is computed over. They hold no URL, so that they do not depend on where the server is reached; the envelope that
//! people read (ngrok's, with URLs) is made from them.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_crypto::{Digest, chain_digest};

use crate::api_key::ApiKey;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::grant::Grants;
use crate::ids::{AccountId, ApiKeyId, EventId, PrincipalId, SecretId, ServiceUserId, VaultId};
use crate::keep::VaultKeep;
use crate::principal::ServiceUser;
use crate::secret::{Resolved, Secret};
use crate::stamp::Stamp;
use crate::vault::Vault;

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was removed.
    Deleted,
    /// Its value was given out.
    Resolved,
    /// It was brought back after it had been removed.
    Undeleted,
    /// What was kept of it after it had been removed was destroyed.
    Purged,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Resolved => "resolved",
            Self::Undeleted => "undeleted",
            Self::Purged => "purged",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    #[serde(rename = "event_id")]
    pub id: EventId,
    /// `<object>_<action>.v0`, as in ngrok's list of event types.
    #[serde(rename = "event_type")]
    pub kind: Cow<'static, str>,
    /// When it happened, to the second.
    #[serde(rename = "event_timestamp")]
    pub at: Timestamp,
    /// The account that it happened in.
    #[serde(rename = "account_id")]
    pub account: AccountId,
    /// Who did it.
    pub principal: Actor,
    /// What it was done to, as it was afterwards (deleted things: before).
    pub object: Object,
    /// Where the request came from, when a value was given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
}

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The other end of the connection.
    pub address: IpAddr,
    /// What the program calls itself, cut to 128 bytes; empty when it does not.
    pub user_agent: String,
}

impl Client {
    /// Notes where a request came from.
    #[must_use]
    pub fn new(address: IpAddr, user_agent: &str) -> Self {
        const LENGTH: usize = 128;
        let end = user_agent.floor_char_boundary(LENGTH);
        Self { address, user_agent: user_agent[..end].to_owned() }
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The user or service user.
    pub id: PrincipalId,
    /// A user's e-mail address, a service user's name.
    pub subject: String,
    /// `API`, `CLI` for what was done on the machine itself, or `SERVER` for what the server did when its time had come.
    pub source: Cow<'static, str>,
    /// The key that was used; none for what was done on the machine itself.
    pub credential: Option<ApiKeyId>,
}

impl Actor {
    /// The server itself, when time alone brings something about. The principal is the one who answers for it.
    #[must_use]
    pub fn server(id: PrincipalId) -> Self {
        Self { id, subject: "strongroom".to_owned(), source: Cow::Borrowed("SERVER"), credential: None }
    }

    /// Somebody who works on the machine itself, without a key.
    #[must_use]
    pub fn on_machine(id: PrincipalId, subject: String) -> Self {
        Self { id, subject, source: Cow::Borrowed("CLI"), credential: None }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            id: caller.principal,
            subject: caller.subject.clone(),
            source: Cow::Borrowed(if caller.key.is_some() { "API" } else { "CLI" }),
            credential: caller.key,
        }
    }
}

/// What it was done to: all that the API tells of it, which is never a value or a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the records they are taken from")]
pub enum Object {
    Vault {
        id: VaultId,
        created_at: Timestamp,
        updated_at: Timestamp,
        name: String,
        description: String,
        metadata: String,
        created_by: PrincipalId,
        last_updated_by: PrincipalId,
    },
    Secret {
        id: SecretId,
        created_at: Timestamp,
        updated_at: Timestamp,
        name: String,
        description: String,
        metadata: String,
        created_by: PrincipalId,
        last_updated_by: PrincipalId,
        vault: VaultId,
        vault_name: String,
        version: u32,
    },
    ApiKey {
        id: ApiKeyId,
        description: String,
        metadata: String,
        created_at: Timestamp,
        owner_id: PrincipalId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grants: Option<Grants>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// A secret whose value was given out: enough to find it, and which value it was.
    Value {
        id: SecretId,
        name: String,
        vault: VaultId,
        vault_name: String,
        version: u32,
    },
    ServiceUser {
        id: ServiceUserId,
        name: String,
        active: bool,
        created_at: Timestamp,
    },
    /// A vault, and how many values it keeps and for how many seconds; `None` is as the server is set.
    VaultKeep {
        id: VaultId,
        name: String,
        keep_versions: Option<u32>,
        keep_versions_for: Option<u32>,
    },
}

impl Object {
    /// How many values a vault keeps, and how long.
    #[must_use]
    pub fn keep(vault: &Vault) -> Self {
        let VaultKeep { versions, versions_for } = vault.keep;
        Self::VaultKeep {
            id: vault.id,
            name: vault.name.clone(),
            keep_versions: versions,
            keep_versions_for: versions_for,
        }
    }

    fn noun(&self) -> &'static str {
        match self {
            Self::Vault { .. } | Self::VaultKeep { .. } => "vault",
            Self::Secret { .. } | Self::Value { .. } => "secret",
            Self::ApiKey { .. } => "api_key",
            Self::ServiceUser { .. } => "service_user",
        }
    }
}

impl From<&Vault> for Object {
    fn from(vault: &Vault) -> Self {
        Self::Vault {
            id: vault.id,
            created_at: vault.created_at,
            updated_at: vault.updated_at,
            name: vault.name.clone(),
            description: vault.description.clone(),
            metadata: vault.metadata.clone(),
            created_by: vault.created_by,
            last_updated_by: vault.last_updated_by,
        }
    }
}

impl From<&Secret> for Object {
    fn from(secret: &Secret) -> Self {
        Self::Secret {
            id: secret.id,
            created_at: secret.created_at,
            updated_at: secret.updated_at,
            name: secret.name.clone(),
            description: secret.description.clone(),
            metadata: secret.metadata.clone(),
            created_by: secret.created_by,
            last_updated_by: secret.last_updated_by,
            vault: secret.vault_id,
            vault_name: secret.vault_name.clone(),
            version: secret.version,
        }
    }
}

impl From<&ApiKey> for Object {
    fn from(key: &ApiKey) -> Self {
        Self::ApiKey {
            id: key.id,
            description: key.description.clone(),
            metadata: key.metadata.clone(),
            created_at: key.created_at,
            owner_id: key.owner,
            grants: key.grants.clone(),
            expires_at: key.expires_at,
        }
    }
}

impl From<&ServiceUser> for Object {
    fn from(user: &ServiceUser) -> Self {
        Self::ServiceUser {
            id: user.id,
            name: user.name.clone(),
            active: user.active,
            created_at: user.created_at,
        }
    }
}

impl Event {
    /// What somebody did to something.
    #[must_use]
    pub fn new(
        stamp: Stamp,
        account: AccountId,
        actor: Actor,
        object: impl Into<Object>,
        action: Action,
    ) -> Self {
        let object = object.into();
        Self {
            id: EventId::new(stamp.ksuid),
            kind: Cow::Owned(format!("{}_{}.v0", object.noun(), action.as_str())),
            at: stamp.at,
            account,
            principal: actor,
            object,
            client: None,
        }
    }

    /// That a secret's value is given out, and where to.
    #[must_use]
    pub fn resolved(
        stamp: Stamp,
        account: AccountId,
        actor: Actor,
        (secret, version): (&Secret, u32),
        client: Client,
    ) -> Self {
        let object = Object::Value {
            id: secret.id,
            name: secret.name.clone(),
            vault: secret.vault_id,
            vault_name: secret.vault_name.clone(),
            version,
        };
        Self { client: Some(client), ..Self::new(stamp, account, actor, object, Action::Resolved) }
    }

    /// The secret whose value it says was given out, when, and to which key.
    #[must_use]
    pub fn as_resolved(&self) -> Option<(SecretId, Resolved)> {
        match (&self.object, self.principal.credential) {
            (Object::Value { id, .. }, Some(by)) => Some((*id, Resolved { at: self.at, by })),
            _ => None,
        }
    }

    /// Its canonical bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as JSON, which no event is known to do.
    pub fn to_canonical(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::Internal(Box::new(error)))
    }

    /// The event of canonical bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] when the bytes are no event.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::Internal(Box::new(error)))
    }
}

/// An event as it is kept: numbered from 1 without gaps, and chained to the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub sequence: u64,
    /// Its chain value.
    pub hash: Digest,
    /// The event's canonical bytes.
    pub canonical: Vec<u8>,
}

/// The end of the log: what the next record is chained to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record; 0 before the first.
    pub sequence: u64,
    /// Its chain value; zeros before the first.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { sequence: 0, hash: [0; 32] };

    /// The head once the record with these canonical bytes follows.
    #[must_use]
    pub fn advanced(&self, canonical: &[u8]) -> Self {
        let sequence = self.sequence + 1;
        Self { sequence, hash: chain_digest(&self.hash, sequence, canonical) }
    }
}

/// What is wrong with a log, and where first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A record is missing, or one stands where it does not belong.
    #[error("record {expected} is missing: record {found} stands in its place")]
    Gap {
        /// The number that should come.
        expected: u64,
        /// The number that comes.
        found: u64,
    },
    /// A record's chain value is not that of its bytes and the record before it.
    #[error("record {sequence} was altered: it does not match its chain value")]
    Altered {
        /// The record.
        sequence: u64,
    },
    /// A record's bytes are no event.
    #[error("record {sequence} is not an audit event")]
    Unreadable {
        /// The record.
        sequence: u64,
    },
    /// The log ends elsewhere than the store says.
    #[error("the log ends at record {found}, the store says that it ends at record {expected}")]
    WrongEnd {
        /// Where it should end.
        expected: u64,
        /// Where it ends.
        found: u64,
    },
}

/// Walks the chain from its start; feed it every record in order, then ask [`Verifier::finish`].
#[derive(Debug)]
pub struct Verifier {
    head: Head,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { head: Head::EMPTY }
    }
}

impl Verifier {
    /// Checks the next record.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, record: &Record) -> Result<(), Broken> {
        let expected = self.head.sequence + 1;
        if record.sequence != expected {
            return Err(Broken::Gap { expected, found: record.sequence });
        }
        let hash = chain_digest(&self.head.hash, expected, &record.canonical);
        if hash != record.hash {
            return Err(Broken::Altered { sequence: expected });
        }
        if Event::from_canonical(&record.canonical).is_err() {
            return Err(Broken::Unreadable { sequence: expected });
        }
        self.head = Head { sequence: expected, hash };
        Ok(())
    }

    /// Checks that the log ends where the store says.
    ///
    /// # Errors
    /// [`Broken::WrongEnd`], or [`Broken::Altered`] when only the chain value differs.
    pub fn finish(&self, head: &Head) -> Result<(), Broken> {
        if self.head.sequence != head.sequence {
            return Err(Broken::WrongEnd { expected: head.sequence, found: self.head.sequence });
        }
        if self.head.hash != head.hash {
            return Err(Broken::Altered { sequence: head.sequence });
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::{Ksuid, UserId};

    fn log(length: u64) -> (Vec<Record>, Head) {
        let mut head = Head::EMPTY;
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let account = AccountId::new(Ksuid::MIN);
        let actor = Actor::on_machine(PrincipalId::User(UserId::new(Ksuid::MIN)), "admin".to_owned());
        let records = (0..length).map(|number| {
            let object = Object::ServiceUser {
                id: ServiceUserId::new(Ksuid::from_parts(at, number.into())),
                name: format!("user {number}"),
                active: true,
                created_at: at,
            };
            let stamp = Stamp { ksuid: Ksuid::from_parts(at, number.into()), at };
            let event = Event::new(stamp, account, actor.clone(), object, Action::Created);
            assert_eq!(Event::from_canonical(&event.to_canonical().unwrap()).unwrap(), event);
            let canonical = event.to_canonical().unwrap();
            head = head.advanced(&canonical);
            Record { sequence: head.sequence, hash: head.hash, canonical }
        });
        let records = records.collect();
        (records, head)
    }

    fn verify(records: &[Record], head: &Head) -> Result<(), Broken> {
        let mut verifier = Verifier::default();
        records.iter().try_for_each(|record| verifier.check(record))?;
        verifier.finish(head)
    }

    #[test]
    fn a_log_verifies() {
        let (records, head) = log(10);
        assert_eq!(verify(&records, &head), Ok(()));
        assert_eq!(verify(&[], &Head::EMPTY), Ok(()));
    }

    #[test]
    fn the_first_bad_record_is_named() {
        let (records, head) = log(10);
        let altered = |change: &dyn Fn(&mut Vec<Record>)| {
            let mut records = records.clone();
            change(&mut records);
            verify(&records, &head)
        };
        assert_eq!(altered(&|r| r[3].canonical[20] ^= 1), Err(Broken::Altered { sequence: 4 }));
        assert_eq!(altered(&|r| r[3].hash[0] ^= 1), Err(Broken::Altered { sequence: 4 }));
        assert_eq!(altered(&|r| drop(r.remove(3))), Err(Broken::Gap { expected: 4, found: 5 }));
        assert_eq!(altered(&|r| r.swap(3, 4)), Err(Broken::Gap { expected: 4, found: 5 }));
        assert_eq!(altered(&|r| r.truncate(7)), Err(Broken::WrongEnd { expected: 10, found: 7 }));
        assert_eq!(
            altered(&|r| {
                let copy = r[3].clone();
                r.insert(4, copy);
            }),
            Err(Broken::Gap { expected: 5, found: 4 })
        );
    }
}
