use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::error::Noun;
use strongroom_domain::ids::{SecretId, VaultId};

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS_OF_DELETED};
use crate::parse::{self, fields};
use crate::session::{Item, Listed, Session};
use crate::view::{self, json};

const LISTED: Kind =
    Kind { prefixes: &[SecretId::PREFIX, VaultId::PREFIX], fields: &[], parameters: PARAMETERS_OF_DELETED };

/// List deleted secrets and vaults that can be brought back, newest first
#[utoipa::path(get, path = "/strongroom/deleted", tag = "Deleted", operation_id = "DeletedList",
    params(crate::openapi::Version, crate::openapi::Pages),
    responses((status = 200, description = "A page of both", body = strongroom_wire::DeletedList), crate::openapi::Errors))]
pub(crate) async fn deleted_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().deleted_list(&session.caller, query).await?;
    let retention = session.limits().deleted;
    Ok(json(StatusCode::OK, &view::deleted(&page, retention, &next, &session.origin)))
}

/// Bring a deleted secret back with its versions, under its name or another one
#[utoipa::path(post, path = "/strongroom/secrets/{id}/undelete", tag = "Deleted", operation_id = "SecretsUndelete",
    params(crate::openapi::Version, crate::openapi::Id), request_body = Option<strongroom_wire::Undelete>,
    responses((status = 200, description = "The secret", body = strongroom_wire::SecretDetail), crate::openapi::Errors))]
pub(crate) async fn secret_undelete(
    mut session: Session,
    Item(id): Item<SecretId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields_if_any(request, fields::UNDELETE).await?;
    let name = parse::undelete(body, Noun::Secret, session.limits())?;
    let secret = session.app().secret_undelete(&session.caller, id, name).await?;
    let detail = session.app().detail_of(&session.caller, secret).await?;
    Ok(json(StatusCode::OK, &view::detail(&detail, &session.origin)))
}

/// Destroy a deleted secret and all of its values for good
#[utoipa::path(post, path = "/strongroom/secrets/{id}/purge", tag = "Deleted", operation_id = "SecretsPurge",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 204, description = "It is destroyed"), crate::openapi::Errors))]
pub(crate) async fn secret_purge(
    mut session: Session,
    Item(id): Item<SecretId>,
    request: Request,
) -> Result<StatusCode, Problem> {
    session.fields_if_any(request, &[]).await?;
    session.app().secret_purge(&session.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bring a deleted vault back, under its name or another one; its deleted secrets stay deleted
#[utoipa::path(post, path = "/strongroom/vaults/{id}/undelete", tag = "Deleted", operation_id = "VaultsUndelete",
    params(crate::openapi::Version, crate::openapi::Id), request_body = Option<strongroom_wire::Undelete>,
    responses((status = 200, description = "The vault", body = strongroom_wire::VaultDetail), crate::openapi::Errors))]
pub(crate) async fn vault_undelete(
    mut session: Session,
    Item(id): Item<VaultId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields_if_any(request, fields::UNDELETE).await?;
    let name = parse::undelete(body, Noun::Vault, session.limits())?;
    let vault = session.app().vault_undelete(&session.caller, id, name).await?;
    Ok(json(StatusCode::OK, &view::vault_detail(&vault, &session.origin)))
}

/// Destroy a deleted vault with its key, and its deleted secrets, for good
#[utoipa::path(post, path = "/strongroom/vaults/{id}/purge", tag = "Deleted", operation_id = "VaultsPurge",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 204, description = "It is destroyed"), crate::openapi::Errors))]
pub(crate) async fn vault_purge(
    mut session: Session,
    Item(id): Item<VaultId>,
    request: Request,
) -> Result<StatusCode, Problem> {
    session.fields_if_any(request, &[]).await?;
    session.app().vault_purge(&session.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
