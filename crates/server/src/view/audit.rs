//! The audit log, as people read it.

use percent_encoding::utf8_percent_encode;
use strongroom_domain::audit::{Event, EventQuery, Object, Order, Record};
use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction};
use strongroom_domain::page::Listing;
use strongroom_domain::principal::ServiceUser;
use strongroom_wire as wire;

use super::{
    ESCAPED, Flavour, grants as view_grants, hex, ip_policy, ip_policy_rule, ip_restriction,
    principal as principal_ref, service_user, time, vault_ref,
};
use crate::origin::Origin;

/// An audit record, in ngrok's envelope.
///
/// # Errors
/// When the record is no event.
pub fn event(record: &Record, origin: &Origin) -> strongroom_domain::Result<wire::Event<serde_json::Value>> {
    let Event { id, kind, at, account, principal, object, client } =
        Event::from_canonical(&record.canonical)?;
    let credential = principal
        .credential
        .map(|id| wire::Credential { uri: format!("{origin}/api_keys/{id}"), id: id.to_string() });
    Ok(wire::Event {
        event_id: id.to_string(),
        event_type: kind.into_owned(),
        event_timestamp: time(at),
        account_id: account.to_string(),
        principal: wire::Principal {
            id: principal.id.to_string(),
            subject: principal.subject,
            source: principal.source.into_owned(),
            credential,
        },
        object: event_object(object, origin)?,
        client: client.map(|client| wire::EventClient {
            address: client.address.to_string(),
            user_agent: client.user_agent,
        }),
        sequence: record.sequence,
        hash: hex(&record.hash()),
    })
}

/// A record of a page: one that is no event any more is told as that, beside the others.
#[must_use]
pub fn listed(record: &Record, origin: &Origin) -> wire::Listed {
    event(record, origin).map_or_else(
        |_| {
            let (sequence, hash) = (record.sequence, hex(&record.hash()));
            wire::Listed::Unreadable(wire::Unreadable { unreadable: true, sequence, hash })
        },
        |event| wire::Listed::Event(Box::new(event)),
    )
}

/// A page of audit events.
#[must_use]
pub fn events(
    page: &Listing<Record>,
    query: &EventQuery,
    filter: Option<&str>,
    origin: &Origin,
) -> wire::AuditEventList {
    let uri = format!("{origin}/strongroom/audit_events");
    let last = page.items.last().filter(|_| page.more);
    let next_page_uri = last.map(|record| {
        let past = match query.order {
            Order::NewestFirst => "before",
            Order::OldestFirst => "order=oldest&after",
        };
        let filter = filter.map(|text| format!("&filter={}", utf8_percent_encode(text, ESCAPED)));
        let (limit, filter) = (query.limit.get(), filter.unwrap_or_default());
        format!("{uri}?{past}={}&limit={limit}{filter}", record.sequence)
    });
    let audit_events = page.items.iter().map(|record| listed(record, origin)).collect();
    wire::AuditEventList { audit_events, uri, next_page_uri }
}

fn event_object(object: Object, origin: &Origin) -> strongroom_domain::Result<serde_json::Value> {
    let shown = match object {
        Object::Vault {
            id,
            created_at,
            updated_at,
            name,
            description,
            metadata,
            created_by,
            last_updated_by,
            ..
        } => serde_json::to_value(wire::Vault {
            uri: format!("{origin}/vaults/{id}"),
            id: id.to_string(),
            created_at: time(created_at),
            updated_at: time(updated_at),
            name,
            description,
            metadata,
            created_by: created_by.to_string(),
            last_updated_by: last_updated_by.to_string(),
        }),
        Object::Secret {
            id,
            created_at,
            updated_at,
            name,
            description,
            metadata,
            created_by,
            last_updated_by,
            vault,
            vault_name,
            expires_at,
            ..
        } => serde_json::to_value(wire::EventSecret {
            secret: wire::Secret {
                uri: format!("{origin}/vault_secrets/{id}"),
                id: id.to_string(),
                created_at: time(created_at),
                updated_at: time(updated_at),
                name,
                description,
                metadata,
                created_by: principal_ref(created_by),
                last_updated_by: principal_ref(last_updated_by),
                vault: vault_ref(vault, origin),
                vault_name,
            },
            expires_at: expires_at.map(time),
        }),
        Object::ApiKey {
            id,
            description,
            metadata,
            created_at,
            owner_id,
            grants,
            expires_at,
            client_certificate,
        } => serde_json::to_value(wire::ApiKey {
            uri: format!("{origin}/api_keys/{id}"),
            id: id.to_string(),
            description,
            metadata,
            created_at: time(created_at),
            token: None,
            owner_id: owner_id.to_string(),
            grants: grants.as_ref().map(view_grants),
            expires_at: expires_at.map(time),
            client_certificate: client_certificate.map(String::from),
        }),
        Object::Value { id, name, vault, vault_name, version } => serde_json::to_value(wire::ResolvedRef {
            uri: format!("{origin}/vault_secrets/{id}"),
            id: id.to_string(),
            name,
            vault: vault_ref(vault, origin),
            vault_name,
            version,
        }),
        Object::VaultKeep { id, name, keep_versions, keep_versions_for } => {
            serde_json::to_value(wire::VaultKept {
                uri: format!("{origin}/vaults/{id}"),
                id: id.to_string(),
                name,
                keep_versions,
                keep_versions_for,
            })
        }
        Object::VaultKey { id, name, key, previous, values } => {
            let (key, previous_key) = (Some(key), Some(previous));
            let uri = format!("{origin}/vaults/{id}");
            serde_json::to_value(wire::RotatedKey {
                uri,
                id: id.to_string(),
                name,
                key,
                previous_key,
                values,
            })
        }
        Object::RootKey { key, previous } => {
            serde_json::to_value(wire::RootKeyRef { id: key, previous_key: previous })
        }
        Object::KeySlot { id, created_at, name, kind, key } => serde_json::to_value(wire::KeySlotRef {
            uri: format!("{origin}/strongroom/key_slots/{id}"),
            id: id.to_string(),
            name,
            kind,
            key_id: key,
            created_at: time(created_at),
        }),
        Object::Server { slot } => {
            serde_json::to_value(wire::ServerSealing { key_slot: slot.map(|id| id.to_string()) })
        }
        Object::DataKeys { id, name, values } => {
            let (key, previous_key) = (None, None);
            let uri = format!("{origin}/vaults/{id}");
            serde_json::to_value(wire::RotatedKey {
                uri,
                id: id.to_string(),
                name,
                key,
                previous_key,
                values,
            })
        }
        Object::AuditLog { upto, root } => {
            serde_json::to_value(wire::PrunedLog { pruned_upto: upto, root: hex(&root) })
        }
        Object::Webhook { id, created_at, updated_at, host, event_types, description, metadata, active } => {
            serde_json::to_value(wire::WebhookRef {
                uri: format!("{origin}/strongroom/webhooks/{id}"),
                id: id.to_string(),
                host,
                event_types,
                description,
                metadata,
                active,
                created_at: time(created_at),
                updated_at: time(updated_at),
            })
        }
        Object::IpPolicy { id, created_at, description, metadata } => serde_json::to_value(ip_policy(
            &IpPolicy { id, description, metadata, created_at, revision: 0 },
            origin,
        )),
        Object::IpPolicyRule { id, created_at, description, metadata, cidr, action, ip_policy: policy } => {
            let rule =
                IpPolicyRule { id, policy, cidr, action, description, metadata, created_at, revision: 0 };
            serde_json::to_value(ip_policy_rule(&rule, origin))
        }
        Object::IpRestriction {
            id,
            created_at,
            description,
            metadata,
            kind,
            enforced,
            ip_policies: policies,
        } => {
            let restriction = IpRestriction {
                id,
                kind,
                enforced,
                policies,
                description,
                metadata,
                created_at,
                revision: 0,
            };
            serde_json::to_value(ip_restriction(&restriction, origin))
        }
        Object::ServiceUser { id, name, active, created_at } => serde_json::to_value(service_user(
            &ServiceUser { id, name, active, created_at, revision: 0 },
            // The form that `owner_id` and the principal have.
            Flavour::Bot,
            origin,
        )),
    };
    shown.map_err(|error| strongroom_domain::Error::Internal(Box::new(error)))
}
