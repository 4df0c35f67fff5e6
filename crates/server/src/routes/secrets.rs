use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::Error;
use strongroom_domain::ids::{SecretId, VaultId};
use strongroom_domain::secret::Secret;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS, PARAMETERS_WITH_ID};
use crate::parse::{self, fields};
use crate::session::{Bare, IfMatch, Item, Listed, Session};
use crate::view::{self, json, json_bytes, tagged, with_etag};

const LISTED: Kind = Kind { prefixes: &[SecretId::PREFIX], fields: Secret::FIELDS, parameters: PARAMETERS };
const LISTED_OF_VAULT: Kind = Kind { parameters: PARAMETERS_WITH_ID, ..LISTED };

/// Create a secret
#[utoipa::path(post, path = "/vault_secrets", tag = "Secrets", operation_id = "SecretsCreate",
    params(crate::openapi::Version), request_body = strongroom_wire::SecretCreate,
    responses((status = 201, description = "The secret", body = strongroom_wire::Secret), crate::openapi::Errors))]
pub(crate) async fn secret_create(mut session: Session, request: Request) -> Result<Response, Problem> {
    let body = session.fields(request, fields::SECRET_CREATE).await?;
    let draft = parse::secret_create(body, session.limits())?;
    let secret = session.app().secret_create(&session.caller, draft).await?;
    Ok(tagged(json(StatusCode::CREATED, &view::secret(&secret, &session.origin)), &secret.tag()))
}

/// List secrets, newest first
#[utoipa::path(get, path = "/vault_secrets", tag = "Secrets", operation_id = "SecretsList",
    params(crate::openapi::Version, crate::openapi::Paging),
    responses((status = 200, description = "A page of secrets", body = strongroom_wire::SecretList), crate::openapi::Errors))]
pub(crate) async fn secret_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().secret_list(&session.caller, query).await?;
    Ok(json_bytes(StatusCode::OK, session.shared().rendered.page(&page, None, next, &session.origin)))
}

/// List a vault's secrets, newest first
#[utoipa::path(get, path = "/vaults/{id}/secrets", tag = "Vaults", operation_id = "VaultsGetSecretsByVault",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::Paging),
    responses((status = 200, description = "A page of secrets", body = strongroom_wire::SecretList), crate::openapi::Errors))]
pub(crate) async fn secret_list_of_vault(
    session: Session,
    Item(vault): Item<VaultId>,
    listed: Listed,
) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED_OF_VAULT)?;
    let page = session.app().secret_list_of_vault(&session.caller, vault, query).await?;
    Ok(json_bytes(StatusCode::OK, session.shared().rendered.page(&page, Some(vault), next, &session.origin)))
}

/// Get a secret's metadata
#[utoipa::path(get, path = "/vault_secrets/{id}", tag = "Secrets", operation_id = "SecretsGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The secret", body = strongroom_wire::Secret), crate::openapi::Errors))]
pub(crate) async fn secret_get(
    session: Session,
    Item(id): Item<SecretId>,
    _: Bare,
) -> Result<Response, Problem> {
    let secret = session.app().secret_get(&session.caller, id).await?;
    let rendered = session.shared().rendered.secret(&secret, &session.origin);
    let (body, etag) = rendered.map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(with_etag(json_bytes(StatusCode::OK, Ok(body)), etag))
}

/// Change a secret
#[utoipa::path(patch, path = "/vault_secrets/{id}", tag = "Secrets", operation_id = "SecretsUpdate",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::IfMatch), request_body = strongroom_wire::SecretUpdate,
    responses((status = 200, description = "The secret", body = strongroom_wire::Secret), crate::openapi::Errors))]
pub(crate) async fn secret_update(
    mut session: Session,
    Item(id): Item<SecretId>,
    IfMatch(expected): IfMatch,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::SECRET_UPDATE).await?;
    let change = parse::secret_update(body, session.limits())?;
    let secret = session.app().secret_change(&session.caller, id, change, &expected).await?;
    Ok(tagged(json(StatusCode::OK, &view::secret(&secret, &session.origin)), &secret.tag()))
}

/// Delete a secret
#[utoipa::path(delete, path = "/vault_secrets/{id}", tag = "Secrets", operation_id = "SecretsDelete",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::IfMatch),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn secret_delete(
    session: Session,
    Item(id): Item<SecretId>,
    IfMatch(expected): IfMatch,
    _: Bare,
) -> Result<StatusCode, Problem> {
    session.app().secret_remove(&session.caller, id, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
