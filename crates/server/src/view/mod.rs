//! The one door out: words of the domain, made into what clients read. A value is in `view/values.rs` alone: the records
//! that all else starts from hold none.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use strongroom_domain::Digest;
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::caller::Caller;
use strongroom_domain::grant::{Grant, Grants, Pattern, Target};
use strongroom_domain::ids::{ApiKeyId, PrincipalId, VaultId};
use strongroom_domain::page::{Listing, PageLimit};
use strongroom_domain::principal::{Account, ServiceUser};
use strongroom_domain::secret::{Detail, Secret};
use strongroom_domain::token::Token;
use strongroom_domain::vault::Vault;
use strongroom_wire as wire;

use crate::origin::Origin;

mod audit;
mod changes;
mod deleted;
mod explain;
mod ip;
mod key_slots;
mod keys;
mod log;
mod values;
mod versions;
mod webhooks;

pub use audit::{event, events, listed};
pub use changes::{change, changes};
pub use deleted::deleted;
pub use explain::explanation;
pub use ip::{ip_policies, ip_policy, ip_policy_rule, ip_policy_rules, ip_restriction, ip_restrictions};
pub use key_slots::key_slot;
pub(crate) use key_slots::{key_slots, seal};
pub(crate) use keys::root_key_rotated;
pub use keys::{vault_key, vault_keys};
pub use log::{consistency, inclusion};
pub use values::{etag, parse_etag, values};
pub use versions::{vault_detail, versions};
pub use webhooks::{deliveries, webhook, webhooks};

/// Escaped in a query's value: all that is not unreserved in RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An answer of JSON.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    json_bytes(status, serde_json::to_vec(body).map(Bytes::from))
}

/// An answer of JSON that is written already.
pub(crate) fn json_bytes(status: StatusCode, body: serde_json::Result<Bytes>) -> Response {
    let bytes = match body {
        Ok(bytes) => bytes,
        Err(error) => {
            let error = strongroom_domain::Error::Internal(Box::new(error));
            return crate::error::Problem::Domain(error).into_response();
        }
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer with the entity tag of what it shows.
pub(crate) fn tagged(response: Response, tag: &Digest) -> Response {
    with_etag(response, etag_header(tag))
}

/// An answer with an entity tag that is written already.
pub(crate) fn with_etag(mut response: Response, etag: HeaderValue) -> Response {
    response.headers_mut().insert(header::ETAG, etag);
    response
}

/// An answer that says whether it was given before.
pub(crate) fn replayed(mut response: Response, again: bool) -> Response {
    if again {
        let header = HeaderName::from_static("idempotent-replayed");
        response.headers_mut().insert(header, HeaderValue::from_static("true"));
    }
    response
}

/// An entity tag as a header.
#[expect(clippy::expect_used, reason = "hexadecimal digits in quotes are what every header takes")]
pub(crate) fn etag_header(tag: &Digest) -> HeaderValue {
    HeaderValue::try_from(etag(tag)).expect("no byte of it is refused")
}

/// A vault.
#[must_use]
pub fn vault(vault: &Vault, origin: &Origin) -> wire::Vault {
    let id = vault.id.to_string();
    wire::Vault {
        uri: join(origin, "vaults", &id),
        id,
        created_at: time(vault.created_at),
        updated_at: time(vault.updated_at),
        name: vault.name.clone(),
        description: vault.description.clone(),
        metadata: vault.metadata.clone(),
        created_by: vault.created_by.to_string(),
        last_updated_by: vault.last_updated_by.to_string(),
    }
}

/// A secret's metadata.
#[must_use]
pub fn secret(secret: &Secret, origin: &Origin) -> wire::Secret {
    let id = secret.id.to_string();
    wire::Secret {
        uri: join(origin, "vault_secrets", &id),
        id,
        created_at: time(secret.created_at),
        updated_at: time(secret.updated_at),
        name: secret.name.clone(),
        description: secret.description.clone(),
        metadata: secret.metadata.clone(),
        created_by: principal(secret.created_by),
        last_updated_by: principal(secret.last_updated_by),
        vault: vault_ref(secret.vault_id, origin),
        vault_name: secret.vault_name.clone(),
    }
}

/// The URL of a thing in a collection.
fn join(origin: &Origin, collection: &str, id: &str) -> String {
    [origin.as_str(), "/", collection, "/", id].concat()
}

fn principal(id: PrincipalId) -> wire::Ref {
    wire::Ref { id: id.to_string(), uri: String::new() }
}

fn vault_ref(id: VaultId, origin: &Origin) -> wire::Ref {
    let id = id.to_string();
    wire::Ref { uri: join(origin, "vaults", &id), id }
}

/// An API key; with its token only for the one who made it.
#[must_use]
pub fn api_key(key: &ApiKey, token: Option<&Token>, origin: &Origin) -> wire::ApiKey {
    let id = key.id.to_string();
    wire::ApiKey {
        uri: join(origin, "api_keys", &id),
        id,
        description: key.description.clone(),
        metadata: key.metadata.clone(),
        created_at: time(key.created_at),
        // Shown once, to the one who made the key.
        token: token.map(|token| token.expose_secret().to_owned()),
        owner_id: key.owner.to_string(),
        grants: key.grants.as_ref().map(grants),
        expires_at: key.expires_at.map(time),
        client_certificate: key.client_certificate.map(String::from),
    }
}

fn grants(grants: &Grants) -> Vec<wire::Grant> {
    grants.iter().map(grant).collect()
}

fn grant(grant: &Grant) -> wire::Grant {
    let pattern =
        |pattern: fn(&Target) -> &Pattern| grant.target().map(|target| pattern(target).as_str().to_owned());
    wire::Grant {
        action: grant.action().to_string(),
        vault: pattern(|target| &target.vault),
        secret: pattern(|target| &target.secret),
    }
}

/// Under which of its two names a service user is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// `/bot_users`, ids with `bot_`.
    Bot,
    /// `/service_users`, ids with `service_`.
    Service,
}

impl Flavour {
    /// Where they are.
    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::Bot => "/bot_users",
            Self::Service => "/service_users",
        }
    }

    fn collection(self) -> &'static str {
        match self {
            Self::Bot => "bot_users",
            Self::Service => "service_users",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Bot => "bot_",
            Self::Service => "service_",
        }
    }
}

/// A service user.
#[must_use]
pub fn service_user(user: &ServiceUser, flavour: Flavour, origin: &Origin) -> wire::ServiceUser {
    let id = format!("{}{}", flavour.prefix(), user.id.ksuid());
    wire::ServiceUser {
        uri: join(origin, flavour.collection(), &id),
        id,
        name: user.name.clone(),
        active: user.active,
        created_at: time(user.created_at),
    }
}

/// What the URL of a next page repeats of this one's.
#[derive(PartialEq, Eq)]
pub struct Next {
    /// The page size in force.
    pub limit: PageLimit,
    /// The parameters that hold for all pages, such as the filter, as they were given.
    pub repeated: Vec<(&'static str, String)>,
}

impl Next {
    /// A parameter that holds for all pages.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.repeated.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }
}

/// A page of vaults.
#[must_use]
pub fn vaults(page: &Listing<Vault>, next: &Next, origin: &Origin) -> wire::VaultList {
    let uri = format!("{origin}/vaults");
    let vaults: Vec<_> = page.items.iter().map(|item| vault(item, origin)).collect();
    wire::VaultList {
        next_page_uri: next_page(page, &uri, vaults.last().map(|last| &last.id), next),
        uri,
        vaults,
    }
}

/// A page of secrets: of all, or of one vault.
#[must_use]
pub fn secrets(
    page: &Listing<Arc<Secret>>,
    of: Option<VaultId>,
    next: &Next,
    origin: &Origin,
) -> wire::SecretList {
    let uri = match of {
        Some(vault) => format!("{origin}/vaults/{vault}/secrets"),
        None => format!("{origin}/vault_secrets"),
    };
    let secrets: Vec<_> = page.items.iter().map(|item| secret(item, origin)).collect();
    wire::SecretList {
        next_page_uri: next_page(page, &uri, secrets.last().map(|last| &last.id), next),
        uri,
        secrets,
    }
}

/// A page of API keys.
#[must_use]
pub fn api_keys(page: &Listing<ApiKey>, next: &Next, origin: &Origin) -> wire::ApiKeyList {
    let uri = format!("{origin}/api_keys");
    let keys: Vec<_> = page.items.iter().map(|item| api_key(item, None, origin)).collect();
    wire::ApiKeyList {
        next_page_uri: next_page(page, &uri, keys.last().map(|last| &last.id), next),
        uri,
        keys,
    }
}

/// A page of service users.
#[must_use]
pub fn service_users(page: &Listing<ServiceUser>, next: &Next, origin: &Origin) -> wire::ServiceUserList {
    let uri = format!("{origin}/service_users");
    let service_users: Vec<_> =
        page.items.iter().map(|item| service_user(item, Flavour::Service, origin)).collect();
    let next_page_uri = next_page(page, &uri, service_users.last().map(|last| &last.id), next);
    wire::ServiceUserList { next_page_uri, uri, service_users }
}

/// A page of service users under their older name.
#[must_use]
pub fn bot_users(page: &Listing<ServiceUser>, next: &Next, origin: &Origin) -> wire::BotUserList {
    let uri = format!("{origin}/bot_users");
    let bot_users: Vec<_> = page.items.iter().map(|item| service_user(item, Flavour::Bot, origin)).collect();
    let next_page_uri = next_page(page, &uri, bot_users.last().map(|last| &last.id), next);
    wire::BotUserList { next_page_uri, uri, bot_users }
}

/// A secret in detail.
#[must_use]
pub fn detail(detail: &Detail, origin: &Origin) -> wire::SecretDetail {
    let by = |key: ApiKeyId| {
        let id = key.to_string();
        wire::Ref { uri: join(origin, "api_keys", &id), id }
    };
    wire::SecretDetail {
        secret: secret(&detail.secret, origin),
        version: detail.secret.version,
        expires_at: end(detail.secret.expires_at),
        last_resolved_at: detail.resolved.map(|resolved| time(resolved.at)),
        last_resolved_by: detail.resolved.map(|resolved| by(resolved.by)),
    }
}

/// A page of secrets in detail.
#[must_use]
pub fn details(page: &Listing<Detail>, next: &Next, origin: &Origin) -> wire::SecretDetailList {
    let uri = format!("{origin}/strongroom/secrets");
    let secrets: Vec<_> = page.items.iter().map(|item| detail(item, origin)).collect();
    let next_page_uri = next_page(page, &uri, secrets.last().map(|last| &last.secret.id), next);
    wire::SecretDetailList { next_page_uri, uri, secrets }
}

/// Never the URL of an empty page: the TypeScript SDK fails on one.
fn next_page<T>(page: &Listing<T>, collection: &str, last: Option<&String>, next: &Next) -> Option<String> {
    following(page.more, collection, last, next)
}

/// The URL of the page that follows one that ends with that id, if there is one.
fn following(more: bool, collection: &str, last: Option<&String>, next: &Next) -> Option<String> {
    let last = last.filter(|_| more)?;
    let mut uri = format!("{collection}?before_id={last}&limit={}", next.limit.get());
    for (name, value) in &next.repeated {
        uri.extend(["&", name, "="]);
        uri.extend(utf8_percent_encode(value, ESCAPED));
    }
    Some(uri)
}

/// Where everything is.
#[must_use]
pub fn root(collections: &[&str], origin: &Origin) -> wire::Root {
    let subresource_uris: BTreeMap<_, _> =
        collections.iter().map(|name| ((*name).to_owned(), format!("{origin}/{name}"))).collect();
    wire::Root { uri: format!("{origin}/"), subresource_uris }
}

/// Who is asking. The key's URL is relative here, as recorded.
#[must_use]
pub fn self_info(account: &Account, key: &ApiKey, caller: &Caller) -> wire::SelfInfo {
    wire::SelfInfo {
        account: wire::Account {
            created_at: time(account.created_at),
            enforce_sso: false,
            id: account.id.to_string(),
            min_agent_version: "2.3.0".to_owned(),
            min_api_version: 2,
            name: account.name.clone(),
            suspended: false,
            traffic_full_capture: false,
            user_mfa_required: false,
        },
        api_key: api_key(key, None, &Origin::none()),
        user: caller.subject().to_owned(),
    }
}

/// An end; empty for never.
fn end(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, time)
}

/// RFC 3339 in UTC; stored times are whole seconds, and print as such.
fn time(at: Timestamp) -> String {
    at.to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
