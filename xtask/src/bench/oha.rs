//! oha: throughput over HTTP/2, and latencies at a rate that does not wait for answers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cases::{Case, Request};
use super::load::{Counted, Generators, Load, Target};
use super::results::Figures;
use crate::Result;
use crate::process::{command, output};

/// Streams of an HTTP/2 connection, where there are as many requests at once.
const STREAMS: u32 = 8;

/// How many bodies it draws from: so many that hardly any comes twice.
const BODIES: usize = 50_000;

/// Runs a load and reads its JSON.
pub(super) fn run(
    generators: &Generators,
    case: &Case,
    target: &Target<'_>,
    load: &Load,
    run: &str,
) -> Result<Counted> {
    let first = target.requests.first().ok_or("a case without requests")?;
    let base = Generators::url(&target.api, load.protocol);
    let paths: BTreeSet<&str> = target.requests.iter().map(|request| request.path.as_str()).collect();
    let urls = generators.write("urls.txt", paths.into_iter().map(|path| format!("{base}{path}")))?;
    let streams = if load.protocol.is_http2() { STREAMS.min(load.connections) } else { 1 };
    let mut oha = command(&generators.oha);
    oha.args([
        "--no-tui",
        "--output-format",
        "json",
        "--insecure",
        "--disable-compression",
        "--no-pre-lookup",
    ])
    .args(["-c", &(load.connections / streams).to_string(), "-p", &streams.to_string()])
    .args(["-z", &format!("{}s", load.seconds), "-w", "-t", "60s", "-m", first.method])
    .args(["-H", "ngrok-version: 2", "-H", &format!("bench-case: {}", case.name)])
    // There is no other way to give it a token; the one here is of a store that ends with the run.
    .args(["-H", &format!("authorization: Bearer {}", target.api.token)]);
    if load.protocol.is_http2() {
        oha.arg("--http2");
    }
    if let Some(due) = load.due {
        oha.args(["-q", &due.to_string(), "--latency-correction"]);
    }
    if !first.body.is_empty() {
        let lines = bodies(&target.requests, run);
        oha.args(["-T", "application/json", "-Z"]).arg(generators.write("bodies.txt", lines.into_iter())?);
    }
    let text = output(oha.arg("--urls-from-file").arg(urls))?;
    figures(&serde_json::from_str(&text)?)
}

/// The bodies to draw from, each with a new text in its place.
fn bodies(requests: &[Request], run: &str) -> Vec<String> {
    if requests.iter().any(|request| request.body.contains("{new}")) {
        let turns = requests.iter().cycle().take(BODIES);
        return turns
            .enumerate()
            .map(|(number, request)| request.with(&format!("{run}-{number}")).body)
            .collect();
    }
    requests.iter().map(|request| request.body.clone()).collect()
}

/// How oha calls the requests that were under way when the time was up.
const CUT_OFF: &str = "aborted due to deadline";

fn figures(json: &Value) -> Result<Counted> {
    let counts = |name: &str| json[name].as_object().ok_or(format!("oha tells no `{name}`"));
    if let Some((error, count)) = counts("errorDistribution")?.iter().find(|(error, _)| *error != CUT_OFF) {
        return Err(format!("{count} requests failed: {error}").into());
    }
    let mut requests = 0;
    for (status, count) in counts("statusCodeDistribution")? {
        if !status.starts_with('2') {
            return Err(format!("{count} requests were answered {status}").into());
        }
        requests += count.as_u64().unwrap_or_default();
    }
    let number = |value: &Value, name: &str| value[name].as_f64().ok_or(format!("oha tells no `{name}`"));
    let micros = |name: &str| number(&json["latencyPercentiles"], name).map(|seconds| seconds * 1e6);
    let figures = Figures {
        per_second: requests as f64 / number(&json["summary"], "total")?,
        p50: micros("p50")?,
        p90: micros("p90")?,
        p99: micros("p99")?,
        p999: micros("p99.9")?,
        max: number(&json["summary"], "slowest")? * 1e6,
        cpu: f64::NAN,
    };
    Ok(Counted { requests, figures })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "summary": { "total": 2.0, "slowest": 0.5 },
            "latencyPercentiles": { "p50": 0.001, "p90": 0.002, "p99": 0.003, "p99.9": 0.004 },
            "statusCodeDistribution": { "200": 100, "201": 50 },
            "errorDistribution": { "aborted due to deadline": 8 },
        })
    }

    #[test]
    fn reads_its_json() {
        let Counted { requests, figures } = figures(&answer()).unwrap();
        assert_eq!((requests, figures.per_second), (150, 75.0));
        assert_eq!(figures.p50.round(), 1000.0);
        assert_eq!([figures.p99.round(), figures.p999.round(), figures.max], [3000.0, 4000.0, 500_000.0]);
    }

    #[test]
    fn a_failed_request_spoils_the_run() {
        let mut refused = answer();
        refused["statusCodeDistribution"]["409"] = json!(1);
        assert_eq!(figures(&refused).unwrap_err().to_string(), "1 requests were answered 409");
        let mut broken = answer();
        broken["errorDistribution"]["connection closed"] = json!(2);
        assert!(figures(&broken).unwrap_err().to_string().contains("connection closed"));
        assert!(figures(&json!({})).is_err());
    }

    #[test]
    fn new_bodies_differ() {
        let request = Request { method: "POST", path: "/".into(), body: "{new}".into() };
        let made = bodies(&[request], "run");
        assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), BODIES);
    }
}
