//! The audit log: what happened, who did it, and a tree of hashes that shows when a record was altered, dropped or moved.
//!
//! An event's *canonical bytes* are what is stored and what the tree is computed over. They hold no URL, so that they do not
//! depend on where the server is reached; the envelope that people read (ngrok's, with URLs) is made from them.

mod canonical;
pub mod chain;
pub mod checkpoint;
mod hex;
pub mod proof;
mod query;
pub mod tree;
mod verify;

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_crypto::Digest;

use crate::api_key::ApiKey;
use crate::caller::Caller;
use crate::cidr::Cidr;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::grant::Grants;
use crate::ids::{
    AccountId, ApiKeyId, EventId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, KeySlotId, PrincipalId,
    SecretId, ServiceUserId, VaultId, WebhookId,
};
use crate::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction, RestrictionType, RuleAction};
use crate::keep::VaultKeep;
use crate::key_slot::KeySlot;
use crate::principal::ServiceUser;
use crate::secret::{Resolved, Secret};
use crate::stamp::Stamp;
use crate::vault::Vault;
use crate::webhook::Webhook;

pub use query::{EventQuery, Order};
pub use verify::{Broken, Entry, Head, Record, StoredHashes, Verifier};

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
    /// Its end is near.
    Expiring,
    /// Its end is past.
    Expired,
    /// Its oldest part was removed.
    Pruned,
    /// It is being replaced by another one.
    RotationStarted,
    /// It was replaced by another one, and nothing refers to it any more.
    Rotated,
    /// It forgot its keys.
    Sealed,
    /// It got its keys.
    Unsealed,
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
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Pruned => "pruned",
            Self::RotationStarted => "rotation_started",
            Self::Rotated => "rotated",
            Self::Sealed => "sealed",
            Self::Unsealed => "unsealed",
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
    /// The client's address: the other end of the connection, or what a trusted proxy there says.
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
        /// The name that it had before, when it was given another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<String>,
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// Where it was before, when it was renamed or moved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Whereabouts>,
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_certificate: Option<Fingerprint>,
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
    /// The key of a vault, and the one before it, each by its id. `values` is how many were re-wrapped, once all are.
    VaultKey {
        id: VaultId,
        name: String,
        key: String,
        previous: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<u64>,
    },
    /// The root key, and the one before it, each by its id.
    RootKey {
        key: String,
        previous: String,
    },
    /// A way to the root key.
    KeySlot {
        id: KeySlotId,
        created_at: Timestamp,
        name: String,
        kind: String,
        key: String,
    },
    /// The server itself, and the slot that it was unsealed by.
    Server {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<KeySlotId>,
    },
    /// The data keys of a vault. `values` is how many were sealed anew, once all are.
    DataKeys {
        id: VaultId,
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<u64>,
    },
    /// The audit log itself, of which the records up to one are gone: the tree over them had that root.
    AuditLog {
        upto: u64,
        #[serde(with = "hex")]
        root: Digest,
    },
    /// A webhook. Of its URL only the host: the rest may hold a token.
    Webhook {
        id: WebhookId,
        created_at: Timestamp,
        updated_at: Timestamp,
        host: String,
        event_types: Vec<String>,
        description: String,
        metadata: String,
        active: bool,
    },
    IpPolicy {
        id: IpPolicyId,
        created_at: Timestamp,
        description: String,
        metadata: String,
    },
    IpPolicyRule {
        id: IpPolicyRuleId,
        created_at: Timestamp,
        description: String,
        metadata: String,
        cidr: Cidr,
        action: RuleAction,
        ip_policy: IpPolicyId,
    },
    IpRestriction {
        id: IpRestrictionId,
        created_at: Timestamp,
        description: String,
        metadata: String,
        #[serde(rename = "type")]
        kind: RestrictionType,
        enforced: bool,
        ip_policies: Vec<IpPolicyId>,
    },
}

/// Where a secret is found, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Its name.
    pub name: String,
    /// Its vault.
    pub vault: VaultId,
    /// That vault's name.
    pub vault_name: String,
    /// Which version of its value was current.
    pub version: u32,
}

impl From<&Secret> for Whereabouts {
    fn from(secret: &Secret) -> Self {
        Self {
            name: secret.name.clone(),
            vault: secret.vault_id,
            vault_name: secret.vault_name.clone(),
            version: secret.version,
        }
    }
}

impl Object {
    /// A secret that was another one before: it tells where that was, if it was renamed or moved.
    #[must_use]
    pub fn secret_after(old: &Secret, new: &Secret) -> Self {
        let mut object = Self::from(new);
        if let Self::Secret { previous, .. } = &mut object
            && (old.vault_id, &old.name) != (new.vault_id, &new.name)
        {
            *previous = Some(old.into());
        }
        object
    }

    /// A vault that was another one before: it tells the name it had, if it was renamed.
    #[must_use]
    pub fn vault_after(old: &Vault, new: &Vault) -> Self {
        let mut object = Self::from(new);
        if let Self::Vault { previous, .. } = &mut object
            && old.name != new.name
        {
            *previous = Some(old.name.clone());
        }
        object
    }

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
            Self::VaultKey { .. } => "vault_key",
            Self::RootKey { .. } => "root_key",
            Self::KeySlot { .. } => "key_slot",
            Self::Server { .. } => "server",
            Self::DataKeys { .. } => "data_keys",
            Self::AuditLog { .. } => "audit_log",
            Self::Webhook { .. } => "webhook",
            Self::IpPolicy { .. } => "ip_policy",
            Self::IpPolicyRule { .. } => "ip_policy_rule",
            Self::IpRestriction { .. } => "ip_restriction",
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
            previous: None,
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
            expires_at: secret.expires_at,
            previous: None,
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
            client_certificate: key.client_certificate,
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

impl From<&Webhook> for Object {
    fn from(webhook: &Webhook) -> Self {
        Self::Webhook {
            id: webhook.id,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            host: webhook.url.host().to_owned(),
            event_types: webhook.event_types.as_slice().to_vec(),
            description: webhook.description.clone(),
            metadata: webhook.metadata.clone(),
            active: webhook.active,
        }
    }
}

impl From<&KeySlot> for Object {
    fn from(slot: &KeySlot) -> Self {
        Self::KeySlot {
            id: slot.id,
            created_at: slot.created_at,
            name: slot.name.clone(),
            kind: slot.kind.as_str().to_owned(),
            key: slot.key_id().to_string(),
        }
    }
}

impl From<&IpPolicy> for Object {
    fn from(policy: &IpPolicy) -> Self {
        Self::IpPolicy {
            id: policy.id,
            created_at: policy.created_at,
            description: policy.description.clone(),
            metadata: policy.metadata.clone(),
        }
    }
}

impl From<&IpPolicyRule> for Object {
    fn from(rule: &IpPolicyRule) -> Self {
        Self::IpPolicyRule {
            id: rule.id,
            created_at: rule.created_at,
            description: rule.description.clone(),
            metadata: rule.metadata.clone(),
            cidr: rule.cidr.clone(),
            action: rule.action,
            ip_policy: rule.policy,
        }
    }
}

impl From<&IpRestriction> for Object {
    fn from(restriction: &IpRestriction) -> Self {
        Self::IpRestriction {
            id: restriction.id,
            created_at: restriction.created_at,
            description: restriction.description.clone(),
            metadata: restriction.metadata.clone(),
            kind: restriction.kind,
            enforced: restriction.enforced,
            ip_policies: restriction.policies.clone(),
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

    /// Whether that is what was done.
    #[must_use]
    pub fn is(&self, action: Action) -> bool {
        let done = self.kind.strip_prefix(self.object.noun()).and_then(|rest| rest.strip_prefix('_'));
        done.and_then(|rest| rest.strip_suffix(".v0")) == Some(action.as_str())
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
    /// [`Error::Internal`] if its object cannot be written as JSON, which no event is known to do.
    pub fn to_canonical(&self) -> Result<Vec<u8>> {
        canonical::write(self).map_err(|error| Error::Internal(Box::new(error)))
    }

    /// The event of canonical bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] when the bytes are no event.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self> {
        canonical::read(bytes).map_err(|error| Error::Internal(Box::new(error)))
    }
}
