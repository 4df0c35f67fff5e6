#![doc = include_str!("../README.md")]

mod api_key;
mod audit;
mod change;
mod deleted;
mod detail;
mod error;
mod explain;
mod ip;
mod key;
mod key_slot;
mod log;
mod root;
mod secret;
mod service_user;
mod value;
mod vault;
mod version;
mod webhook;

pub use api_key::{ApiKey, ApiKeyCreate, ApiKeyList, ApiKeyUpdate, Grant};
pub use audit::{
    AuditEventList, Credential, Event, EventClient, Listed, Principal, PrunedLog, ResolvedRef, Unreadable,
};
pub use change::{Change, ChangeList, ChangedFrom, ChangedSecret, ChangedVault};
pub use deleted::{DeletedList, DeletedSecret, DeletedVault, Undelete};
pub use detail::{SecretDetail, SecretDetailList, SecretMove};
pub use error::Error;
pub use explain::{Explain, Explanation, Ruling};
pub use ip::{
    IpPolicy, IpPolicyFields, IpPolicyList, IpPolicyRule, IpPolicyRuleCreate, IpPolicyRuleList,
    IpPolicyRuleUpdate, IpRestriction, IpRestrictionCreate, IpRestrictionList, IpRestrictionUpdate,
};
pub use key::{
    KeyRotate, KeyRotation, RootKey, RootKeyRef, RootKeyRotated, RotatedKey, VaultKey, VaultKeyList,
};
pub use key_slot::{
    KeySlot, KeySlotCreate, KeySlotList, KeySlotRef, KeySlotTested, Seal, ServerSealing, SharesGiven, Unseal,
};
pub use log::{AuditConsistency, AuditInclusion};
pub use root::{Account, Root, SelfInfo};
pub use secret::{EventSecret, Ref, Secret, SecretCreate, SecretList, SecretUpdate};
pub use service_user::{BotUserList, ServiceUser, ServiceUserCreate, ServiceUserList, ServiceUserUpdate};
pub use value::{Reference, Resolve, ResolvedSecret, ResolvedSecrets};
pub use vault::{Vault, VaultCreate, VaultList, VaultUpdate};
pub use version::{SecretRollback, SecretVersion, SecretVersionList, VaultDetail, VaultKeep, VaultKept};
pub use webhook::{
    Webhook, WebhookCreate, WebhookDelivery, WebhookDeliveryList, WebhookList, WebhookMessage, WebhookRef,
    WebhookRetried, WebhookRetry, WebhookTested, WebhookUpdate,
};
