//! `cargo xtask bench-nodes`: what several nodes over one PostgreSQL answer together, all on this machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::cases::{Case, find};
use super::load::{Generators, Load, Target};
use super::results::{Figures, Protocol, Rival};
use super::{machine, seed, stand};
use crate::Result;
use crate::build::{self, Servers};
use crate::http::Api;
use crate::postgres::{Place, Postgres};
use crate::server::{Server, scratch};
use crate::setup::{self, Need};

/// Measure one, two and three nodes over one PostgreSQL; a table goes to bench/results/nodes.md.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask bench-nodes --seconds 1 --rounds 1")]
pub(crate) struct Args {
    /// How often each number of nodes has its turn.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u32,
    /// How long each turn takes.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    seconds: u32,
}

/// Connections of all nodes together.
const CONNECTIONS: u32 = 64;
/// The most nodes.
const NODES: usize = 3;
/// Secrets in the store at the start.
const SECRETS: u64 = 1_000;
/// What is answered from memory, what is told in the log, and changes.
const CASES: [&str; 5] = ["get", "list", "resolve", "update", "create"];

pub(crate) fn run(args: &Args) -> Result {
    setup::install(&[Need::Wrk, Need::Postgres])?;
    report(args.rounds, args.seconds, &build::for_benchmarks()?)
}

/// Measures, and writes the table.
pub(super) fn report(rounds: u32, seconds: u32, programs: &Servers) -> Result {
    let table = measure(rounds, seconds, programs)?;
    println!("\n{table}");
    let file = Path::new("bench/results/nodes.md");
    fs::create_dir_all("bench/results")?;
    fs::write(file, table)?;
    println!("wrote {}", file.display());
    Ok(())
}

/// One short round, which proves that it still runs.
pub(super) fn smoke(programs: &Servers) -> Result {
    let table = measure(1, 1, programs)?;
    match CASES.iter().find(|case| !table.contains(&format!("\n| {case} | "))) {
        Some(case) => Err(format!("the table of nodes lacks {case}:\n{table}").into()),
        None => Ok(()),
    }
}

fn measure(rounds: u32, seconds: u32, programs: &Servers) -> Result<String> {
    let folder = scratch("bench-nodes")?;
    let postgres = Postgres::start(&folder)?;
    let nodes = start(programs, &folder, &postgres.create_database("bench")?)?;
    let mut table = format!(
        "# Nodes over one PostgreSQL\n\n{}. {CONNECTIONS} connections, spread over the nodes; medians of {rounds} rounds of {seconds} s.\n\n\
         | requests a second, and p99 | 1 node | 2 nodes | 3 nodes |\n| --- | --: | --: | --: |\n",
        machine::describe()?,
    );
    for name in CASES {
        let case = find(name).ok_or("an unknown case")?;
        let mut found = vec![Vec::new(); NODES];
        for round in 0..rounds {
            for (count, found) in (1..).zip(&mut found) {
                found.push(turn(case, &nodes[..count], seconds, round)?);
            }
        }
        let cells = found.into_iter().map(|rounds| {
            let (per_second, p99) = median(rounds);
            format!("{per_second:.0}/s, {:.1} ms", p99 / 1e3)
        });
        table += &format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
    }
    for node in nodes {
        node.server.stop()?;
    }
    postgres.stop()?;
    fs::remove_dir_all(&folder)?;
    Ok(table)
}

struct Node {
    server: Server,
    /// The same with a key that may resolve.
    resolver: Api,
    generators: Generators,
}

/// The first makes and fills the store; the others get its root key, as nodes do.
fn start(programs: &Servers, folder: &Path, place: &Place) -> Result<Vec<Node>> {
    let password_file = place.password_file.display().to_string();
    let database = ["--database", &place.url, "--database-password-file", &password_file];
    let data = |number: usize| folder.join(format!("node-{number}"));
    seed::fill_with(&programs.strongroom, &data(0), &database, SECRETS)?;
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let own = data(number);
        if number > 0 {
            fs::create_dir(&own)?;
            fs::set_permissions(&own, Permissions::from_mode(0o700))?;
            for file in ["root.key", "first-api-key"] {
                fs::copy(data(0).join(file), own.join(file))?;
            }
        }
        let log = folder.join(format!("node-{number}.log"));
        let server = Server::strongroom(&programs.strongroom, &own, &log, &database, None)?;
        let generators = Generators { oha: PathBuf::new(), folder: folder.join(format!("load-{number}")) };
        fs::create_dir(&generators.folder)?;
        let resolver = stand::resolver(&server.api)?;
        nodes.push(Node { server, resolver, generators });
    }
    Ok(nodes)
}

/// All nodes at once; how many requests they answered a second together, and the worst of their p99 in microseconds.
fn turn(case: &Case, nodes: &[Node], seconds: u32, round: u32) -> Result<(f64, f64)> {
    let connections = CONNECTIONS / nodes.len() as u32;
    let load = Load { protocol: Protocol::Http1, connections, seconds, due: None };
    let ask = |(number, node): (usize, &Node)| {
        let target = Target {
            rival: Rival::Strongroom,
            server: &node.server,
            api: if case.resolves { node.resolver.clone() } else { node.server.api.clone() },
            requests: (case.requests)(SECRETS),
            draw: case.draw,
        };
        let run = format!("n{}-{number}-{round}", nodes.len());
        node.generators.run(case, &target, &load, &run).map_err(|error| error.to_string())
    };
    let figures = std::thread::scope(|scope| {
        let ask = &ask;
        let asking: Vec<_> = nodes.iter().enumerate().map(|node| scope.spawn(move || ask(node))).collect();
        let answers =
            asking.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("it panicked".into())));
        answers.collect::<std::result::Result<Vec<Figures>, String>>()
    })?;
    let worst = figures.iter().map(|figures| figures.p99).fold(0.0, f64::max);
    Ok((figures.iter().map(|figures| figures.per_second).sum(), worst))
}

/// The round in the middle by its rate.
fn median(mut rounds: Vec<(f64, f64)>) -> (f64, f64) {
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    rounds.get(rounds.len() / 2).copied().unwrap_or((f64::NAN, f64::NAN))
}
