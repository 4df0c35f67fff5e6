//! The one door in: what clients send, made into words of the domain.

pub(crate) mod audit;
pub mod body;
pub(crate) mod changes;
pub mod idempotency_key;
pub mod if_match;
pub(crate) mod ip;
pub(crate) mod key_slots;
pub mod list;
pub mod query;
pub(crate) mod webhooks;

use std::str::FromStr;

use http::{HeaderMap, header};
use jiff::Timestamp;
use strongroom_domain::SecretValue;
use strongroom_domain::app::{
    ApiKeyChange, ApiKeyDraft, KeepChange, Owner, SecretChange, SecretDraft, ServiceUserChange,
    ServiceUserDraft, ValueRef, VaultChange, VaultDraft, VaultRef,
};
use strongroom_domain::error::{Error, Missing, Noun, Rule};
use strongroom_domain::fingerprint::Fingerprint;
use strongroom_domain::grant::{Action, BadGrant, Grant, Grants, Pattern, Target};
use strongroom_domain::ids::ApiKeyId;
use strongroom_domain::limits::Limits;
use strongroom_domain::rotation;
use strongroom_domain::text::{Description, DisplayName, Metadata, Name};

use crate::error::{Problem, Protocol, short};
use body::Fields;
use query::Query;

type Result<T, E = Problem> = std::result::Result<T, E>;

/// The fields of each body. Rust, TypeScript and .NET send the id of what they change along; it is passed over.
pub(crate) mod fields {
    pub(crate) const VAULT: &[&str] = &["name", "description", "metadata"];
    pub(crate) const SECRET_CREATE: &[&str] =
        &["name", "value", "vault_id", "vault_name", "description", "metadata", "expires_at"];
    pub(crate) const SECRET_UPDATE: &[&str] = &["name", "value", "description", "metadata", "expires_at"];
    pub(crate) const SECRET_MOVE: &[&str] = &["vault_id", "vault_name", "name"];
    pub(crate) const UNDELETE: &[&str] = &["name"];
    pub(crate) const KEY_ROTATE: &[&str] = &["kind"];
    pub(crate) const KEY_SLOT: &[&str] = &["name", "kind", "enrolment", "opener"];
    pub(crate) const UNSEAL: &[&str] = &["passphrase", "words", "shares"];
    pub(crate) const ROLLBACK: &[&str] = &["version"];
    pub(crate) const VAULT_KEEP: &[&str] = &["keep_versions", "keep_versions_for"];
    pub(crate) const API_KEY_CREATE: &[&str] =
        &["description", "metadata", "owner_id", "owner_email", "grants", "expires_at", "client_certificate"];
    pub(crate) const API_KEY_UPDATE: &[&str] =
        &["description", "metadata", "grants", "expires_at", "client_certificate"];
    pub(crate) const GRANT: &[&str] = &["action", "vault", "secret"];
    pub(crate) const RESOLVE: &[&str] = &["secrets"];
    pub(crate) const REFERENCE: &[&str] = &["id", "vault", "name", "version"];
    pub(crate) const VALUES: &[&str] = &["vault", "name", "version"];
    pub(crate) const EXPLAIN: &[&str] = &["api_key", "vault", "name"];
    pub(crate) const AUDIT_EVENTS: &[&str] = &["order", "before", "after", "limit", "filter"];
    pub(crate) const CHANGES: &[&str] = &["after", "limit", "wait"];
    pub(crate) const INCLUSION: &[&str] = &["sequence", "size"];
    pub(crate) const CONSISTENCY: &[&str] = &["from", "size"];
    pub(crate) const WEBHOOK: &[&str] =
        &["url", "event_types", "description", "metadata", "active", "secret"];
    pub(crate) const WEBHOOK_RETRY: &[&str] = &["sequence"];
    pub(crate) const DELIVERIES: &[&str] = &["state", "before", "limit"];
    pub(crate) const IP_POLICY: &[&str] = &["description", "metadata"];
    pub(crate) const IP_RULE_CREATE: &[&str] = &["cidr", "ip_policy_id", "action", "description", "metadata"];
    pub(crate) const IP_RULE_UPDATE: &[&str] = &["cidr", "description", "metadata"];
    pub(crate) const IP_RESTRICTION_CREATE: &[&str] =
        &["type", "ip_policy_ids", "enforced", "description", "metadata"];
    pub(crate) const IP_RESTRICTION_UPDATE: &[&str] =
        &["ip_policy_ids", "enforced", "description", "metadata"];
    pub(crate) const SERVICE_USER: &[&str] = &["name", "active"];
}

/// An id in a path.
///
/// # Errors
/// [`Protocol::MalformedId`].
pub fn id<T: FromStr>(noun: Noun, text: &str) -> Result<T> {
    text.parse().map_err(|_| Protocol::MalformedId { noun, text: text.to_owned() }.into())
}

/// A vault to be made.
pub(crate) fn vault_create(mut body: Fields, limits: &Limits) -> Result<VaultDraft> {
    Ok(VaultDraft {
        id: None,
        name: Name::parse(Noun::Vault, body.text("name")?.unwrap_or_default(), limits)?,
        description: Description::parse(Noun::Vault, body.text("description")?.unwrap_or_default(), limits)?,
        metadata: Metadata::parse(Noun::Vault, body.text("metadata")?.unwrap_or_default(), limits)?,
    })
}

/// What to change of a vault.
pub(crate) fn vault_update(mut body: Fields, limits: &Limits) -> Result<VaultChange> {
    Ok(VaultChange {
        name: given(body.text("name")?, |text| Name::parse(Noun::Vault, text, limits))?,
        description: given(body.text("description")?, |text| Description::parse(Noun::Vault, text, limits))?,
        metadata: given(body.text("metadata")?, |text| Metadata::parse(Noun::Vault, text, limits))?,
    })
}

/// A secret to be made.
pub(crate) fn secret_create(mut body: Fields, limits: &Limits) -> Result<SecretDraft> {
    Ok(SecretDraft {
        id: None,
        name: Name::parse(Noun::Secret, body.text("name")?.unwrap_or_default(), limits)?,
        value: body.secret("value")?.unwrap_or_else(|| SecretValue::new(Vec::new())),
        description: Description::parse(Noun::Secret, body.text("description")?.unwrap_or_default(), limits)?,
        metadata: Metadata::parse(Noun::Secret, body.text("metadata")?.unwrap_or_default(), limits)?,
        vault: vault_ref(body.non_empty("vault_id")?, body.non_empty("vault_name")?)?,
        expires_at: end(&mut body)?,
    })
}

fn vault_ref(id: Option<String>, name: Option<String>) -> Result<VaultRef> {
    // A malformed id is answered as an unknown one.
    let parse = |id: String| id.parse().map_err(|_| Error::NotFound(Missing::VaultId(id)));
    Ok(VaultRef::new(id.map(parse).transpose()?, name)?)
}

/// What to change of a secret.
pub(crate) fn secret_update(mut body: Fields, limits: &Limits) -> Result<SecretChange> {
    Ok(SecretChange {
        name: given(body.text("name")?, |text| Name::parse(Noun::Secret, text, limits))?,
        value: body.secret("value")?,
        description: given(body.text("description")?, |text| Description::parse(Noun::Secret, text, limits))?,
        metadata: given(body.text("metadata")?, |text| Metadata::parse(Noun::Secret, text, limits))?,
        expires_at: other_end(&mut body)?,
    })
}

/// An API key to be made.
pub(crate) fn api_key_create(mut body: Fields, limits: &Limits) -> Result<ApiKeyDraft> {
    let owner = match (body.non_empty("owner_id")?, body.non_empty("owner_email")?) {
        (None, None) => Owner::Caller,
        (Some(id), None) => Owner::Id(id.parse().map_err(|_| Rule::Parameter("owner_id"))?),
        (None, Some(email)) => Owner::Email(email),
        (Some(_), Some(_)) => return Err(Rule::OwnerTwice.into()),
    };
    Ok(ApiKeyDraft {
        owner,
        description: Description::parse(Noun::ApiKey, body.text("description")?.unwrap_or_default(), limits)?,
        metadata: Metadata::parse(Noun::ApiKey, body.text("metadata")?.unwrap_or_default(), limits)?,
        grants: grants(&mut body)?,
        expires_at: end(&mut body)?,
        client_certificate: body.non_empty(CERTIFICATE)?.as_deref().map(certificate).transpose()?,
    })
}

/// The same, of the bytes of a body.
///
/// # Errors
/// As the request would be answered.
pub fn api_key_draft(body: &[u8], limits: &Limits) -> Result<ApiKeyDraft> {
    api_key_create(Fields::parse(body, fields::API_KEY_CREATE, false)?, limits)
}

/// When something new is to end.
fn end(body: &mut Fields) -> Result<Option<Timestamp>> {
    body.non_empty("expires_at")?.as_deref().map(|text| time("expires_at", text)).transpose()
}

/// Another end of something; the empty text is none.
fn other_end(body: &mut Fields) -> Result<Option<Option<Timestamp>>> {
    Ok(match body.text("expires_at")?.as_deref() {
        None => None,
        Some("") => Some(None),
        Some(text) => Some(Some(time("expires_at", text)?)),
    })
}

const CERTIFICATE: &str = "client_certificate";

fn certificate(text: &str) -> Result<Fingerprint> {
    text.parse().map_err(|_| Protocol::InvalidField(CERTIFICATE).into())
}

/// Another certificate that a key is bound to; the empty text is none.
fn other_certificate(body: &mut Fields) -> Result<Option<Option<Fingerprint>>> {
    Ok(match body.text(CERTIFICATE)?.as_deref() {
        None => None,
        Some("") => Some(None),
        Some(text) => Some(Some(certificate(text)?)),
    })
}

fn grants(body: &mut Fields) -> Result<Option<Grants>> {
    let Some(items) = body.objects("grants", fields::GRANT)? else { return Ok(None) };
    let grants = items.into_iter().map(grant).collect::<Result<Vec<_>>>()?;
    Ok(Some(Grants::new(grants).map_err(Rule::from)?))
}

fn grant(mut item: Fields) -> Result<Grant> {
    let action =
        item.text("action")?.as_deref().and_then(Action::parse).ok_or(Rule::Grant(BadGrant::Action))?;
    // An empty pattern is none: it must not come to mean everything.
    let (vault, secret) = (item.text("vault")?, item.text("secret")?);
    if vault.is_none() && secret.is_some() {
        let bad =
            if action.takes_target() { BadGrant::NoTarget(action) } else { BadGrant::NeedlessTarget(action) };
        return Err(Rule::Grant(bad).into());
    }
    let target = vault.map(|vault| {
        let secret = Pattern::parse(secret.as_deref().unwrap_or("*"))?;
        Ok(Target { vault: Pattern::parse(&vault)?, secret })
    });
    let target = target.transpose().map_err(Rule::Grant)?;
    Ok(Grant::new(action, target).map_err(Rule::from)?)
}

/// A time, RFC 3339 with any offset; a part of a second is cut off.
pub(crate) fn time(name: &'static str, text: &str) -> Result<Timestamp> {
    let time = text.parse::<Timestamp>().ok().filter(|_| is_rfc_3339(text));
    let time = time.and_then(|time| Timestamp::from_second(time.as_second()).ok());
    time.ok_or_else(|| Protocol::InvalidField(name).into())
}

/// What to change of an API key.
pub(crate) fn api_key_update(mut body: Fields, limits: &Limits) -> Result<ApiKeyChange> {
    Ok(ApiKeyChange {
        description: given(body.text("description")?, |text| Description::parse(Noun::ApiKey, text, limits))?,
        metadata: given(body.text("metadata")?, |text| Metadata::parse(Noun::ApiKey, text, limits))?,
        grants: grants(&mut body)?,
        expires_at: other_end(&mut body)?,
        client_certificate: other_certificate(&mut body)?,
    })
}

/// Whether a text has the shape of RFC 3339, section 5.6. The parser takes more: ISO 8601's basic form, RFC 9557's suffixes.
fn is_rfc_3339(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(shape, byte): (&u8, u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        other => byte == *other,
    };
    let Some((start, rest)) = text.as_bytes().split_at_checked(SHAPE.len()) else { return false };
    let digits = rest
        .strip_prefix(b".")
        .map_or(0, |part| part.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let rest = if digits > 0 { &rest[1 + digits..] } else { rest };
    let offset = matches!(
        rest,
        [b'Z' | b'z'] | [b'+' | b'-', b'0'..=b'9', b'0'..=b'9', b':', b'0'..=b'9', b'0'..=b'9']
    );
    SHAPE.iter().zip(start.iter().copied()).all(fits) && offset
}

/// Where a secret is to be moved.
pub(crate) fn secret_move(mut body: Fields, limits: &Limits) -> Result<(VaultRef, Option<Name>)> {
    let to = vault_ref(body.non_empty("vault_id")?, body.non_empty("vault_name")?)?;
    let name = given(body.non_empty("name")?, |text| Name::parse(Noun::Secret, text, limits))?;
    Ok((to, name))
}

/// Another name for what is brought back.
pub(crate) fn undelete(mut body: Fields, noun: Noun, limits: &Limits) -> Result<Option<Name>> {
    given(body.non_empty("name")?, |text| Name::parse(noun, text, limits))
}

/// Which keys of a vault are to be rotated.
pub(crate) fn key_rotate(mut body: Fields) -> Result<rotation::Kind> {
    let kind = body.text("kind")?;
    let kind = kind.map_or(Some(rotation::Kind::VaultKey), |text| rotation::Kind::parse(&text));
    Ok(kind.ok_or(Rule::Parameter("kind"))?)
}

/// The number of the version that is to be current again.
pub(crate) fn rollback(mut body: Fields) -> Result<u32> {
    Ok(body.count("version")?.ok_or(Rule::Parameter("version"))?)
}

/// How many values a vault is to keep, and how long; 0 is as the server is set.
pub(crate) fn vault_keep(mut body: Fields) -> Result<KeepChange> {
    let own = |number: u32| (number > 0).then_some(number);
    Ok(KeepChange {
        versions: body.number("keep_versions")?.map(own),
        versions_for: body.number("keep_versions_for")?.map(own),
    })
}

/// What is to be resolved.
pub(crate) fn resolve(mut body: Fields, limits: &Limits) -> Result<Vec<ValueRef>> {
    let items = body.objects("secrets", fields::REFERENCE)?.unwrap_or_default();
    items.into_iter().map(|item| reference(item, limits)).collect()
}

fn reference(mut item: Fields, limits: &Limits) -> Result<ValueRef> {
    // An empty name is none: it must not come to mean all of the vault.
    let (vault, name) = (named(item.text("vault")?, limits)?, named(item.text("name")?, limits)?);
    match (item.text("id")?, vault, name, item.count("version")?) {
        // A malformed id is answered as an unknown one.
        (Some(id), None, None, version) if !id.is_empty() => {
            Ok(id.parse().map_or_else(|_| ValueRef::NoId(short(&id)), |id| ValueRef::Id(id, version)))
        }
        (None, Some(vault), Some(name), version) => Ok(ValueRef::Name(vault, name, version)),
        (None, Some(vault), None, None) => Ok(ValueRef::Vault(vault)),
        _ => Err(Rule::Reference.into()),
    }
}

/// A name in a reference. What can be none may be a value in the wrong place: it is not repeated.
fn named(text: Option<String>, limits: &Limits) -> Result<Option<String>, Rule> {
    text.map(|text| Name::parse(Noun::Secret, text, limits))
        .transpose()
        .map(|name| name.map(Name::into_string))
        .map_err(|_| Rule::Reference)
}

/// What a query wants to be resolved.
pub(crate) fn values(query: &Query, limits: &Limits) -> Result<ValueRef> {
    let version = query.get("version").map(|text| {
        let number = text.parse::<u32>().ok().filter(|number| *number > 0 && number.to_string() == text);
        number.ok_or(Protocol::InvalidField("version"))
    });
    // An empty name is none: it must not come to mean all of the vault.
    let name = |parameter| named(query.given(parameter).map(str::to_owned), limits);
    match (name("vault")?, name("name")?, version.transpose()?) {
        (Some(vault), Some(name), version) => Ok(ValueRef::Name(vault, name, version)),
        (Some(vault), None, None) => Ok(ValueRef::Vault(vault)),
        _ => Err(Rule::Reference.into()),
    }
}

/// A number in a query.
pub(crate) fn number(query: &Query, name: &'static str) -> Result<Option<u64>> {
    let Some(text) = query.given(name) else { return Ok(None) };
    let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    // What the store counts with is a number of 63 bits.
    let number = number.filter(|number| i64::try_from(*number).is_ok());
    number.map(Some).ok_or_else(|| Protocol::InvalidField(name).into())
}

/// A number that a query must have.
pub(crate) fn needed_number(query: &Query, name: &'static str) -> Result<u64> {
    number(query, name)?.ok_or_else(|| Protocol::InvalidField(name).into())
}

/// What is to be explained: of which key, and which secret by its vault's name and its own.
pub(crate) fn explain(mut body: Fields, limits: &Limits) -> Result<(Option<ApiKeyId>, Name, Name)> {
    let key = body.non_empty("api_key")?.map(|text| id(Noun::ApiKey, &text)).transpose()?;
    let vault = Name::parse(Noun::Vault, body.text("vault")?.unwrap_or_default(), limits)?;
    let name = Name::parse(Noun::Secret, body.text("name")?.unwrap_or_default(), limits)?;
    Ok((key, vault, name))
}

/// A service user to be made.
pub(crate) fn service_user_create(mut body: Fields, limits: &Limits) -> Result<ServiceUserDraft> {
    Ok(ServiceUserDraft {
        name: DisplayName::parse(body.text("name")?.unwrap_or_default(), limits)?,
        active: body.flag("active")?.unwrap_or(true),
    })
}

/// What to change of a service user.
pub(crate) fn service_user_update(mut body: Fields, limits: &Limits) -> Result<ServiceUserChange> {
    Ok(ServiceUserChange {
        name: given(body.text("name")?, |text| DisplayName::parse(text, limits))?,
        active: body.flag("active")?,
    })
}

fn given<T>(text: Option<String>, parse: impl FnOnce(String) -> Result<T, Rule>) -> Result<Option<T>> {
    Ok(text.map(parse).transpose()?)
}

/// Whether the If-None-Match of a request names an entity tag, compared weakly (RFC 9110, section 13.1.2).
pub(crate) fn matches_any(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
