use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use strongroom_domain::ids::KeySlotId;
use strongroom_domain::key_slot::KeySlotDraft;
use strongroom_wire as wire;

use crate::Shared;
use crate::error::{Problem, SlotProblem};
use crate::parse::fields;
use crate::parse::key_slots::{self as parse, Create};
use crate::sealing::{self, aside};
use crate::session::{Bare, Item, Session, Unkeyed};
use crate::view::{self, json};

/// List the key slots, the oldest first: the ways to the root key
#[utoipa::path(get, path = "/strongroom/key_slots", tag = "Keys", operation_id = "KeySlotsList",
    params(crate::openapi::Version),
    responses((status = 200, description = "The slots", body = wire::KeySlotList), crate::openapi::Errors))]
pub(crate) async fn key_slot_list(session: Session, _: Bare) -> Result<Response, Problem> {
    let slots = session.app().key_slot_list(&session.caller).await?;
    Ok(json(StatusCode::OK, &view::key_slots(&slots, &session.origin)))
}

/// Add a key slot
#[utoipa::path(post, path = "/strongroom/key_slots", tag = "Keys", operation_id = "KeySlotsCreate",
    params(crate::openapi::Version), request_body = wire::KeySlotCreate,
    responses((status = 201, description = "The slot", body = wire::KeySlot), crate::openapi::Errors))]
pub(crate) async fn key_slot_create(mut session: Session, request: Request) -> Result<Response, Problem> {
    let body = session.fields(request, fields::KEY_SLOT).await?;
    // Before a service is asked for anything.
    session.app().key_slot_list(&session.caller).await?;
    let id = session.app().key_slot_id()?;
    let draft = match parse::create(body, session.limits())? {
        Create::Client { name, kind, enrolment, opener } => {
            KeySlotDraft { id, name, kind, opener, enrolment }
        }
        Create::Service { name, kind } => {
            let (key, config) = (session.app().make_slot_key()?, session.shared().settings.slots.clone());
            let sealed = aside(move || config.seal(kind, &key).map(|opener| (key.enrolment(), opener)));
            let (enrolment, opener) = sealed.await?.map_err(SlotProblem::NotOpened)?;
            KeySlotDraft { id, name, kind, opener, enrolment }
        }
    };
    let slot = session.app().key_slot_create(&session.caller, draft).await?;
    Ok(json(StatusCode::CREATED, &view::key_slot(&slot, &session.origin)))
}

/// Get a key slot
#[utoipa::path(get, path = "/strongroom/key_slots/{id}", tag = "Keys", operation_id = "KeySlotsGet",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 200, description = "The slot", body = wire::KeySlot), crate::openapi::Errors))]
pub(crate) async fn key_slot_get(
    session: Session,
    Item(id): Item<KeySlotId>,
    _: Bare,
) -> Result<Response, Problem> {
    let slot = session.app().key_slot_get(&session.caller, id).await?;
    Ok(json(StatusCode::OK, &view::key_slot(&slot, &session.origin)))
}

/// Remove a key slot; the last one stays
#[utoipa::path(delete, path = "/strongroom/key_slots/{id}", tag = "Keys", operation_id = "KeySlotsDelete",
    params(crate::openapi::Version, crate::openapi::Id),
    responses((status = 204, description = "It is removed"), crate::openapi::Errors))]
pub(crate) async fn key_slot_delete(
    session: Session,
    Item(id): Item<KeySlotId>,
    _: Bare,
) -> Result<StatusCode, Problem> {
    session.app().key_slot_delete(&session.caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try whether a key slot opens the root key; nothing is changed
#[utoipa::path(post, path = "/strongroom/key_slots/{id}/test", tag = "Keys", operation_id = "KeySlotsTest",
    params(crate::openapi::Version, crate::openapi::Id), request_body = Option<wire::Unseal>,
    responses((status = 200, description = "Whether it does", body = wire::KeySlotTested), crate::openapi::Errors))]
pub(crate) async fn key_slot_test(
    mut session: Session,
    Item(id): Item<KeySlotId>,
    request: Request,
) -> Result<Response, Problem> {
    let mut body = session.fields_if_any(request, fields::UNSEAL).await?;
    let slot = session.app().key_slot_get(&session.caller, id).await?;
    let key = sealing::opens(session.shared(), &slot, parse::given(&mut body)?).await?;
    let opens = session.app().key_slot_opens(&session.caller, &slot, &key).await?;
    Ok(json(StatusCode::OK, &wire::KeySlotTested { opens }))
}

/// Seal the server: it forgets every key, and answers nothing until it is unsealed
#[utoipa::path(post, path = "/strongroom/seal", tag = "Keys", operation_id = "SealCreate",
    params(crate::openapi::Version),
    responses((status = 200, description = "It is sealed", body = wire::Seal), crate::openapi::Errors))]
pub(crate) async fn seal(mut session: Session, request: Request) -> Result<Response, Problem> {
    session.fields_if_any(request, &[]).await?;
    session.app().seal_house(&session.caller).await?;
    tracing::warn!("the server was sealed: it answers nothing until it is unsealed");
    state(session.shared()).await
}

/// Whether the server is sealed, and what unseals it
#[utoipa::path(get, path = "/strongroom/seal", tag = "Keys", operation_id = "SealGet", security(()),
    responses((status = 200, description = "Whether it is", body = wire::Seal), crate::openapi::Errors))]
pub(crate) async fn seal_get(State(shared): State<Arc<Shared>>, _: Bare) -> Result<Response, Problem> {
    state(&shared).await
}

/// Unseal the server with a passphrase, with words or with shares; shares may come one by one
#[utoipa::path(post, path = "/strongroom/unseal", tag = "Keys", operation_id = "UnsealCreate", security(()),
    request_body = wire::Unseal,
    responses((status = 200, description = "Whether it is still sealed", body = wire::Seal), crate::openapi::Errors))]
pub(crate) async fn unseal(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let Unkeyed { mut fields, sender } = Unkeyed::read(&shared, request, fields::UNSEAL).await?;
    let given = parse::given(&mut fields)?.ok_or(SlotProblem::Input)?;
    sealing::unseal(&shared, given, &sender).await?;
    state(&shared).await
}

async fn state(shared: &Shared) -> Result<Response, Problem> {
    let sealed = shared.app.is_sealed();
    let slots = if sealed { shared.app.slots().await? } else { Vec::new() };
    Ok(json(StatusCode::OK, &view::seal(sealed, &slots, shared.sealing.shares())))
}
