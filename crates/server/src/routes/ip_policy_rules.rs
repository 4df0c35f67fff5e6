use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::answer::Made;
use strongroom_domain::ids::IpPolicyRuleId;
use strongroom_domain::ip_policy::IpPolicyRule;
use strongroom_wire as wire;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS};
use crate::parse::{fields, ip as parse};
use crate::session::{Bare, Item, Listed, Session};
use crate::view::{self, json, replayed};

const LISTED: Kind =
    Kind { prefixes: &[IpPolicyRuleId::PREFIX], fields: IpPolicyRule::FIELDS, parameters: PARAMETERS };

/// Create a rule of an IP policy
#[utoipa::path(post, path = "/ip_policy_rules", tag = "IP policy rules", operation_id = "IpPolicyRulesCreate",
    params(crate::openapi::Version, crate::openapi::IdempotencyKey, crate::openapi::Confirm), request_body = wire::IpPolicyRuleCreate,
    responses((status = 201, description = "The rule", body = wire::IpPolicyRule), crate::openapi::Errors))]
pub(crate) async fn ip_policy_rule_create(
    mut session: Session,
    request: Request,
) -> Result<Response, Problem> {
    let (body, lock_out, to) =
        session.fields_to_create_confirmed(request, "/ip_policy_rules", fields::IP_RULE_CREATE).await?;
    let draft = parse::rule_create(body, session.limits())?;
    let Made { it: rule, again } =
        session.app().ip_rule_create(&session.caller, draft, lock_out, to.as_ref()).await?;
    let answer = json(StatusCode::CREATED, &view::ip_policy_rule(&rule, &session.origin));
    Ok(replayed(answer, again))
}

/// List rules of IP policies, newest first
#[utoipa::path(get, path = "/ip_policy_rules", tag = "IP policy rules", operation_id = "IpPolicyRulesList",
    params(crate::openapi::Version, crate::openapi::Paging),
    responses((status = 200, description = "A page of rules of IP policies", body = wire::IpPolicyRuleList), crate::openapi::Errors))]
pub(crate) async fn ip_policy_rule_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().ip_rule_list(&session.caller, query).await?;
    Ok(json(StatusCode::OK, &view::ip_policy_rules(&page, &next, &session.origin)))
}

/// Get a rule of an IP policy
#[utoipa::path(get, path = "/ip_policy_rules/{id}", tag = "IP policy rules", operation_id = "IpPolicyRulesGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The rule", body = wire::IpPolicyRule), crate::openapi::Errors))]
pub(crate) async fn ip_policy_rule_get(
    session: Session,
    Item(id): Item<IpPolicyRuleId>,
    _: Bare,
) -> Result<Response, Problem> {
    let rule = session.app().ip_rule_get(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::ip_policy_rule(&rule, &session.origin)))
}

/// Change a rule of an IP policy
#[utoipa::path(patch, path = "/ip_policy_rules/{id}", tag = "IP policy rules", operation_id = "IpPolicyRulesUpdate",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::Confirm), request_body = wire::IpPolicyRuleUpdate,
    responses((status = 200, description = "The rule", body = wire::IpPolicyRule), crate::openapi::Errors))]
pub(crate) async fn ip_policy_rule_update(
    mut session: Session,
    Item(id): Item<IpPolicyRuleId>,
    request: Request,
) -> Result<Response, Problem> {
    let (body, lock_out) = session.fields_confirmed(request, fields::IP_RULE_UPDATE).await?;
    let change = parse::rule_update(body, session.limits())?;
    let rule = session.app().ip_rule_change(&session.caller, id, change, lock_out).await?;
    Ok(json(StatusCode::OK, &view::ip_policy_rule(&rule, &session.origin)))
}

/// Delete a rule of an IP policy
#[utoipa::path(delete, path = "/ip_policy_rules/{id}", tag = "IP policy rules", operation_id = "IpPolicyRulesDelete",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::Confirm),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn ip_policy_rule_delete(
    session: Session,
    Item(id): Item<IpPolicyRuleId>,
    listed: Listed,
) -> Result<StatusCode, Problem> {
    let lock_out = session.lock_out(&listed)?;
    session.app().ip_rule_remove(&session.caller, id, lock_out).await?;
    Ok(StatusCode::NO_CONTENT)
}
