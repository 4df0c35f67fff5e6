use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::ids::VaultId;
use strongroom_domain::vault::Vault;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS};
use crate::parse::{self, fields};
use crate::session::{Bare, IfMatch, Item, Listed, Session};
use crate::view::{self, json, tagged};

const LISTED: Kind = Kind { prefixes: &[VaultId::PREFIX], fields: Vault::FIELDS, parameters: PARAMETERS };

/// Create a vault
#[utoipa::path(post, path = "/vaults", tag = "Vaults", operation_id = "VaultsCreate", params(crate::openapi::Version),
    request_body = strongroom_wire::VaultCreate,
    responses((status = 201, description = "The vault", body = strongroom_wire::Vault), crate::openapi::Errors))]
pub(crate) async fn vault_create(mut session: Session, request: Request) -> Result<Response, Problem> {
    let body = session.fields(request, fields::VAULT).await?;
    let draft = parse::vault_create(body, session.limits())?;
    let vault = session.app().vault_create(&session.caller, draft).await?;
    Ok(tagged(json(StatusCode::CREATED, &view::vault(&vault, &session.origin)), &vault.tag()))
}

/// List vaults, newest first
#[utoipa::path(get, path = "/vaults", tag = "Vaults", operation_id = "VaultsList",
    params(crate::openapi::Version, crate::openapi::Paging),
    responses((status = 200, description = "A page of vaults", body = strongroom_wire::VaultList), crate::openapi::Errors))]
pub(crate) async fn vault_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().vault_list(&session.caller, query).await?;
    Ok(json(StatusCode::OK, &view::vaults(&page, &next, &session.origin)))
}

/// Get a vault
#[utoipa::path(get, path = "/vaults/{id}", tag = "Vaults", operation_id = "VaultsGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The vault", body = strongroom_wire::Vault), crate::openapi::Errors))]
pub(crate) async fn vault_get(
    session: Session,
    Item(id): Item<VaultId>,
    _: Bare,
) -> Result<Response, Problem> {
    let vault = session.app().vault_get(&session.caller, id).await?;
    Ok(tagged(json(StatusCode::OK, &view::vault(&vault, &session.origin)), &vault.tag()))
}

/// Change a vault
#[utoipa::path(patch, path = "/vaults/{id}", tag = "Vaults", operation_id = "VaultsUpdate",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::IfMatch), request_body = strongroom_wire::VaultUpdate,
    responses((status = 200, description = "The vault", body = strongroom_wire::Vault), crate::openapi::Errors))]
pub(crate) async fn vault_update(
    mut session: Session,
    Item(id): Item<VaultId>,
    IfMatch(expected): IfMatch,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::VAULT).await?;
    let change = parse::vault_update(body, session.limits())?;
    let vault = session.app().vault_change(&session.caller, id, change, &expected).await?;
    Ok(tagged(json(StatusCode::OK, &view::vault(&vault, &session.origin)), &vault.tag()))
}

/// Delete a vault, which must be empty
#[utoipa::path(delete, path = "/vaults/{id}", tag = "Vaults", operation_id = "VaultsDelete",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::IfMatch),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn vault_delete(
    session: Session,
    Item(id): Item<VaultId>,
    IfMatch(expected): IfMatch,
    _: Bare,
) -> Result<StatusCode, Problem> {
    session.app().vault_remove(&session.caller, id, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
