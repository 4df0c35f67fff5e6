use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::error::Problem;
use crate::parse::{self, fields};
use crate::session::{Bare, Listed, Session};
use crate::view::{self, json};

/// List audit events, the newest or the oldest first
#[utoipa::path(get, path = "/strongroom/audit_events", tag = "Audit", operation_id = "AuditEventsList",
    params(crate::openapi::Version, crate::openapi::Events),
    responses((status = 200, description = "A page of events", body = strongroom_wire::AuditEventList), crate::openapi::Errors))]
pub(crate) async fn audit_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let given = session.query(&listed, fields::AUDIT_EVENTS)?;
    let query = parse::audit::events(&given, session.app().clock())?;
    let page = session.app().audit_list(&session.caller, query.clone()).await?;
    Ok(json(StatusCode::OK, &view::events(&page, &query, given.get("filter"), &session.origin)))
}

/// Get a signed checkpoint of the audit log: how long it is, and the root of its tree
#[utoipa::path(get, path = "/strongroom/audit/checkpoint", tag = "Audit", operation_id = "AuditCheckpoint",
    params(crate::openapi::Version),
    responses((status = 200, description = "A C2SP tlog-checkpoint", body = String, content_type = "text/plain"),
        crate::openapi::Errors))]
pub(crate) async fn audit_checkpoint(session: Session, _: Bare) -> Result<Response, Problem> {
    let note = session.app().audit_checkpoint(&session.caller).await?;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, plain)], note).into_response())
}

/// Prove that an event is in the audit log
#[utoipa::path(get, path = "/strongroom/audit/inclusion", tag = "Audit", operation_id = "AuditInclusion",
    params(crate::openapi::Version, crate::openapi::Included),
    responses((status = 200, description = "The proof", body = strongroom_wire::AuditInclusion), crate::openapi::Errors))]
pub(crate) async fn audit_inclusion(session: Session, listed: Listed) -> Result<Response, Problem> {
    let query = session.query(&listed, fields::INCLUSION)?;
    let sequence = parse::needed_number(&query, "sequence")?;
    let size = parse::number(&query, "size")?;
    let inclusion = session.app().audit_inclusion(&session.caller, sequence, size).await?;
    Ok(json(StatusCode::OK, &view::inclusion(inclusion)))
}

/// Prove that the audit log as it was is the start of the log as it is
#[utoipa::path(get, path = "/strongroom/audit/consistency", tag = "Audit", operation_id = "AuditConsistency",
    params(crate::openapi::Version, crate::openapi::Continued),
    responses((status = 200, description = "The proof", body = strongroom_wire::AuditConsistency), crate::openapi::Errors))]
pub(crate) async fn audit_consistency(session: Session, listed: Listed) -> Result<Response, Problem> {
    let query = session.query(&listed, fields::CONSISTENCY)?;
    let from = parse::needed_number(&query, "from")?;
    let size = parse::number(&query, "size")?;
    let consistency = session.app().audit_consistency(&session.caller, from, size).await?;
    Ok(json(StatusCode::OK, &view::consistency(consistency)))
}
