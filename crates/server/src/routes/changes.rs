use axum::response::Response;
use http::{HeaderMap, StatusCode};

use crate::error::Problem;
use crate::feed::{self, Watcher};
use crate::parse::{self, fields};
use crate::session::{Listed, Session};
use crate::view::{self, json};

/// Follow the changes of vaults and secrets: a stretch of them, at once or when there are some, or a stream of events
#[utoipa::path(get, path = "/strongroom/changes", tag = "Changes", operation_id = "ChangesList",
    params(crate::openapi::Version, crate::openapi::Following),
    responses((status = 200, description = "Changes, in order, and the place after them. With `Accept: text/event-stream`, Server-Sent \
            Events: `id` is the place, `event` the type, `data` the change",
            content((strongroom_wire::ChangeList = "application/json"), (String = "text/event-stream"))),
        (status = 410, description = "The feed cannot be read on from there: begin again", body = strongroom_wire::Error),
        crate::openapi::Errors))]
pub(crate) async fn change_list(
    mut session: Session,
    headers: HeaderMap,
    listed: Listed,
) -> Result<Response, Problem> {
    let asked = parse::changes::changes(&session.query(&listed, fields::CHANGES)?, &headers)?;
    let shared = session.shared().clone();
    let from = shared.feed.start(&shared.app, asked.since).await?;
    if asked.streamed {
        return Ok(feed::stream(&shared, session.caller, from)?);
    }
    let page = if asked.wait.is_zero() {
        shared.app.change_list(&session.caller, from, asked.limit).await?
    } else {
        let mut watcher = Watcher::new(&shared, &session.caller)?;
        watcher.next(&mut session.caller, from, asked.limit, asked.wait).await?
    };
    shared.metrics.feed_changes.inc_by(page.changes.len() as u64);
    Ok(json(StatusCode::OK, &view::changes(&page)))
}
