//! `cargo xtask test`: everything that must hold before a change lands, in one command.

mod steps;

use std::time::{Duration, Instant};

use crate::Result;
use crate::setup::{self, Need};

/// Install what is missing, run every check and test in order, and close with a table.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --only clippy --only unit")]
pub(crate) struct Args {
    /// Run only this step; may be given more than once.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Print the steps and what each does, and run nothing.
    #[arg(long)]
    list: bool,
    /// How long each fuzz target runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    fuzz_seconds: u64,
}

struct Step {
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    run: fn(&Args) -> Result,
}

impl Step {
    const fn new(
        name: &'static str,
        about: &'static str,
        needs: &'static [Need],
        run: fn(&Args) -> Result,
    ) -> Self {
        Self { name, about, needs, run }
    }
}

/// The cheap steps come first, so that a slip is known early.
const STEPS: [Step; 13] = [
    Step::new("fmt", "the code is formatted", &[], steps::fmt),
    Step::new("clippy", "no lint of the compiler, of clippy or of ours fires", &[], steps::clippy),
    Step::new("docs", "the crates' documentation builds without a warning", &[], steps::docs),
    Step::new("deny", "the dependencies keep to deny.toml", &[], steps::deny),
    Step::new(
        "unit",
        "the tests of every crate, the crash test in its short form",
        &[Need::Postgres, Need::Python],
        steps::unit,
    ),
    Step::new(
        "nodes",
        "the server and the program do on PostgreSQL what they do on a file",
        &[Need::Postgres],
        steps::nodes,
    ),
    Step::new(
        "slots",
        "key slots of PKCS #11 and AWS KMS open",
        &[Need::Python, Need::SoftHsm],
        steps::slots,
    ),
    Step::new("generated", "generated files are fresh and valid", &[Need::Python], steps::generated),
    Step::new(
        "deploy",
        "systemd, Docker, Compose, nginx, Helm and Kubernetes take the files of deploy/",
        &[Need::Nginx, Need::Python, Need::Systemd],
        steps::deploy,
    ),
    Step::new(
        "compat",
        "the official clients work, unmodified, on a file and on PostgreSQL",
        &[Need::Postgres, Need::Python],
        steps::compat,
    ),
    Step::new(
        "schemathesis",
        "no answer to an invented request is a 5xx",
        &[Need::Python],
        steps::schemathesis,
    ),
    Step::new("fuzz", "no input breaks a parser, 5 seconds for each", &[Need::Cxx], steps::fuzz_targets),
    Step::new("bench", "the benchmarks still run", &[Need::Postgres, Need::Wrk], steps::bench_smoke),
];

pub(crate) fn run(args: &Args) -> Result {
    let steps = chosen(&args.only)?;
    if args.list {
        for step in steps {
            println!("{:<13} {}", step.name, step.about);
        }
        return Ok(());
    }
    let needs: Vec<_> = steps.iter().flat_map(|step| step.needs).copied().collect();
    setup::install(&needs)?;

    let count = steps.len();
    let mut outcomes = Vec::new();
    for (index, step) in steps.into_iter().enumerate() {
        println!("\n==> [{}/{count}] {}: {}", index + 1, step.name, step.about);
        let started = Instant::now();
        let result = (step.run)(args);
        let took = started.elapsed();
        match &result {
            Ok(()) => println!("<== {} passed in {}", step.name, seconds(took)),
            Err(error) => println!("<== {} FAILED after {}: {error}", step.name, seconds(took)),
        }
        outcomes.push(Outcome { name: step.name, passed: result.is_ok(), took });
    }
    summary(&outcomes)
}

fn chosen(only: &[String]) -> Result<Vec<Step>> {
    for name in only {
        if !STEPS.iter().any(|step| step.name == name) {
            return Err(format!("there is no step `{name}`; see: cargo xtask test --list").into());
        }
    }
    let wanted = |step: &Step| only.is_empty() || only.iter().any(|name| name == step.name);
    Ok(STEPS.into_iter().filter(wanted).collect())
}

struct Outcome {
    name: &'static str,
    passed: bool,
    took: Duration,
}

fn summary(outcomes: &[Outcome]) -> Result {
    println!("\nstep           result       time");
    for Outcome { name, passed, took } in outcomes {
        println!("{name:<14} {:<6} {:>10}", if *passed { "passed" } else { "FAILED" }, seconds(*took));
    }
    let total = outcomes.iter().map(|outcome| outcome.took).sum();
    println!("{:<14} {:<6} {:>10}\n", "all", "", seconds(total));
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed).collect();
    for Outcome { name, .. } in &failed {
        println!("{name} failed; to run it alone: cargo xtask test --only {name}");
    }
    println!("steps: {} passed, {} failed", outcomes.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { Err("not every step passed".into()) }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
