//! Service users, under both of their names.

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::answer::Made;
use strongroom_domain::ids::ServiceUserId;
use strongroom_domain::principal::ServiceUser;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS};
use crate::parse::{self, fields};
use crate::session::{Bare, Item, Listed, Session};
use crate::view::{self, Flavour, json, replayed};

const LISTED: Kind =
    Kind { prefixes: &["bot_", "service_"], fields: ServiceUser::FIELDS, parameters: PARAMETERS };

async fn create(mut session: Session, request: Request, flavour: Flavour) -> Result<Response, Problem> {
    let route = flavour.route();
    let (body, to) = session.fields_to_create(request, route, fields::SERVICE_USER).await?;
    let draft = parse::service_user_create(body, session.limits())?;
    let Made { it: user, again } =
        session.app().service_user_create(&session.caller, draft, to.as_ref()).await?;
    let answer = json(StatusCode::CREATED, &view::service_user(&user, flavour, &session.origin));
    Ok(replayed(answer, again))
}

async fn get(session: Session, id: ServiceUserId, flavour: Flavour) -> Result<Response, Problem> {
    let user = session.app().service_user_get(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::service_user(&user, flavour, &session.origin)))
}

async fn update(
    mut session: Session,
    id: ServiceUserId,
    request: Request,
    flavour: Flavour,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::SERVICE_USER).await?;
    let change = parse::service_user_update(body, session.limits())?;
    let user = session.app().service_user_change(&session.caller, id, change).await?;
    Ok(json(StatusCode::OK, &view::service_user(&user, flavour, &session.origin)))
}

async fn delete(session: Session, id: ServiceUserId) -> Result<StatusCode, Problem> {
    session.app().service_user_remove(&session.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Create a service user
#[utoipa::path(post, path = "/service_users", tag = "Service users", operation_id = "ServiceUsersCreate",
    params(crate::openapi::Version, crate::openapi::IdempotencyKey), request_body = strongroom_wire::ServiceUserCreate,
    responses((status = 201, description = "The service user", body = strongroom_wire::ServiceUser), crate::openapi::Errors))]
pub(crate) async fn service_user_create(session: Session, request: Request) -> Result<Response, Problem> {
    create(session, request, Flavour::Service).await
}

/// List service users, newest first
#[utoipa::path(get, path = "/service_users", tag = "Service users", operation_id = "ServiceUsersList",
    params(crate::openapi::Version, crate::openapi::Paging),
    responses((status = 200, description = "A page of service users", body = strongroom_wire::ServiceUserList), crate::openapi::Errors))]
pub(crate) async fn service_user_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().service_user_list(&session.caller, query).await?;
    Ok(json(StatusCode::OK, &view::service_users(&page, &next, &session.origin)))
}

/// Get a service user
#[utoipa::path(get, path = "/service_users/{id}", tag = "Service users", operation_id = "ServiceUsersGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The service user", body = strongroom_wire::ServiceUser), crate::openapi::Errors))]
pub(crate) async fn service_user_get(
    session: Session,
    Item(id): Item<ServiceUserId>,
    _: Bare,
) -> Result<Response, Problem> {
    get(session, id, Flavour::Service).await
}

/// Change a service user
#[utoipa::path(patch, path = "/service_users/{id}", tag = "Service users", operation_id = "ServiceUsersUpdate",
    params(crate::openapi::Version, crate::openapi::Id), request_body = strongroom_wire::ServiceUserUpdate,
    responses((status = 200, description = "The service user", body = strongroom_wire::ServiceUser), crate::openapi::Errors))]
pub(crate) async fn service_user_update(
    session: Session,
    Item(id): Item<ServiceUserId>,
    request: Request,
) -> Result<Response, Problem> {
    update(session, id, request, Flavour::Service).await
}

/// Delete a service user and its API keys
#[utoipa::path(delete, path = "/service_users/{id}", tag = "Service users", operation_id = "ServiceUsersDelete",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn service_user_delete(
    session: Session,
    Item(id): Item<ServiceUserId>,
    _: Bare,
) -> Result<StatusCode, Problem> {
    delete(session, id).await
}

/// Create a bot user
#[utoipa::path(post, path = "/bot_users", tag = "Bot users", operation_id = "BotUsersCreate",
    params(crate::openapi::Version, crate::openapi::IdempotencyKey), request_body = strongroom_wire::ServiceUserCreate,
    responses((status = 201, description = "The bot user", body = strongroom_wire::ServiceUser), crate::openapi::Errors))]
pub(crate) async fn bot_user_create(session: Session, request: Request) -> Result<Response, Problem> {
    create(session, request, Flavour::Bot).await
}

/// List bot users, newest first
#[utoipa::path(get, path = "/bot_users", tag = "Bot users", operation_id = "BotUsersList",
    params(crate::openapi::Version, crate::openapi::Paging),
    responses((status = 200, description = "A page of bot users", body = strongroom_wire::BotUserList), crate::openapi::Errors))]
pub(crate) async fn bot_user_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().service_user_list(&session.caller, query).await?;
    Ok(json(StatusCode::OK, &view::bot_users(&page, &next, &session.origin)))
}

/// Get a bot user
#[utoipa::path(get, path = "/bot_users/{id}", tag = "Bot users", operation_id = "BotUsersGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The bot user", body = strongroom_wire::ServiceUser), crate::openapi::Errors))]
pub(crate) async fn bot_user_get(
    session: Session,
    Item(id): Item<ServiceUserId>,
    _: Bare,
) -> Result<Response, Problem> {
    get(session, id, Flavour::Bot).await
}

/// Change a bot user
#[utoipa::path(patch, path = "/bot_users/{id}", tag = "Bot users", operation_id = "BotUsersUpdate",
    params(crate::openapi::Version, crate::openapi::Id), request_body = strongroom_wire::ServiceUserUpdate,
    responses((status = 200, description = "The bot user", body = strongroom_wire::ServiceUser), crate::openapi::Errors))]
pub(crate) async fn bot_user_update(
    session: Session,
    Item(id): Item<ServiceUserId>,
    request: Request,
) -> Result<Response, Problem> {
    update(session, id, request, Flavour::Bot).await
}

/// Delete a bot user and its API keys
#[utoipa::path(delete, path = "/bot_users/{id}", tag = "Bot users", operation_id = "BotUsersDelete",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn bot_user_delete(
    session: Session,
    Item(id): Item<ServiceUserId>,
    _: Bare,
) -> Result<StatusCode, Problem> {
    delete(session, id).await
}
