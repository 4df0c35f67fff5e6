//! The one door in: what clients send, made into words of the domain.

pub mod body;
pub mod list;
pub mod query;

use std::str::FromStr;

use strongroom_domain::SecretValue;
use strongroom_domain::app::{
    ApiKeyChange, ApiKeyDraft, Owner, SecretChange, SecretDraft, ServiceUserChange, ServiceUserDraft,
    VaultChange, VaultDraft, VaultRef,
};
use strongroom_domain::error::{Error, Missing, Noun, Rule};
use strongroom_domain::limits::Limits;
use strongroom_domain::text::{Description, DisplayName, Metadata, Name};

use crate::error::{Problem, Protocol};
use body::Fields;

type Result<T, E = Problem> = std::result::Result<T, E>;

/// The fields of each body. Rust, TypeScript and .NET send the id of what they change along; it is passed over.
pub(crate) mod fields {
    pub(crate) const VAULT: &[&str] = &["name", "description", "metadata"];
    pub(crate) const SECRET_CREATE: &[&str] =
        &["name", "value", "vault_id", "vault_name", "description", "metadata"];
    pub(crate) const SECRET_UPDATE: &[&str] = &["name", "value", "description", "metadata"];
    pub(crate) const API_KEY_CREATE: &[&str] = &["description", "metadata", "owner_id", "owner_email"];
    pub(crate) const API_KEY_UPDATE: &[&str] = &["description", "metadata"];
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
    })
}

/// What to change of an API key.
pub(crate) fn api_key_update(mut body: Fields, limits: &Limits) -> Result<ApiKeyChange> {
    Ok(ApiKeyChange {
        description: given(body.text("description")?, |text| Description::parse(Noun::ApiKey, text, limits))?,
        metadata: given(body.text("metadata")?, |text| Metadata::parse(Noun::ApiKey, text, limits))?,
    })
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
