//! One run of the load generator, wrk.

use std::path::Path;

use crate::Result;
use crate::http::Api;
use crate::process::{command, output};

/// What is asked, and how hard.
pub(super) struct Load<'a> {
    /// The script under `bench/wrk`.
    pub(super) script: &'a str,
    pub(super) connections: u32,
    pub(super) seconds: u32,
    /// The ids and names that the `get` and `resolve` scripts draw from.
    pub(super) ids: &'a Path,
    /// How many secrets a request of the `resolve` script names.
    pub(super) references: usize,
    /// Sets the names that this run creates apart from those of every other.
    pub(super) run: &'a str,
}

/// What one run measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    /// Latencies in microseconds, as wrk's closed loop sees them.
    pub(super) p50: u64,
    pub(super) p90: u64,
    pub(super) p99: u64,
    pub(super) max: u64,
}

impl Load<'_> {
    /// Runs this load against a server. An error of any kind in it spoils the figures, so it is one here.
    pub(super) fn run(&self, api: &Api) -> Result<Figures> {
        let connections = self.connections.to_string();
        // With a single thread the load generator, not the bare server, would be the limit.
        let threads = self.connections.min(2).to_string();
        let mut wrk = command("wrk");
        wrk.args(["--threads", &threads, "--connections", &connections, "--timeout", "10s"])
            .args(["--duration", &format!("{}s", self.seconds)])
            .args(["--script", &format!("bench/wrk/{}.lua", self.script)])
            .arg(format!("http://{}", api.authority))
            .env("BENCH_TOKEN", &api.token)
            .env("BENCH_IDS", self.ids)
            .env("BENCH_REFERENCES", self.references.to_string())
            .env("BENCH_RUN", self.run);
        let text = output(&mut wrk)?;
        figures(&text)
            .map_err(|problem| format!("{} on {}: {problem}\n{text}", self.script, api.authority).into())
    }
}

/// Reads the line that `bench/wrk/common.lua` prints.
fn figures(text: &str) -> std::result::Result<Figures, String> {
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let line = line.ok_or("wrk printed no figures")?;
    let figure = |name: &str| {
        let value = line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse::<u64>().ok()).ok_or(format!("wrk printed no figure `{name}`"))
    };
    let errors = figure("errors")?;
    if errors > 0 {
        return Err(format!("{errors} requests failed"));
    }
    let seconds = figure("micros")? as f64 / 1e6;
    Ok(Figures {
        per_second: figure("requests")? as f64 / seconds,
        p50: figure("p50")?,
        p90: figure("p90")?,
        p99: figure("p99")?,
        max: figure("max")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "figures requests=1000 micros=2000000 errors=0 p50=5 p90=6 p99=7 max=80";

    #[test]
    fn reads_the_figures() {
        let expected = Figures { per_second: 500.0, p50: 5, p90: 6, p99: 7, max: 80 };
        assert_eq!(figures(&format!("Running 2s test\n{LINE}\n")), Ok(expected));
    }

    #[test]
    fn a_failed_request_spoils_the_run() {
        assert_eq!(figures(&LINE.replace("errors=0", "errors=3")), Err("3 requests failed".to_owned()));
        assert!(figures("").is_err());
    }
}
