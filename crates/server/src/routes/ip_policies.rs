use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::answer::Made;
use strongroom_domain::ids::IpPolicyId;
use strongroom_domain::ip_policy::IpPolicy;
use strongroom_wire as wire;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS};
use crate::parse::{fields, ip as parse};
use crate::session::{Bare, Item, Listed, Session};
use crate::view::{self, json, replayed};

const LISTED: Kind =
    Kind { prefixes: &[IpPolicyId::PREFIX], fields: IpPolicy::FIELDS, parameters: PARAMETERS };

/// Create an IP policy
#[utoipa::path(post, path = "/ip_policies", tag = "IP policies", operation_id = "IpPoliciesCreate",
    params(crate::openapi::Version, crate::openapi::IdempotencyKey), request_body = wire::IpPolicyFields,
    responses((status = 201, description = "The policy", body = wire::IpPolicy), crate::openapi::Errors))]
pub(crate) async fn ip_policy_create(mut session: Session, request: Request) -> Result<Response, Problem> {
    let (body, to) = session.fields_to_create(request, "/ip_policies", fields::IP_POLICY).await?;
    let draft = parse::policy_create(body, session.limits())?;
    let Made { it: policy, again } =
        session.app().ip_policy_create(&session.caller, draft, to.as_ref()).await?;
    let answer = json(StatusCode::CREATED, &view::ip_policy(&policy, &session.origin));
    Ok(replayed(answer, again))
}

/// List IP policies, newest first
#[utoipa::path(get, path = "/ip_policies", tag = "IP policies", operation_id = "IpPoliciesList",
    params(crate::openapi::Version, crate::openapi::Paging),
    responses((status = 200, description = "A page of IP policies", body = wire::IpPolicyList), crate::openapi::Errors))]
pub(crate) async fn ip_policy_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().ip_policy_list(&session.caller, query).await?;
    Ok(json(StatusCode::OK, &view::ip_policies(&page, &next, &session.origin)))
}

/// Get an IP policy
#[utoipa::path(get, path = "/ip_policies/{id}", tag = "IP policies", operation_id = "IpPoliciesGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The policy", body = wire::IpPolicy), crate::openapi::Errors))]
pub(crate) async fn ip_policy_get(
    session: Session,
    Item(id): Item<IpPolicyId>,
    _: Bare,
) -> Result<Response, Problem> {
    let policy = session.app().ip_policy_get(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::ip_policy(&policy, &session.origin)))
}

/// Change an IP policy
#[utoipa::path(patch, path = "/ip_policies/{id}", tag = "IP policies", operation_id = "IpPoliciesUpdate",
    params(crate::openapi::Version, crate::openapi::Id), request_body = wire::IpPolicyFields,
    responses((status = 200, description = "The policy", body = wire::IpPolicy), crate::openapi::Errors))]
pub(crate) async fn ip_policy_update(
    mut session: Session,
    Item(id): Item<IpPolicyId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::IP_POLICY).await?;
    let change = parse::policy_update(body, session.limits())?;
    let policy = session.app().ip_policy_change(&session.caller, id, change).await?;
    Ok(json(StatusCode::OK, &view::ip_policy(&policy, &session.origin)))
}

/// Delete an IP policy, and its rules; one that a restriction names is not deleted
#[utoipa::path(delete, path = "/ip_policies/{id}", tag = "IP policies", operation_id = "IpPoliciesDelete",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn ip_policy_delete(
    session: Session,
    Item(id): Item<IpPolicyId>,
    _: Bare,
) -> Result<StatusCode, Problem> {
    session.app().ip_policy_remove(&session.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
