use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use strongroom_domain::Error;

use crate::Shared;
use crate::error::{Problem, Protocol, chain};
use crate::metrics::{CONTENT_TYPE, Stored};
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
        return Err(Error::Sealed.into());
    }
    if shared.is_leaving() {
        return Err(Protocol::Stopping.into());
    }
    can_answer(&shared).await?;
    Ok("ready\n")
}

/// How long the store may take, where it is not needed for being ready.
const ASKED: Duration = Duration::from_millis(500);

/// Whether the store can be read, or else its metadata be answered from memory: not where it answers that nobody may go on with it.
async fn can_answer(shared: &Shared) -> Result<(), Error> {
    let asked = shared.app.ready();
    let asked = match shared.settings.ready_without_store {
        false => asked.await,
        true => match tokio::time::timeout(ASKED, asked).await {
            Ok(Err(error @ Error::Internal(_))) => Err(error),
            _ => return Ok(()),
        },
    };
    asked.map_err(|error| match error {
        Error::Internal(cause) => Error::Unavailable(cause),
        error => error,
    })
}

/// The server's counters, as OpenMetrics text
#[utoipa::path(get, path = "/metrics", tag = "Health", operation_id = "MetricsGet", params(crate::openapi::Version),
    responses((status = 200, description = "The counters", body = String, content_type = "application/openmetrics-text"),
        crate::openapi::Errors))]
pub(crate) async fn metrics_get(session: Session, _: Bare) -> Result<Response, Problem> {
    session.caller.must_watch()?;
    metrics(session.shared()).await
}

/// How long the store may take to be counted: less than the ten seconds after which scrapers give up.
const COUNTED: Duration = Duration::from_secs(4);

/// The counters of a server. While the store cannot be read, those of the server itself are told: somebody looks at them just then.
pub(crate) async fn metrics(shared: &Shared) -> Result<Response, Problem> {
    let stored = match tokio::time::timeout(COUNTED, stored(shared)).await {
        Ok(Ok(stored)) => Some(stored),
        Ok(Err(error)) => {
            tracing::warn!(cause = %chain(&error), "the counters are told without those of the store");
            None
        }
        Err(_) => {
            tracing::warn!("the counters are told without those of the store, which does not answer");
            None
        }
    };
    let text = shared
        .metrics
        .view(stored.as_ref(), &shared.deliveries)
        .map_err(|error| Error::Internal(Box::new(error)))?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

async fn stored(shared: &Shared) -> Result<Stored, Error> {
    Ok(Stored {
        counts: shared.app.counts().await?,
        deliveries: shared.app.delivery_counts_of_all().await?,
        rotations: shared.app.rotations().await?.len() as u64,
    })
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "Health", operation_id = "OpenApiGet", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")))]
pub(crate) async fn openapi_get() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi()).into_response()
}
