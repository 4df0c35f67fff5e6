//! wrk: throughput over HTTP/1.1, and the rates of what oha cannot ask.

use super::cases::{Case, Draw};
use super::load::{Counted, Generators, Load, Target};
use super::results::Figures;
use crate::Result;
use crate::process::{command, output};

/// Runs a load and reads what `bench/wrk/requests.lua` prints at its end.
pub(super) fn run(
    generators: &Generators,
    case: &Case,
    target: &Target<'_>,
    load: &Load,
    run: &str,
) -> Result<Counted> {
    let lines = target.requests.iter().map(|line| format!("{}\t{}\t{}", line.method, line.path, line.body));
    let requests = generators.write("requests.tsv", lines)?;
    // With a single thread the load generator, not the bare server, would be the limit.
    let threads = load.connections.min(2).to_string();
    let draw = match target.draw {
        Draw::Any => "any",
        Draw::New => "new",
        Draw::Each => "each",
    };
    let mut wrk = command("wrk");
    wrk.args(["--threads", &threads, "--connections", &load.connections.to_string()])
        // The longest wait of a connection whose request keeps a core busy behind many others.
        .args(["--timeout", "60s", "--duration", &format!("{}s", load.seconds)])
        .args(["--script", "bench/wrk/requests.lua", &Generators::url(&target.api, load.protocol)])
        .env("BENCH_TOKEN", &target.api.token)
        .env("BENCH_REQUESTS", requests)
        .env("BENCH_CASE", case.name)
        .env("BENCH_DRAW", draw)
        .env("BENCH_THREADS", &threads)
        .env("BENCH_RUN", run);
    if let Some(due) = load.due {
        wrk.env("BENCH_RATE", due.to_string());
    }
    let text = output(&mut wrk)?;
    figures(&text).map_err(|problem| format!("{problem}\n{text}").into())
}

/// Reads the line of figures.
fn figures(text: &str) -> std::result::Result<Counted, String> {
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
    let requests = figure("requests")?;
    let micros = |name: &str| figure(name).map(|micros| micros as f64);
    let figures = Figures {
        per_second: requests as f64 / (micros("micros")? / 1e6),
        p50: micros("p50")?,
        p90: micros("p90")?,
        p99: micros("p99")?,
        p999: micros("p999")?,
        max: micros("max")?,
        cpu: f64::NAN,
    };
    Ok(Counted { requests, figures })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "figures requests=1000 micros=2000000 errors=0 p999=8 p50=5 p90=6 p99=7 max=80";

    #[test]
    fn reads_the_figures() {
        let read = figures(&format!("Running 2s test\n{LINE}\n")).unwrap();
        assert_eq!(read.requests, 1000);
        let Figures { per_second, p50, p90, p99, p999, max, .. } = read.figures;
        assert_eq!([per_second, p50, p90, p99, p999, max], [500.0, 5.0, 6.0, 7.0, 8.0, 80.0]);
    }

    #[test]
    fn a_failed_request_spoils_the_run() {
        assert_eq!(figures(&LINE.replace("errors=0", "errors=3")), Err("3 requests failed".to_owned()));
        assert!(figures("").is_err());
    }
}
