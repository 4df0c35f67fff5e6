//! `strongroom audit events` and `audit tail`: the log of a server, for whoever may read it.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use strongroom_client::api::Client;
use strongroom_domain::audit::Order;
use strongroom_wire::Listed;

use super::Remote;
use crate::failure::Failure;

/// Events that one page has at most.
const PAGE: usize = 100;
/// Between two looks at the end of the log.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Events {
    #[command(flatten)]
    remote: Remote,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// Only events that this holds for, such as 'obj.event_type == "secret_resolved.v0"'
    #[arg(long, value_name = "CEL")]
    filter: Option<String>,
    /// At most so many events [default: all]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

#[derive(Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    remote: Remote,
    /// How many of the last events to begin with
    #[arg(short = 'n', long, default_value_t = 10, value_name = "NUMBER")]
    lines: usize,
    /// Wait for events that are still to come, and print them
    #[arg(short, long)]
    follow: bool,
    /// Only events that this holds for
    #[arg(long, value_name = "CEL")]
    filter: Option<String>,
}

impl Events {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let order = if self.oldest_first { Order::OldestFirst } else { Order::NewestFirst };
        let (mut past, mut left) = (None, self.limit.unwrap_or(usize::MAX));
        while left > 0 {
            let (events, more) = page(&client, order, past, left, self.filter.as_deref())?;
            left -= events.len();
            past = events.last().map(Listed::sequence);
            if !print(&events)? || !more {
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Tail {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let filter = self.filter.as_deref();
        // Where the log ends is looked at first: what comes meanwhile is told once, and not missed.
        let end = page(&client, Order::NewestFirst, None, 1, None)?.0.first().map_or(0, Listed::sequence);
        let (mut last, mut past) = (Vec::new(), Some(end + 1));
        while last.len() < self.lines {
            let (events, more) = page(&client, Order::NewestFirst, past, self.lines - last.len(), filter)?;
            past = events.last().map(Listed::sequence);
            last.extend(events);
            if !more {
                break;
            }
        }
        last.reverse();
        if print(&last)? && self.follow { follow(&client, end, filter) } else { Ok(ExitCode::SUCCESS) }
    }
}

/// Prints what comes after an event, for as long as somebody reads it.
fn follow(client: &Client, mut past: u64, filter: Option<&str>) -> Result<ExitCode, Failure> {
    loop {
        // What the filter passes over is not to be walked again each second.
        let seen = if filter.is_some() { newest(client)? } else { past };
        let (events, more) = page(client, Order::OldestFirst, Some(past), PAGE, filter)?;
        past = events.last().map_or(past, Listed::sequence);
        if !more {
            past = past.max(seen);
        }
        if !print(&events)? {
            return Ok(ExitCode::SUCCESS);
        }
        if !more {
            std::thread::sleep(PAUSE);
        }
    }
}

/// The number of the newest event.
fn newest(client: &Client) -> Result<u64, Failure> {
    let (events, _) = page(client, Order::NewestFirst, None, 1, None)?;
    Ok(events.first().map_or(0, Listed::sequence))
}

/// A page of events, and whether another follows.
fn page(
    client: &Client,
    order: Order,
    past: Option<u64>,
    limit: usize,
    filter: Option<&str>,
) -> Result<(Vec<Listed>, bool), Failure> {
    let (order, bound) = match order {
        Order::NewestFirst => ("newest", "before"),
        Order::OldestFirst => ("oldest", "after"),
    };
    let (past, limit) = (past.map(|past| past.to_string()), limit.min(PAGE).to_string());
    let mut query = vec![("order", order), ("limit", &limit)];
    query.extend(past.as_deref().map(|past| (bound, past)));
    query.extend(filter.map(|filter| ("filter", filter)));
    let page = client.audit_events(&query)?;
    Ok((page.audit_events, page.next_page_uri.is_some()))
}

/// Prints events as JSON lines; says whether somebody still reads them.
fn print(events: &[Listed]) -> Result<bool, Failure> {
    let mut text = String::new();
    for event in events {
        let line = serde_json::to_string(event);
        text += &line.map_err(|error| Failure::new("an event cannot be printed").because(error))?;
        text.push('\n');
    }
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        written => written
            .map(|()| true)
            .map_err(|error| Failure::new("standard output cannot be written").because(error)),
    }
}
