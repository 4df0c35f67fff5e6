use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::answer::Made;
use strongroom_domain::ids::IpRestrictionId;
use strongroom_domain::ip_policy::IpRestriction;
use strongroom_wire as wire;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS};
use crate::parse::{fields, ip as parse};
use crate::session::{Bare, Item, Listed, Session};
use crate::view::{self, json, replayed};

const LISTED: Kind =
    Kind { prefixes: &[IpRestrictionId::PREFIX], fields: IpRestriction::FIELDS, parameters: PARAMETERS };

/// Create an IP restriction
#[utoipa::path(post, path = "/ip_restrictions", tag = "IP restrictions", operation_id = "IpRestrictionsCreate",
    params(crate::openapi::Version, crate::openapi::IdempotencyKey, crate::openapi::Confirm), request_body = wire::IpRestrictionCreate,
    responses((status = 201, description = "The restriction", body = wire::IpRestriction), crate::openapi::Errors))]
pub(crate) async fn ip_restriction_create(
    mut session: Session,
    request: Request,
) -> Result<Response, Problem> {
    let (body, lock_out, to) = session
        .fields_to_create_confirmed(request, "/ip_restrictions", fields::IP_RESTRICTION_CREATE)
        .await?;
    let draft = parse::restriction_create(body, session.limits())?;
    let Made { it: restriction, again } =
        session.app().ip_restriction_create(&session.caller, draft, lock_out, to.as_ref()).await?;
    let answer = json(StatusCode::CREATED, &view::ip_restriction(&restriction, &session.origin));
    Ok(replayed(answer, again))
}

/// List IP restrictions, newest first
#[utoipa::path(get, path = "/ip_restrictions", tag = "IP restrictions", operation_id = "IpRestrictionsList",
    params(crate::openapi::Version, crate::openapi::Paging),
    responses((status = 200, description = "A page of IP restrictions", body = wire::IpRestrictionList), crate::openapi::Errors))]
pub(crate) async fn ip_restriction_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().ip_restriction_list(&session.caller, query).await?;
    Ok(json(StatusCode::OK, &view::ip_restrictions(&page, &next, &session.origin)))
}

/// Get an IP restriction
#[utoipa::path(get, path = "/ip_restrictions/{id}", tag = "IP restrictions", operation_id = "IpRestrictionsGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The restriction", body = wire::IpRestriction), crate::openapi::Errors))]
pub(crate) async fn ip_restriction_get(
    session: Session,
    Item(id): Item<IpRestrictionId>,
    _: Bare,
) -> Result<Response, Problem> {
    let restriction = session.app().ip_restriction_get(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::ip_restriction(&restriction, &session.origin)))
}

/// Change an IP restriction
#[utoipa::path(patch, path = "/ip_restrictions/{id}", tag = "IP restrictions", operation_id = "IpRestrictionsUpdate",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::Confirm), request_body = wire::IpRestrictionUpdate,
    responses((status = 200, description = "The restriction", body = wire::IpRestriction), crate::openapi::Errors))]
pub(crate) async fn ip_restriction_update(
    mut session: Session,
    Item(id): Item<IpRestrictionId>,
    request: Request,
) -> Result<Response, Problem> {
    let (body, lock_out) = session.fields_confirmed(request, fields::IP_RESTRICTION_UPDATE).await?;
    let change = parse::restriction_update(body, session.limits())?;
    let restriction = session.app().ip_restriction_change(&session.caller, id, change, lock_out).await?;
    Ok(json(StatusCode::OK, &view::ip_restriction(&restriction, &session.origin)))
}

/// Delete an IP restriction
#[utoipa::path(delete, path = "/ip_restrictions/{id}", tag = "IP restrictions", operation_id = "IpRestrictionsDelete",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::Confirm),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn ip_restriction_delete(
    session: Session,
    Item(id): Item<IpRestrictionId>,
    listed: Listed,
) -> Result<StatusCode, Problem> {
    let lock_out = session.lock_out(&listed)?;
    session.app().ip_restriction_remove(&session.caller, id, lock_out).await?;
    Ok(StatusCode::NO_CONTENT)
}
