use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::answer::Made;
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::ids::ApiKeyId;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS};
use crate::parse::{self, fields};
use crate::session::{Bare, Item, Listed, Session};
use crate::view::{self, json, replayed};

const LISTED: Kind = Kind { prefixes: &[ApiKeyId::PREFIX], fields: ApiKey::FIELDS, parameters: PARAMETERS };

/// Create an API key; its token is in this answer and nowhere else
#[utoipa::path(post, path = "/api_keys", tag = "API keys", operation_id = "ApiKeysCreate",
    params(crate::openapi::Version, crate::openapi::IdempotencyKey), request_body = strongroom_wire::ApiKeyCreate,
    responses((status = 201, description = "The key, with its token", body = strongroom_wire::ApiKey), crate::openapi::Errors))]
pub(crate) async fn api_key_create(mut session: Session, request: Request) -> Result<Response, Problem> {
    let (body, to) = session.fields_to_create(request, "/api_keys", fields::API_KEY_CREATE).await?;
    let draft = parse::api_key_create(body, session.limits())?;
    let Made { it: (key, token), again } =
        session.app().api_key_create(&session.caller, draft, to.as_ref()).await?;
    let answer = json(StatusCode::CREATED, &view::api_key(&key, Some(&token), &session.origin));
    Ok(replayed(answer, again))
}

/// List API keys, newest first
#[utoipa::path(get, path = "/api_keys", tag = "API keys", operation_id = "ApiKeysList",
    params(crate::openapi::Version, crate::openapi::Paging),
    responses((status = 200, description = "A page of keys", body = strongroom_wire::ApiKeyList), crate::openapi::Errors))]
pub(crate) async fn api_key_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().api_key_list(&session.caller, query).await?;
    Ok(json(StatusCode::OK, &view::api_keys(&page, &next, &session.origin)))
}

/// Get an API key
#[utoipa::path(get, path = "/api_keys/{id}", tag = "API keys", operation_id = "ApiKeysGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The key", body = strongroom_wire::ApiKey), crate::openapi::Errors))]
pub(crate) async fn api_key_get(
    session: Session,
    Item(id): Item<ApiKeyId>,
    _: Bare,
) -> Result<Response, Problem> {
    let key = session.app().api_key_get(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::api_key(&key, None, &session.origin)))
}

/// Change an API key's description, metadata, grants or end
#[utoipa::path(patch, path = "/api_keys/{id}", tag = "API keys", operation_id = "ApiKeysUpdate",
    params(crate::openapi::Version, crate::openapi::Id), request_body = strongroom_wire::ApiKeyUpdate,
    responses((status = 200, description = "The key", body = strongroom_wire::ApiKey), crate::openapi::Errors))]
pub(crate) async fn api_key_update(
    mut session: Session,
    Item(id): Item<ApiKeyId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::API_KEY_UPDATE).await?;
    let change = parse::api_key_update(body, session.limits())?;
    let key = session.app().api_key_change(&session.caller, id, change).await?;
    Ok(json(StatusCode::OK, &view::api_key(&key, None, &session.origin)))
}

/// Delete an API key, which stops working at once
#[utoipa::path(delete, path = "/api_keys/{id}", tag = "API keys", operation_id = "ApiKeysDelete",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn api_key_delete(
    session: Session,
    Item(id): Item<ApiKeyId>,
    _: Bare,
) -> Result<StatusCode, Problem> {
    session.app().api_key_remove(&session.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
