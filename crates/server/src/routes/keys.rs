use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::ids::VaultId;
use strongroom_domain::rotation::KeyUse;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS_OF_DELETED};
use crate::parse::{self, fields};
use crate::root_key;
use crate::session::{Bare, Item, Listed, Session};
use crate::view::{self, json};

const LISTED: Kind = Kind { prefixes: &[VaultId::PREFIX], fields: &[], parameters: PARAMETERS_OF_DELETED };

/// List the keys of vaults: their ids, ages, and what refers to them
#[utoipa::path(get, path = "/strongroom/keys", tag = "Keys", operation_id = "KeysList",
    params(crate::openapi::Version, crate::openapi::Pages),
    responses((status = 200, description = "A page of keys", body = strongroom_wire::VaultKeyList), crate::openapi::Errors))]
pub(crate) async fn key_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().key_list(&session.caller, query).await?;
    let root_key = session.app().root_key(&session.caller).await?;
    let is_failing = |key: &KeyUse| session.shared().rotator.is_failing(key.vault.id);
    Ok(json(StatusCode::OK, &view::vault_keys(&page, is_failing, root_key, &next, &session.origin)))
}

/// Get a vault's key: how old it is, and how far a rotation is
#[utoipa::path(get, path = "/strongroom/keys/{id}", tag = "Keys", operation_id = "KeysGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The key", body = strongroom_wire::VaultKey), crate::openapi::Errors))]
pub(crate) async fn key_get(session: Session, Item(id): Item<VaultId>, _: Bare) -> Result<Response, Problem> {
    let key = session.app().key_get(&session.caller, id).await?;
    let failing = session.shared().rotator.is_failing(id);
    Ok(json(StatusCode::OK, &view::vault_key(&key, failing, &session.origin)))
}

/// Begin to rotate the key of a vault, or its data keys
#[utoipa::path(post, path = "/strongroom/keys/{id}/rotate", tag = "Keys", operation_id = "KeysRotate",
    params(crate::openapi::Version, crate::openapi::Id), request_body = Option<strongroom_wire::KeyRotate>,
    responses((status = 202, description = "The key, with the rotation that began", body = strongroom_wire::VaultKey), crate::openapi::Errors))]
pub(crate) async fn key_rotate(
    mut session: Session,
    Item(id): Item<VaultId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields_if_any(request, fields::KEY_ROTATE).await?;
    let kind = parse::key_rotate(body)?;
    let key = session.app().rotation_start(&session.caller, id, kind).await?;
    session.shared().rotator.wake();
    Ok(json(StatusCode::ACCEPTED, &view::vault_key(&key, false, &session.origin)))
}

/// Rotate the root key: all that it wraps is wrapped by a new one, and it is destroyed
#[utoipa::path(post, path = "/strongroom/root_key/rotate", tag = "Keys", operation_id = "RootKeyRotate",
    params(crate::openapi::Version),
    responses((status = 200, description = "What became of it", body = strongroom_wire::RootKeyRotated), crate::openapi::Errors))]
pub(crate) async fn root_key_rotate(mut session: Session, request: Request) -> Result<Response, Problem> {
    session.fields_if_any(request, &[]).await?;
    let rotated = root_key::rotate(session.shared(), &session.caller).await?;
    Ok(json(StatusCode::OK, &view::root_key_rotated(&rotated)))
}
