//! Every method of a store, once: for the stores of tests that hand each of them on to others.

pub(crate) use std::net::IpAddr;
pub(crate) use std::sync::Arc;

pub(crate) use async_trait::async_trait;
pub(crate) use jiff::Timestamp;
pub(crate) use strongroom_crypto::WrappedKey;
pub(crate) use strongroom_domain::answer::{Answer, Creation};
pub(crate) use strongroom_domain::api_key::ApiKey;
pub(crate) use strongroom_domain::audit::{Event, EventQuery, Head, Record};
pub(crate) use strongroom_domain::caller::Credential;
pub(crate) use strongroom_domain::deleted::{Deleted, Deletion, Leftovers};
pub(crate) use strongroom_domain::gate::Gate;
pub(crate) use strongroom_domain::ids::{
    AccountId, ApiKeyId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, KeySlotId, PrincipalId, SecretId,
    ServiceUserId, VaultId, WebhookId,
};
pub(crate) use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
pub(crate) use strongroom_domain::keep::Keep;
pub(crate) use strongroom_domain::key_slot::KeySlot;
pub(crate) use strongroom_domain::page::{Listing, PageLimit, Query};
pub(crate) use strongroom_domain::principal::{Account, ServiceUser, User};
pub(crate) use strongroom_domain::rotation::{
    Due as RotationDue, Kind, NewKey, NewRootKey, Rotation, Turned, Usage,
};
pub(crate) use strongroom_domain::secret::{
    Detail, Due, Expiring, Kept, Resolved, Secret, Told, Version, Walked,
};
pub(crate) use strongroom_domain::store::{
    ApiKeysOf, Counts, IpStore, KeySlotStore, RotationStore, Store, WebhookStore,
};
pub(crate) use strongroom_domain::vault::Vault;
pub(crate) use strongroom_domain::webhook::{Delivery, DeliveryCounts, DeliveryState, Settled, Webhook};
pub(crate) use strongroom_domain::{Digest, Result};

/// Gives each trait of a store to a macro, with its methods in four groups: those that wait or answer at once, those that read, and
/// those that change, with records that tell what they do to what is kept in memory, or without.
macro_rules! every_method {
    ($implement:ident) => {
        $implement! { Store:
            passed {
                audit_watch(past: u64) -> u64;
            }
            reads {
                account_find() -> Option<Account>;
                log_key_find(account: AccountId) -> Option<WrappedKey>;
                log_keys_made() -> u64;
                credential_find(id: ApiKeyId) -> Option<Arc<Credential>>;
                user_find(account: AccountId, email: &str) -> Option<User>;
                principal_is_active(account: AccountId, id: PrincipalId) -> Option<bool>;
                answer_find(account: AccountId, mark: Digest) -> Option<Answer>;
                vault_find(account: AccountId, id: VaultId) -> Option<Arc<Vault>>;
                vault_find_by_name(account: AccountId, name: &str) -> Option<Arc<Vault>>;
                vault_list(account: AccountId, query: Query) -> Listing<Vault>;
                secret_find(account: AccountId, id: SecretId) -> Option<Arc<Secret>>;
                secret_find_by_name(account: AccountId, vault: VaultId, name: &str) -> Option<Arc<Secret>>;
                secret_list(account: AccountId, vault: Option<VaultId>, query: Query) -> Arc<Listing<Arc<Secret>>>;
                resolved_find(account: AccountId, id: SecretId) -> Option<Resolved>;
                detail_list(account: AccountId, vault: Option<VaultId>, unused_since: Option<Timestamp>, query: Query) -> Listing<Detail>;
                expiring_list(account: AccountId, by: Timestamp, limit: usize) -> Vec<Expiring>;
                deleted_list(account: AccountId, query: Query) -> Leftovers;
                deleted_due(account: AccountId, by: Timestamp, limit: usize) -> Leftovers;
                deleted_secrets_of(account: AccountId, vault: VaultId, limit: usize) -> Vec<Deleted<Secret>>;
                deleted_secret_find(account: AccountId, id: SecretId) -> Option<Deleted<Secret>>;
                deleted_vault_find(account: AccountId, id: VaultId) -> Option<Deleted<Vault>>;
                version_find(account: AccountId, secret: SecretId, number: u32) -> Option<Version>;
                version_list(account: AccountId, which: Vec<(SecretId, u32)>) -> Vec<Option<Arc<Version>>>;
                version_kept(account: AccountId, secret: SecretId) -> Vec<Kept>;
                version_due(account: AccountId, keep: Keep, now: Timestamp, after: Option<Walked>, limit: usize) -> Due;
                api_key_find(account: AccountId, id: ApiKeyId) -> Option<ApiKey>;
                api_key_list(account: AccountId, of: ApiKeysOf, query: Query) -> Listing<ApiKey>;
                service_user_find(account: AccountId, id: ServiceUserId) -> Option<ServiceUser>;
                service_user_list(account: AccountId, query: Query) -> Listing<ServiceUser>;
                audit_list(after: u64, limit: usize) -> Vec<Record>;
                audit_page(query: EventQuery) -> Listing<Record>;
                audit_hashes(level: u32, first: u64, count: u64) -> Vec<Digest>;
                audit_pruned() -> u64;
                audit_pruned_by() -> u64;
                audit_head() -> Head;
                ready() -> ();
                counts() -> Counts;
            }
            writes {
                account_insert(account: Account, user: User, key: ApiKey, slots: Vec<KeySlot>, events: Vec<Event>) -> ();
                vault_insert(account: AccountId, vault: Vault, max: Option<u64>, creation: Creation) -> ();
                vault_update(account: AccountId, vault: Vault, event: Event) -> ();
                vault_delete(account: AccountId, vault: Arc<Vault>, deletion: Deletion, keep: bool, event: Event) -> ();
                secret_insert(account: AccountId, vault: Arc<Vault>, secret: Secret, version: Version, max: Option<u64>, creation: Creation) -> ();
                secret_update(account: AccountId, secret: Secret, version: Option<Version>, keep: u32, event: Event) -> ();
                secret_move(account: AccountId, from: Arc<Secret>, vault: Arc<Vault>, secret: Secret, versions: Vec<Version>, event: Event) -> ();
                secret_resolved(account: AccountId, events: Vec<Event>) -> ();
                secret_delete(account: AccountId, secret: Arc<Secret>, deletion: Deletion, keep: bool, event: Event) -> ();
                secret_undelete(account: AccountId, vault: Arc<Vault>, secret: Secret, max: Option<u64>, event: Event) -> ();
                vault_undelete(account: AccountId, vault: Vault, max: Option<u64>, event: Event) -> ();
                secrets_purge(account: AccountId, which: Vec<(SecretId, u64)>, with: Option<(VaultId, u64)>, events: Vec<Event>) -> ();
                vault_purge(account: AccountId, id: VaultId, revision: u64, event: Event) -> ();
                api_key_insert(account: AccountId, key: ApiKey, creation: Creation) -> ();
                api_key_update(account: AccountId, key: ApiKey, event: Event) -> ();
                api_key_delete(account: AccountId, id: ApiKeyId, revision: u64, event: Event) -> ();
                service_user_insert(account: AccountId, user: ServiceUser, creation: Creation) -> ();
                service_user_update(account: AccountId, user: ServiceUser, event: Event) -> ();
                service_user_delete(account: AccountId, id: ServiceUserId, revision: u64, keys: Vec<ApiKeyId>, events: Vec<Event>) -> ();
                event_append(account: AccountId, event: Event) -> ();
                audit_prune(from: u64, upto: u64, event: Event) -> ();
            }
            untold {
                log_key_insert(account: AccountId, key: WrappedKey) -> ();
                answers_prune(account: AccountId, by: Timestamp, limit: usize) -> usize;
                expiring_told(account: AccountId, told: Vec<Told>, events: Vec<Event>) -> ();
                version_prune(account: AccountId, which: Vec<(SecretId, u32)>) -> ();
            }
        }

        $implement! { IpStore:
            passed {}
            reads {
                ip_gate(account: AccountId) -> Arc<Gate>;
                ip_policy_find(account: AccountId, id: IpPolicyId) -> Option<IpPolicy>;
                ip_policy_list(account: AccountId, query: Query) -> Listing<IpPolicy>;
                ip_rule_find(account: AccountId, id: IpPolicyRuleId) -> Option<IpPolicyRule>;
                ip_rule_list(account: AccountId, query: Query) -> Listing<IpPolicyRule>;
                ip_rules_of(account: AccountId, policy: IpPolicyId) -> Vec<IpPolicyRule>;
                ip_restriction_find(account: AccountId, id: IpRestrictionId) -> Option<IpRestriction>;
                ip_restriction_list(account: AccountId, query: Query) -> Listing<IpRestriction>;
            }
            writes {
                ip_policy_insert(account: AccountId, policy: IpPolicy, creation: Creation) -> ();
                ip_policy_update(account: AccountId, policy: IpPolicy, event: Event) -> ();
                ip_policy_delete(account: AccountId, id: IpPolicyId, revision: u64, rules: Vec<IpPolicyRuleId>, events: Vec<Event>) -> ();
                ip_rule_insert(account: AccountId, rule: IpPolicyRule, stay: Option<IpAddr>, creation: Creation) -> ();
                ip_rule_update(account: AccountId, rule: IpPolicyRule, stay: Option<IpAddr>, event: Event) -> ();
                ip_rule_delete(account: AccountId, id: IpPolicyRuleId, revision: u64, stay: Option<IpAddr>, event: Event) -> ();
                ip_restriction_insert(account: AccountId, restriction: IpRestriction, stay: Option<IpAddr>, creation: Creation) -> ();
                ip_restriction_update(account: AccountId, restriction: IpRestriction, stay: Option<IpAddr>, event: Event) -> ();
                ip_restriction_delete(account: AccountId, id: IpRestrictionId, revision: u64, stay: Option<IpAddr>, event: Event) -> ();
            }
            untold {}
        }

        $implement! { KeySlotStore:
            passed {}
            reads {
                key_slot_list(account: AccountId) -> Vec<KeySlot>;
            }
            writes {
                key_slot_insert(account: AccountId, slot: KeySlot, event: Event) -> ();
                key_slot_delete(account: AccountId, id: KeySlotId, event: Event) -> ();
            }
            untold {}
        }

        $implement! { RotationStore:
            passed {}
            reads {
                rotation_list(account: AccountId) -> Vec<Rotation>;
                rotation_usage(account: AccountId, vaults: Vec<VaultId>) -> Vec<Usage>;
                rotation_due(account: AccountId, vault: VaultId, kind: Kind, after: Option<(SecretId, u32)>, limit: usize) -> Vec<RotationDue>;
                root_keyed_at(account: AccountId) -> Timestamp;
                rotation_overdue(account: AccountId, by: Timestamp, limit: usize) -> Vec<VaultId>;
            }
            writes {
                rotation_begin(account: AccountId, rotation: Rotation, key: Option<NewKey>, event: Event) -> ();
                rotation_end(account: AccountId, vault: VaultId, kind: Kind, event: Event) -> ();
                root_key_replace(account: AccountId, new: NewRootKey, event: Event) -> u64;
            }
            untold {
                rotation_step(account: AccountId, vault: VaultId, kind: Kind, turned: Vec<Turned>) -> u64;
            }
        }

        $implement! { WebhookStore:
            passed {}
            reads {
                webhook_find(account: AccountId, id: WebhookId) -> Option<Webhook>;
                webhook_list(account: AccountId, query: Query) -> Listing<Webhook>;
                webhook_active(account: AccountId) -> Vec<WebhookId>;
                delivery_next(account: AccountId, webhook: WebhookId, limit: usize) -> Vec<Delivery>;
                delivery_list(account: AccountId, webhook: WebhookId, state: Option<DeliveryState>, before: Option<u64>, limit: PageLimit) -> Listing<Delivery>;
                delivery_counts(account: AccountId, webhook: WebhookId) -> DeliveryCounts;
            }
            writes {
                webhook_insert(account: AccountId, webhook: Webhook, max: u64, event: Event) -> ();
                webhook_update(account: AccountId, webhook: Webhook, event: Event) -> ();
                webhook_delete(account: AccountId, id: WebhookId, revision: u64, event: Event) -> ();
            }
            untold {
                old_secrets_delete(account: AccountId, now: Timestamp) -> ();
                delivery_settle(account: AccountId, webhook: WebhookId, position: u64, settled: Vec<Settled>) -> ();
                delivery_retry(account: AccountId, webhook: WebhookId, sequence: Option<u64>, now: Timestamp) -> u64;
                delivery_prune(account: AccountId, webhook: WebhookId, by: Timestamp, limit: usize) -> u64;
            }
        }
    };
}
pub(crate) use every_method;
