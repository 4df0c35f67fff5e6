use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::ids::SecretId;
use strongroom_domain::secret::Secret;

use crate::error::Problem;
use crate::parse::list::{Kind, PARAMETERS_OF_DETAILS};
use crate::parse::{self, fields};
use crate::session::{Bare, Item, Listed, Session};
use crate::view::{self, json};

const LISTED: Kind =
    Kind { prefixes: &[SecretId::PREFIX], fields: Secret::FIELDS, parameters: PARAMETERS_OF_DETAILS };

/// List secrets with what ngrok's API does not tell: version and last use
#[utoipa::path(get, path = "/strongroom/secrets", tag = "Secrets", operation_id = "SecretDetailsList",
    params(crate::openapi::Version, crate::openapi::Paging, crate::openapi::Detailed),
    responses((status = 200, description = "A page of secrets", body = strongroom_wire::SecretDetailList), crate::openapi::Errors))]
pub(crate) async fn detail_list(session: Session, listed: Listed) -> Result<Response, Problem> {
    let (query, next) = session.list_query(&listed, &LISTED)?;
    let since = next.get("unused_since").map(|text| parse::time("unused_since", text)).transpose()?;
    let page = session.app().detail_list(&session.caller, next.get("vault"), since, query).await?;
    Ok(json(StatusCode::OK, &view::details(&page, &next, &session.origin)))
}

/// Get a secret's metadata with what ngrok's API does not tell: version and last use
#[utoipa::path(get, path = "/strongroom/secrets/{id}", tag = "Secrets", operation_id = "SecretDetailsGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The secret", body = strongroom_wire::SecretDetail), crate::openapi::Errors))]
pub(crate) async fn detail_get(
    session: Session,
    Item(id): Item<SecretId>,
    _: Bare,
) -> Result<Response, Problem> {
    let detail = session.app().detail_get(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::detail(&detail, &session.origin)))
}

/// Move a secret to another vault; its id stays, and its value does not leave the server
#[utoipa::path(post, path = "/strongroom/secrets/{id}/move", tag = "Secrets", operation_id = "SecretsMove",
    params(crate::openapi::Version, crate::openapi::Id), request_body = strongroom_wire::SecretMove,
    responses((status = 200, description = "The secret", body = strongroom_wire::Secret), crate::openapi::Errors))]
pub(crate) async fn secret_move(
    mut session: Session,
    Item(id): Item<SecretId>,
    request: Request,
) -> Result<Response, Problem> {
    let body = session.fields(request, fields::SECRET_MOVE).await?;
    let (to, name) = parse::secret_move(body, session.limits())?;
    let secret = session.app().secret_move(&session.caller, id, to, name).await?;
    Ok(json(StatusCode::OK, &view::secret(&secret, &session.origin)))
}
