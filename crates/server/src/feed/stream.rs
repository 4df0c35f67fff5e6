//! The feed as Server-Sent Events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use http_body::Frame;
use strongroom_domain::caller::Caller;
use strongroom_domain::change::{Changes, Cursor};
use strongroom_domain::page::PageLimit;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Watcher;
use crate::error::{self, Problem, Protocol};
use crate::listen::Streamed;
use crate::{Shared, view};

/// How often something is sent where nothing happens: what stands in between closes connections that are quiet.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader may leave what was sent to it before it is given up.
const UNREAD: Duration = Duration::from_secs(30);

/// An answer that goes on for as long as the caller reads it.
///
/// # Errors
/// [`Protocol::TooManyWatchers`].
pub(crate) fn stream(shared: &Arc<Shared>, caller: Caller, from: Cursor) -> Result<Response, Protocol> {
    // One batch waits while another is on its way: a slow reader holds no more than these, and goes on from its place.
    let (sender, receiver) = mpsc::channel(1);
    let streamed = Streamed::default();
    let (watcher, kept) = (Watcher::new(shared, &caller)?, streamed.clone());
    tokio::spawn(Sending { watcher, caller, place: from, sender, _kept: kept }.run());
    let mut response = Response::new(Body::new(Events(receiver)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would keep events back until there are many.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response.headers_mut().insert(unbuffered.0, unbuffered.1);
    response.extensions_mut().insert(streamed);
    Ok(response)
}

/// The body: what the task on the other side sends.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

struct Sending {
    watcher: Watcher,
    caller: Caller,
    place: Cursor,
    sender: mpsc::Sender<Bytes>,
    _kept: Streamed,
}

impl Sending {
    async fn run(mut self) {
        // The first tells where the reader is: it may be cut off before there is any change.
        let mut batch = Ok(Changes::after(self.place));
        while let Ok(page) = batch {
            self.place = page.cursor;
            self.watcher.shared.metrics.feed_changes.inc_by(page.changes.len() as u64);
            let sent = written(&page).map(|text| self.sender.send(text.into()));
            let Ok(sent) = sent else { return };
            if !matches!(timeout(UNREAD, sent).await, Ok(Ok(()))) || self.watcher.is_stopped() {
                return;
            }
            let next = self.watcher.next(&mut self.caller, self.place, PageLimit::MAX, HEARTBEAT);
            batch = tokio::select! {
                next = next => next,
                () = self.sender.closed() => return,
            };
        }
        if let Err(error) = batch {
            self.end(error.into()).await;
        }
    }

    /// Says why the stream ends before its time.
    async fn end(&self, problem: Problem) {
        let (_, body) = error::body(&problem, None);
        if let Ok(body) = serde_json::to_string(&body) {
            let text = format!("event: end\ndata: {body}\n\n");
            // Who does not take it is not there any more.
            let _ = timeout(UNREAD, self.sender.send(text.into())).await;
        }
    }
}

/// Changes as events; where there are none, a sign of life. Either tells where the reader is.
fn written(page: &Changes) -> serde_json::Result<String> {
    let mut text = String::new();
    for change in &page.changes {
        let change = view::change(change);
        let data = serde_json::to_string(&change)?;
        text += &format!("id: {}\nevent: {}\ndata: {data}\n\n", change.cursor, change.kind);
    }
    if page.changes.is_empty() {
        text = format!(": here\nid: {}\n\n", page.cursor);
    }
    Ok(text)
}
