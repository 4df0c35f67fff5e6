//! `cargo xtask bench`: Strongroom beside a bare axum server that returns the same bytes, and beside others, in the
//! same run.
//!
//! Servers and load generators share the machine, so absolute figures say little and ratios much. The rivals take
//! turns, round by round, so that a slow minute of the machine slows all of them.

mod cases;
mod floors;
mod footprint;
mod json;
mod load;
mod machine;
pub(crate) mod nodes;
mod oha;
mod openbao;
mod plan;
mod plot;
mod report;
mod results;
mod seed;
mod session;
mod spread;
mod stand;
mod targets;
mod turns;
mod wrk;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Result;
use crate::build::{self, Servers};
use crate::server::scratch;
use crate::setup::{self, Need};
use load::Generators;
use plan::Plan;
use results::Results;
use session::Session;

pub(crate) use plan::Args;

pub(crate) fn run(args: &Args) -> Result {
    let plan = Plan::of(args)?;
    let mut needs = vec![Need::Wrk];
    needs.extend(plan.openbao.then_some(Need::Python));
    needs.extend(plan.nodes.then_some(Need::Postgres));
    setup::install(&needs)?;
    let oha = setup::oha()?.canonicalize()?;
    let programs = build::for_benchmarks()?;
    let results = measure(&plan, oha, &programs)?;
    println!("\n{}", report::markdown(&results));
    write(&results, Path::new("bench/results"))?;
    if plan.nodes { nodes::report(plan.rounds, plan.seconds, &programs) } else { Ok(()) }
}

/// One short round of everything, with the programs as the tests build them. It proves that the benchmarks still run, and says
/// nothing about speed.
pub(crate) fn smoke() -> Result {
    setup::install(&[Need::Wrk])?;
    let oha = setup::oha_unoptimised()?.canonicalize()?;
    let programs = build::servers_for_tests()?;
    nodes::smoke(&programs)?;
    let results = measure(&Plan::smoke(), oha, &programs)?;
    let folder = scratch("bench-results")?;
    write(&results, &folder)?;
    let read = |ending: &str| fs::read_to_string(folder.join(format!("smoke{ending}")));
    let json: serde_json::Value = serde_json::from_str(&read(".json")?)?;
    let measured = json["cases"].as_array().map_or(0, Vec::len);
    if measured < cases::CASES.len() || !read(".md")?.contains("## Ratios") {
        return Err(format!("the report tells of {measured} cases").into());
    }
    for (name, _) in plot::plots(&results) {
        if !read(&format!("-{name}.svg"))?.contains("<text") {
            return Err(format!("the plot `{name}` is empty").into());
        }
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}

fn measure(plan: &Plan, oha: PathBuf, programs: &Servers) -> Result<Results> {
    let openbao = if plan.openbao { Some(setup::openbao()?) } else { None };
    let started = Instant::now();
    let folder = scratch("bench")?;
    let mut machine = machine::describe()?;
    if let Some(program) = &openbao {
        machine = format!("{machine}; {}", openbao::version(program)?);
    }
    let results = Results {
        plan: plan.name.clone(),
        machine,
        rounds: plan.rounds,
        seconds: plan.seconds,
        series: Vec::new(),
        sizes: Vec::new(),
        footprints: Vec::new(),
        commit_bytes: 0,
        binary_bytes: fs::metadata(&programs.strongroom)?.len(),
    };
    let generators = Generators { oha, folder: folder.clone() };
    let mut session = Session { plan, programs, openbao, generators, folder: &folder, results };
    let outcome = session.run();
    let results = session.results;
    // By now every server has ended, whatever the outcome; of a failure the logs are left.
    outcome?;
    fs::remove_dir_all(&folder)?;
    println!("measured in {:.0} s", started.elapsed().as_secs_f64());
    Ok(results)
}

/// Writes all forms, named after the plan.
fn write(results: &Results, folder: &Path) -> Result {
    fs::create_dir_all(folder)?;
    let mut files = vec![
        (".md".to_owned(), report::markdown(results)),
        (".json".to_owned(), serde_json::to_string_pretty(&json::json(results))? + "\n"),
    ];
    files.extend(plot::plots(results).map(|(name, svg)| (format!("-{name}.svg"), svg)));
    for (ending, text) in files {
        let file = folder.join(format!("{}{ending}", results.plan));
        fs::write(&file, text)?;
        println!("wrote {}", file.display());
    }
    Ok(())
}
