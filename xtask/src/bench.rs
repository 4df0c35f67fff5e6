//! `cargo xtask bench`: Strongroom beside a bare axum server that returns the same bytes, in the same run.
//!
//! Both servers and the load generator share the machine, so absolute figures say little and ratios much. The
//! two take turns, round by round, so that a slow minute of the machine slows both.

mod load;
mod machine;
mod report;
mod seed;

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::build::{self, Servers};
use crate::http::Api;
use crate::server::{Server, scratch};
use crate::setup::{self, Need};
use load::Load;
use report::{Case, Memory, Report, Round};

/// Measure Strongroom beside a bare axum server; the results go to bench/results as Markdown and JSON.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask bench --quick\n  cargo xtask bench --secrets 1000000")]
pub(crate) struct Args {
    /// Take about two minutes after the build: fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// How many secrets the store has at the start [default: 1000 with --quick, else 100000].
    #[arg(long, value_name = "N")]
    secrets: Option<u64>,
}

/// How much is measured.
struct Plan {
    name: &'static str,
    secrets: u64,
    rounds: u32,
    seconds: u32,
    starts: u32,
    connections: &'static [u32],
}

pub(crate) fn run(args: &Args) -> Result {
    let plan = if args.quick {
        let secrets = args.secrets.unwrap_or(1_000);
        Plan { name: "quick", secrets, rounds: 5, seconds: 2, starts: 5, connections: &[1, 64] }
    } else {
        let secrets = args.secrets.unwrap_or(100_000);
        Plan { name: "full", secrets, rounds: 7, seconds: 5, starts: 7, connections: &[1, 16, 64, 256] }
    };
    setup::install(&[Need::Wrk])?;
    let report = measure(&plan, &build::for_benchmarks()?)?;
    println!("\n{}", report.markdown());
    report.write(Path::new("bench/results"))
}

/// One short round of each case. It proves that the release build works and that the benchmarks still run, and
/// says little about speed.
pub(crate) fn smoke() -> Result {
    let plan = Plan { name: "smoke", secrets: 200, rounds: 1, seconds: 1, starts: 1, connections: &[1, 64] };
    setup::install(&[Need::Wrk])?;
    let report = measure(&plan, &build::for_benchmarks()?)?;
    println!("\n{}", report.markdown());
    Ok(())
}

fn measure(plan: &Plan, servers: &Servers) -> Result<Report> {
    let folder = scratch("bench")?;
    let (data, bodies) = (folder.join("data"), folder.join("bodies"));
    let seeding = Instant::now();
    seed::fill(&servers.strongroom, &data, plan.secrets)?;
    println!("seeded {} secrets in {:.1} s", plan.secrets, seeding.elapsed().as_secs_f64());

    let start = || Server::strongroom(&servers.strongroom, &data, &folder.join("strongroom.log"));
    let start_ms = start_times(plan, start)?;

    let strongroom = start()?;
    fs::create_dir(&bodies)?;
    let resolver = resolver(&strongroom.api)?;
    record_bodies(&strongroom.api, &resolver, &bodies)?;
    let floor = Server::floor(&servers.floor, &bodies, &folder.join("floor.log"))?;
    check_floor(&strongroom.api, &floor.api)?;

    let at_start_kb = strongroom.memory_kb("VmRSS")?;
    let ids = seed::write_ids(&folder.join("ids"), plan.secrets)?;
    let cases = run_cases(plan, &strongroom.api, &resolver, &floor.api, &ids)?;
    let memory = Memory {
        at_start_kb,
        at_end_kb: strongroom.memory_kb("VmRSS")?,
        peak_kb: strongroom.memory_kb("VmHWM")?,
        floor_peak_kb: floor.memory_kb("VmHWM")?,
    };
    floor.stop()?;
    strongroom.stop()?;
    fs::remove_dir_all(folder)?;
    Ok(Report {
        plan: plan.name,
        machine: machine::describe()?,
        secrets: plan.secrets,
        rounds: plan.rounds,
        seconds: plan.seconds,
        cases,
        memory,
        start_ms,
    })
}

/// How long each start takes, from the new process to its first answer, in milliseconds.
fn start_times(plan: &Plan, start: impl Fn() -> Result<Server>) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..plan.starts {
        let started = Instant::now();
        let server = start()?;
        expect(server.api.get(&one_secret())?.status, 200)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        server.stop()?;
    }
    Ok(times)
}

/// Each case and number of connections in turn. Creates come last: they change the store for what follows.
fn run_cases(plan: &Plan, strongroom: &Api, resolver: &Api, floor: &Api, ids: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, script, references) in [
        ("get metadata", "get", 0),
        ("list page of 100", "list", 0),
        ("resolve one, audit durable", "resolve", 1),
        ("resolve 50, audit durable", "resolve", MANY),
        ("durable create", "create", 0),
    ] {
        for &connections in plan.connections {
            let mut rounds = Vec::new();
            for number in 0..plan.rounds {
                let run = format!("c{connections}r{number}");
                let load = Load { script, connections, seconds: plan.seconds, ids, references, run: &run };
                let strongroom = if references > 0 { resolver } else { strongroom };
                rounds.push(Round { strongroom: load.run(strongroom)?, floor: load.run(floor)? });
            }
            let case = Case { name, connections, rounds };
            println!("{case}");
            cases.push(case);
        }
    }
    Ok(cases)
}

/// Secrets in a request of the case that resolves many.
const MANY: usize = 50;

/// The same server with the token of a key that may resolve.
fn resolver(api: &Api) -> Result<Api> {
    let answer = api.post("/api_keys", r#"{"grants":[{"action":"resolve","vault":"bench"}]}"#)?;
    expect(answer.status, 201)?;
    let token = answer.body.split("\"token\":\"").nth(1).and_then(|rest| rest.split('"').next());
    Ok(Api { token: token.ok_or("the answer holds no token")?.to_owned(), ..api.clone() })
}

/// The request for the values of so many secrets.
fn resolve(count: usize) -> String {
    let reference = format!(r#"{{"vault":"bench","name":"{}"}}"#, seed::name(0));
    format!(r#"{{"secrets":[{}]}}"#, vec![reference; count].join(","))
}

/// Keeps Strongroom's own answers as the bytes that the bare server returns.
fn record_bodies(api: &Api, resolver: &Api, bodies: &Path) -> Result {
    let new = r#"{"vault_name":"bench","name":"recorded-0-0","value":"postgres://app:correct-horse@db.internal:5432/app","description":"Connection string of the application","metadata":"{\"environment\":\"bench\"}"}"#;
    let page = api.get(PAGE)?;
    let one = api.get(&one_secret())?;
    let created = api.post("/vault_secrets", new)?;
    let value = resolver.post("/strongroom/resolve", &resolve(1))?;
    let values = resolver.post("/strongroom/resolve", &resolve(MANY))?;
    let answers = [
        ("list", 200, page),
        ("get", 200, one),
        ("created", 201, created),
        ("value", 200, value),
        ("values", 200, values),
    ];
    for (name, status, answer) in answers {
        expect(answer.status, status)?;
        fs::write(bodies.join(format!("{name}.json")), answer.body)?;
    }
    Ok(())
}

/// The comparison is fair only while both servers return the same.
fn check_floor(strongroom: &Api, floor: &Api) -> Result {
    let path = one_secret();
    let (theirs, ours) = (floor.get(&path)?, strongroom.get(&path)?);
    if theirs == ours {
        Ok(())
    } else {
        Err(format!("the bare server does not return what Strongroom returns:\n{theirs:?}\n{ours:?}").into())
    }
}

const PAGE: &str = "/vault_secrets?limit=100";

fn one_secret() -> String {
    format!("/vault_secrets/{}", seed::id(0))
}

fn expect(found: u16, status: u16) -> Result {
    if found == status { Ok(()) } else { Err(format!("expected the status {status}, found {found}").into()) }
}
