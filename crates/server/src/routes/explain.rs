use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;

use crate::error::Problem;
use crate::parse::{self, fields};
use crate::session::Session;
use crate::view::{self, json};

/// Say what a key may do with a secret, and which grant decides
#[utoipa::path(post, path = "/strongroom/explain", tag = "Values", operation_id = "Explain",
    params(crate::openapi::Version), request_body = strongroom_wire::Explain,
    responses((status = 200, description = "What it may do", body = strongroom_wire::Explanation), crate::openapi::Errors))]
pub(crate) async fn explain(mut session: Session, request: Request) -> Result<Response, Problem> {
    let body = session.fields(request, fields::EXPLAIN).await?;
    let (key, vault, name) = parse::explain(body, session.limits())?;
    let (vault, name) = (vault.into_string(), name.into_string());
    let explanation = session.app().explain(&session.caller, key, vault, name).await?;
    Ok(json(StatusCode::OK, &view::explanation(&explanation)))
}
