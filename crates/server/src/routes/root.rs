use axum::response::Response;
use http::StatusCode;
use strongroom_domain::Error;
use strongroom_domain::error::BadCredential;

use crate::error::Problem;
use crate::routes::COLLECTIONS;
use crate::session::{Bare, Session};
use crate::view::{self, json};

/// Where everything is
#[utoipa::path(get, path = "/", tag = "Root", operation_id = "RootGet", params(crate::openapi::Version),
    responses((status = 200, description = "The collections", body = strongroom_wire::Root), crate::openapi::Errors))]
pub(crate) async fn root_get(session: Session, _: Bare) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &view::root(COLLECTIONS, &session.origin)))
}

/// Who is asking
#[utoipa::path(get, path = "/self", tag = "Root", operation_id = "RootSelf", params(crate::openapi::Version),
    responses((status = 200, description = "Account, key and user", body = strongroom_wire::SelfInfo), crate::openapi::Errors))]
pub(crate) async fn self_get(session: Session, _: Bare) -> Result<Response, Problem> {
    let key = session.caller.key().ok_or(Error::Unauthenticated(BadCredential::Missing))?;
    let key = session.app().api_key_get(&session.caller, key).await?;
    Ok(json(StatusCode::OK, &view::self_info(session.app().account(), &key, &session.caller)))
}
