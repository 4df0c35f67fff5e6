//! One run of a load generator against one server.
//!
//! wrk costs the least processor and is what finds throughput over HTTP/1.1. oha speaks HTTP/2 and can keep to a rate; it
//! takes paths and bodies at random, so what must not come twice (a name, a deletion) stays with wrk, which keeps to a
//! rate with the help of `bench/wrk/requests.lua`.

use std::fs;
use std::path::PathBuf;

use super::cases::{Case, Draw, Request};
use super::results::{Figures, Protocol, Rival};
use super::{oha, wrk};
use crate::Result;
use crate::http::Api;
use crate::server::Server;

/// How hard is asked.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) protocol: Protocol,
    pub(super) connections: u32,
    pub(super) seconds: u32,
    /// Requests a second that are due, whether or not earlier ones were answered; none: each connection asks as soon
    /// as it has its answer.
    pub(super) due: Option<f64>,
}

/// A server and what it is asked.
pub(super) struct Target<'a> {
    pub(super) rival: Rival,
    pub(super) server: &'a Server,
    /// Where, and with which key.
    pub(super) api: Api,
    pub(super) requests: Vec<Request>,
    pub(super) draw: Draw,
}

/// The load generators, and a folder for what they read.
pub(super) struct Generators {
    pub(super) oha: PathBuf,
    pub(super) folder: PathBuf,
}

/// What a load generator counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Counted {
    pub(super) requests: u64,
    pub(super) figures: Figures,
}

/// Least share of the requests that were due which must have been answered in time, or the run says nothing: with many
/// waiting at its end, the middle latency is as long as the queue, and p99 looks good beside it.
const KEPT: f64 = 0.95;

impl Generators {
    /// Runs a load. An error of any kind in it spoils the figures, so it is one here. `run` sets the new texts of this
    /// run apart from those of every other.
    pub(super) fn run(&self, case: &Case, target: &Target<'_>, load: &Load, run: &str) -> Result<Figures> {
        let used = target.server.cpu_seconds()?;
        let Counted { requests, mut figures } = self.count(case, target, load, run)?;
        if requests == 0 {
            return Err(format!("{} of {}: nothing was answered", case.name, target.rival.name()).into());
        }
        if load.due.is_some_and(|due| (requests as f64) < due * f64::from(load.seconds) * KEPT) {
            // It fell behind: those who were not answered would be missing from the latencies.
            figures = Figures { p99: f64::INFINITY, ..Figures::rate(figures.per_second) };
        }
        figures.cpu = (target.server.cpu_seconds()? - used) / requests as f64 * 1e4;
        Ok(figures)
    }

    /// The same, without a look at the server.
    pub(super) fn count(&self, case: &Case, target: &Target<'_>, load: &Load, run: &str) -> Result<Counted> {
        let by_oha = load.protocol.is_http2() || (load.due.is_some() && case.free);
        let counted = if by_oha {
            oha::run(self, case, target, load, run)
        } else {
            wrk::run(self, case, target, load, run)
        };
        counted.map_err(|error| {
            format!("{} of {}, {}: {error}", case.name, target.rival.name(), load.protocol.name()).into()
        })
    }

    /// A file for the load generator, with a text of each request on a line.
    pub(super) fn write(&self, name: &str, lines: impl Iterator<Item = String>) -> Result<PathBuf> {
        let mut text = String::new();
        for line in lines {
            text += &line;
            text.push('\n');
        }
        let file = self.folder.join(name);
        fs::write(&file, text)?;
        Ok(file)
    }

    /// The URL that a path has at a server.
    pub(super) fn url(api: &Api, protocol: Protocol) -> String {
        format!("{}://{}", protocol.scheme(), api.authority)
    }
}
