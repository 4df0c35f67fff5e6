//! What the feed of changes is asked for.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::SignedDuration;
use strongroom_domain::change::Since;
use strongroom_domain::page::PageLimit;

use super::query::Query;
use super::{Result, list};
use crate::error::Protocol;

/// The longest that a request waits for a change.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What is asked of the feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) since: Since,
    pub(crate) limit: PageLimit,
    /// How long to wait for a change where there is none yet.
    pub(crate) wait: Duration,
    /// Whether the changes are to come as a stream of events.
    pub(crate) streamed: bool,
}

/// Reads the query of the feed, and the headers of those who have it streamed.
///
/// # Errors
/// [`Protocol::InvalidField`], and those of a page's size.
pub(crate) fn changes(query: &Query, headers: &HeaderMap) -> Result<Asked> {
    let streamed = accepts_events(headers);
    // A browser that takes a stream up again sends the query as it was, and where it has come to in this header.
    let last = headers.get("last-event-id").filter(|id| streamed && !id.is_empty());
    let since = match last {
        Some(id) => {
            cursor(id.to_str().unwrap_or_default()).ok_or(Protocol::InvalidHeader("Last-Event-ID"))?
        }
        None => query.get("after").map_or(Some(Since::Now), since).ok_or(Protocol::InvalidField("after"))?,
    };
    Ok(Asked {
        since,
        limit: query.get("limit").map_or(Ok(PageLimit::MAX), list::limit)?,
        wait: query.get("wait").map_or(Some(Duration::ZERO), wait).ok_or(Protocol::InvalidField("wait"))?,
        streamed,
    })
}

fn since(text: &str) -> Option<Since> {
    if text == "start" { Some(Since::Oldest) } else { cursor(text) }
}

fn cursor(text: &str) -> Option<Since> {
    text.parse().ok().map(Since::Cursor)
}

fn wait(text: &str) -> Option<Duration> {
    let wait = Duration::try_from(text.parse::<SignedDuration>().ok()?).ok()?;
    (wait <= WAIT_MAX).then_some(wait)
}

/// Whether the answer is to be a stream of events.
fn accepts_events(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = given.flat_map(|list| list.split(','));
    types
        .any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::parse::fields;

    fn read(raw: &str, headers: &[(&'static str, &str)]) -> Result<Asked> {
        let query = Query::parse(Some(raw), fields::CHANGES, false).unwrap();
        let header =
            |(name, value): &(&'static str, &str)| ((*name).try_into().unwrap(), value.parse().unwrap());
        changes(&query, &headers.iter().map(header).collect())
    }

    #[test]
    fn what_is_asked_is_read() {
        let cursor = |text: &str| Since::Cursor(text.parse().unwrap());
        let (older, newer) = ("3-0000000000000000", "7-00000000000000ff");
        let asked = read("", &[]).unwrap();
        assert_eq!((asked.since, asked.limit, asked.wait), (Since::Now, PageLimit::MAX, Duration::ZERO));
        assert!(!asked.streamed);
        let asked = read(&format!("after={older}&limit=7&wait=1m"), &[("last-event-id", newer)]).unwrap();
        assert_eq!((asked.since, asked.limit.get(), asked.wait), (cursor(older), 7, WAIT_MAX));
        assert_eq!(read("after=start", &[]).unwrap().since, Since::Oldest);
        let events = ("accept", "text/html, Text/Event-Stream;q=0.9");
        let asked = read(&format!("after={older}"), &[events, ("last-event-id", newer)]).unwrap();
        assert!(asked.streamed && asked.since == cursor(newer));
        assert_eq!(read("after=start", &[events, ("last-event-id", "")]).unwrap().since, Since::Oldest);
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in
            ["after=7", "after=Start", "wait=61s", "wait=-1s", "wait=30", "wait=soon", "limit=0", "limit=101"]
        {
            assert!(read(bad, &[]).is_err(), "{bad}");
        }
        let headers = [("accept", "text/event-stream"), ("last-event-id", "7")];
        assert!(read("after=start", &headers).is_err());
    }
}
