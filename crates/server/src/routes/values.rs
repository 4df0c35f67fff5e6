use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use strongroom_domain::app::Resolution;

use crate::error::Problem;
use crate::parse::{self, fields};
use crate::session::{Listed, Sender, Session};
use crate::view::{self, json_bytes};

/// Read values, all or nothing; each is in the audit log before the answer leaves
#[utoipa::path(post, path = "/strongroom/resolve", tag = "Values", operation_id = "ValuesResolve",
    params(crate::openapi::Version), request_body = strongroom_wire::Resolve,
    responses((status = 200, description = "The values, in the order asked", body = strongroom_wire::ResolvedSecrets),
        crate::openapi::Errors))]
pub(crate) async fn value_resolve(
    mut session: Session,
    Sender(client): Sender,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::RESOLVE).await?;
    let references = parse::resolve(body, session.limits())?;
    let resolution = session.app().value_resolve(&session.caller, &references, &client, |_| false).await?;
    answer(&resolution)
}

/// Read a value, or all of a vault; with `If-None-Match`, only what has changed
#[utoipa::path(get, path = "/strongroom/values", tag = "Values", operation_id = "ValuesGet",
    params(crate::openapi::Version, crate::openapi::Valued),
    responses((status = 200, description = "The values; the ETag is another one as soon as they are",
            body = strongroom_wire::ResolvedSecrets, headers(("ETag" = String))),
        (status = 304, description = "Nothing has changed since the ETag that was sent along"), crate::openapi::Errors))]
pub(crate) async fn value_get(
    session: Session,
    Sender(client): Sender,
    method: Method,
    headers: HeaderMap,
    listed: Listed,
) -> Result<Response, Problem> {
    let reference = parse::values(&session.query(&listed, fields::VALUES)?, session.limits())?;
    let known = |tag: &_| parse::matches_any(&headers, &view::etag(tag));
    // HEAD gives no value, and so opens none.
    let knows = |tag: &_| method == Method::HEAD || known(tag);
    let resolution = session.app().value_resolve(&session.caller, &[reference], &client, knows).await?;
    let mut response = view::tagged(answer(&resolution)?, &resolution.tag);
    if method == Method::HEAD && !known(&resolution.tag) {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(response)
}

fn answer(resolution: &Resolution) -> Result<Response, Problem> {
    let Some(values) = &resolution.values else {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    };
    Ok(json_bytes(StatusCode::OK, Ok(view::values(values)?)))
}
