use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::ids::{SecretId, VaultId};

use crate::error::Problem;
use crate::parse::{self, fields};
use crate::session::{Bare, IfMatch, Item, Session};
use crate::view::{self, json, tagged};

/// List what is kept of a secret's values, newest first; no value is told
#[utoipa::path(get, path = "/strongroom/secrets/{id}/versions", tag = "Secrets", operation_id = "SecretVersionsList",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The versions", body = strongroom_wire::SecretVersionList), crate::openapi::Errors))]
pub(crate) async fn version_list(
    session: Session,
    Item(id): Item<SecretId>,
    _: Bare,
) -> Result<Response, Problem> {
    let (secret, kept) = session.app().version_list(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::versions(&secret, &kept, &session.origin)))
}

/// Make an earlier value the current one again, as a new version
#[utoipa::path(post, path = "/strongroom/secrets/{id}/rollback", tag = "Secrets", operation_id = "SecretsRollback",
    params(crate::openapi::Version, crate::openapi::Id), request_body = strongroom_wire::SecretRollback,
    responses((status = 200, description = "The secret", body = strongroom_wire::SecretDetail), crate::openapi::Errors))]
pub(crate) async fn version_rollback(
    mut session: Session,
    Item(id): Item<SecretId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::ROLLBACK).await?;
    let number = parse::rollback(body)?;
    let secret = session.app().version_rollback(&session.caller, id, number).await?;
    let detail = session.app().detail_of(&session.caller, secret).await?;
    Ok(json(StatusCode::OK, &view::detail(&detail, &session.origin)))
}

/// Get a vault with what ngrok's API does not tell: how many values it keeps
#[utoipa::path(get, path = "/strongroom/vaults/{id}", tag = "Vaults", operation_id = "VaultDetailsGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The vault", body = strongroom_wire::VaultDetail), crate::openapi::Errors))]
pub(crate) async fn vault_detail_get(
    session: Session,
    Item(id): Item<VaultId>,
    _: Bare,
) -> Result<Response, Problem> {
    let vault = session.app().vault_get(&session.caller, id).await?;
    Ok(tagged(json(StatusCode::OK, &view::vault_detail(&vault, &session.origin)), &vault.tag()))
}

/// Change how many values a vault keeps, and how long
#[utoipa::path(patch, path = "/strongroom/vaults/{id}", tag = "Vaults", operation_id = "VaultDetailsUpdate",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::IfMatch), request_body = strongroom_wire::VaultKeep,
    responses((status = 200, description = "The vault", body = strongroom_wire::VaultDetail), crate::openapi::Errors))]
pub(crate) async fn vault_detail_update(
    mut session: Session,
    Item(id): Item<VaultId>,
    IfMatch(expected): IfMatch,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::VAULT_KEEP).await?;
    let change = parse::vault_keep(body)?;
    let vault = session.app().vault_keep(&session.caller, id, change, &expected).await?;
    Ok(tagged(json(StatusCode::OK, &view::vault_detail(&vault, &session.origin)), &vault.tag()))
}
