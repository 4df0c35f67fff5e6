use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::Shared;
use crate::error::Problem;
use crate::metrics::CONTENT_TYPE;
use crate::session::{Bare, Session};

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "Health", operation_id = "HealthGet", security(()),
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub(crate) async fn health_get() -> &'static str {
    "ok\n"
}

/// Whether the server can answer: it is not sealed, and the store can be read
#[utoipa::path(get, path = "/readyz", tag = "Health", operation_id = "ReadyGet", security(()),
    responses((status = 200, description = "It can", body = String, content_type = "text/plain"),
        (status = 503, description = "It cannot", body = strongroom_wire::Error)))]
pub(crate) async fn ready_get(State(shared): State<Arc<Shared>>) -> Result<&'static str, Problem> {
    if shared.app.is_sealed() {
        return Err(strongroom_domain::Error::Sealed.into());
    }
    shared.app.ready().await?;
    Ok("ready\n")
}

/// The server's counters, as OpenMetrics text
#[utoipa::path(get, path = "/metrics", tag = "Health", operation_id = "MetricsGet", params(crate::openapi::Version),
    responses((status = 200, description = "The counters", body = String, content_type = "application/openmetrics-text"),
        crate::openapi::Errors))]
pub(crate) async fn metrics_get(session: Session, _: Bare) -> Result<Response, Problem> {
    session.caller.must_watch()?;
    metrics(session.shared()).await
}

/// The counters of a server.
pub(crate) async fn metrics(shared: &Shared) -> Result<Response, Problem> {
    let counts = shared.app.counts().await?;
    let deliveries = shared.app.delivery_counts_of_all().await?;
    let rotations = shared.app.rotations().await?.len() as u64;
    let text = shared
        .metrics
        .view(&counts, &deliveries, &shared.deliveries, rotations)
        .map_err(|error| strongroom_domain::Error::Internal(Box::new(error)))?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "Health", operation_id = "OpenApiGet", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")))]
pub(crate) async fn openapi_get() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi()).into_response()
}
