use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::ids::WebhookId;
use strongroom_wire as wire;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS_OF_DELETED};
use crate::parse::{fields, idempotency_key, webhooks as parse};
use crate::session::{Bare, Item, Listed, Session};
use crate::view::{self, json};

const LISTED: Kind = Kind { prefixes: &[WebhookId::PREFIX], fields: &[], parameters: PARAMETERS_OF_DELETED };

/// Create a webhook; its signing secret is in this answer and nowhere else
#[utoipa::path(post, path = "/strongroom/webhooks", tag = "Webhooks", operation_id = "WebhooksCreate",
    params(crate::openapi::Version), request_body = wire::WebhookCreate,
    responses((status = 201, description = "The webhook, with its secret", body = wire::Webhook), crate::openapi::Errors))]
pub(crate) async fn webhook_create(mut session: Session, request: Request) -> Result<Response, Problem> {
    // What the audit log tells of a webhook is less than the answer, so no first answer could be made of it again.
    idempotency_key::refuse(request.headers())?;
    let body = session.fields(request, fields::WEBHOOK).await?;
    let draft = parse::create(body, session.limits(), session.shared().deliveries.allow_private())?;
    let (webhook, secret) = session.app().webhook_create(&session.caller, draft).await?;
    session.shared().deliveries.nudge();
    Ok(json(StatusCode::CREATED, &view::webhook(&webhook, Some(&secret), &session.origin)))
}

/// List webhooks, newest first
#[utoipa::path(get, path = "/strongroom/webhooks", tag = "Webhooks", operation_id = "WebhooksList",
    params(crate::openapi::Version, crate::openapi::Pages),
    responses((status = 200, description = "A page of webhooks", body = wire::WebhookList), crate::openapi::Errors))]
pub(crate) async fn webhook_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let page = session.app().webhook_list(&session.caller, query).await?;
    Ok(json(StatusCode::OK, &view::webhooks(&page, &next, &session.origin)))
}

/// Get a webhook
#[utoipa::path(get, path = "/strongroom/webhooks/{id}", tag = "Webhooks", operation_id = "WebhooksGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The webhook", body = wire::Webhook), crate::openapi::Errors))]
pub(crate) async fn webhook_get(
    session: Session,
    Item(id): Item<WebhookId>,
    _: Bare,
) -> Result<Response, Problem> {
    let webhook = session.app().webhook_get(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::webhook(&webhook, None, &session.origin)))
}

/// Change a webhook; with another secret, the one before signs along for 24 hours
#[utoipa::path(patch, path = "/strongroom/webhooks/{id}", tag = "Webhooks", operation_id = "WebhooksUpdate",
    params(crate::openapi::Version, crate::openapi::Id), request_body = wire::WebhookUpdate,
    responses((status = 200, description = "The webhook", body = wire::Webhook), crate::openapi::Errors))]
pub(crate) async fn webhook_update(
    mut session: Session,
    Item(id): Item<WebhookId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::WEBHOOK).await?;
    let change = parse::update(body, session.limits(), session.shared().deliveries.allow_private())?;
    if change.event_types.is_some() {
        session.app().webhook_get(&session.caller, id).await?;
        session.shared().deliveries.store_place(session.app(), id).await?;
    }
    let webhook = session.app().webhook_change(&session.caller, id, change).await?;
    session.shared().deliveries.nudge();
    Ok(json(StatusCode::OK, &view::webhook(&webhook, None, &session.origin)))
}

/// Delete a webhook; what it was not told yet, it never will be
#[utoipa::path(delete, path = "/strongroom/webhooks/{id}", tag = "Webhooks", operation_id = "WebhooksDelete",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 204, description = "It is deleted"), crate::openapi::Errors))]
pub(crate) async fn webhook_delete(
    session: Session,
    Item(id): Item<WebhookId>,
    _: Bare,
) -> Result<StatusCode, Problem> {
    session.app().webhook_remove(&session.caller, id).await?;
    session.shared().deliveries.nudge();
    Ok(StatusCode::NO_CONTENT)
}

/// List deliveries that failed, the newest first: those that are tried again, and those that were given up
#[utoipa::path(get, path = "/strongroom/webhooks/{id}/deliveries", tag = "Webhooks", operation_id = "WebhooksDeliveries",
    params(crate::openapi::Version, crate::openapi::Id, crate::openapi::Deliveries),
    responses((status = 200, description = "A page of deliveries", body = wire::WebhookDeliveryList), crate::openapi::Errors))]
pub(crate) async fn delivery_list(
    session: Session,
    Item(id): Item<WebhookId>,
    listed: Listed,
) -> Result<Response, Problem> {
    let query = session.query(&listed, fields::DELIVERIES)?;
    let parse::Deliveries { state, before, limit } = parse::deliveries(&query)?;
    let page = session.app().delivery_list(&session.caller, id, state, before, limit).await?;
    Ok(json(StatusCode::OK, &view::deliveries(&page, id, state, limit, &session.origin)))
}

/// Try deliveries that failed again now: one, or all; those that were given up start anew
#[utoipa::path(post, path = "/strongroom/webhooks/{id}/retry", tag = "Webhooks", operation_id = "WebhooksRetry",
    params(crate::openapi::Version, crate::openapi::Id), request_body = Option<wire::WebhookRetry>,
    responses((status = 200, description = "How many", body = wire::WebhookRetried), crate::openapi::Errors))]
pub(crate) async fn delivery_retry(
    mut session: Session,
    Item(id): Item<WebhookId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields_if_any(request, fields::WEBHOOK_RETRY).await?;
    let sequence = parse::retry(body)?;
    let retried = session.app().delivery_retry(&session.caller, id, sequence).await?;
    session.shared().deliveries.nudge();
    Ok(json(StatusCode::OK, &wire::WebhookRetried { retried }))
}

/// Send a test message now, once, and tell how it went
#[utoipa::path(post, path = "/strongroom/webhooks/{id}/test", tag = "Webhooks", operation_id = "WebhooksTest",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "How it went", body = wire::WebhookTested), crate::openapi::Errors))]
pub(crate) async fn webhook_test(
    mut session: Session,
    Item(id): Item<WebhookId>,
    request: Request,
) -> Result<Response, Problem> {
    session.fields_if_any(request, &[]).await?;
    let webhook = session.app().webhook_get(&session.caller, id).await?;
    let error = session.shared().deliveries.test(session.app(), &webhook).await?;
    Ok(json(StatusCode::OK, &wire::WebhookTested { delivered: error.is_none(), error }))
}
