//! `cargo xtask test`: everything that must hold before a change lands, in one command.

mod steps;

use std::fs::File;
use std::time::{Duration, Instant};

use crate::process::{Running, command};
use crate::server::scratch;
use crate::setup::{self, Need};
use crate::{Result, fuzz};

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
    /// Make what the steps will need, and run none of them.
    #[arg(long, hide = true)]
    ahead: bool,
    /// How long each fuzz target runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    fuzz_seconds: u64,
}

struct Step {
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    /// Makes what the step needs beyond that and takes long; in the step itself the same is there already.
    ahead: fn() -> Result,
    run: fn(&Args) -> Result,
}

impl Step {
    const fn new(
        name: &'static str,
        about: &'static str,
        needs: &'static [Need],
        run: fn(&Args) -> Result,
    ) -> Self {
        Self { name, about, needs, ahead: || Ok(()), run }
    }

    const fn ahead(mut self, ahead: fn() -> Result) -> Self {
        self.ahead = ahead;
        self
    }
}

/// The cheap steps come first, so that a slip is known early; but what has to be built for a step is built while the tests
/// of `unit` and `nodes` wait.
const STEPS: [Step; 13] = [
    Step::new("fmt", "the code is formatted", &[], steps::fmt),
    Step::new("clippy", "no lint of the compiler, of clippy or of ours fires", &[], steps::clippy),
    Step::new("docs", "the crates' documentation builds without a warning", &[], steps::docs),
    Step::new("build", "the tests of every crate build", &[], steps::build),
    Step::new(
        "unit",
        "the tests of every crate, the crash test in its short form",
        &[Need::Faketime, Need::Postgres, Need::Python, Need::SoftHsm],
        steps::unit,
    )
    .ahead(steps::key_services),
    Step::new(
        "nodes",
        "the server and the program do on PostgreSQL what they do on a file",
        &[Need::Postgres],
        steps::nodes,
    ),
    Step::new("generated", "generated files are fresh and valid", &[Need::Python], steps::generated)
        .ahead(|| setup::python_tools().map(drop)),
    Step::new(
        "deploy",
        "systemd, Docker, Compose, nginx, Helm and Kubernetes take the files of deploy/",
        &[Need::Nginx, Need::Python, Need::Systemd],
        steps::deploy,
    )
    .ahead(|| setup::deploy_tools().map(drop)),
    Step::new("deny", "the dependencies keep to deny.toml", &[], steps::deny)
        .ahead(|| setup::cargo_deny().map(drop)),
    Step::new(
        "compat",
        "the official clients work, unmodified, on a file and on PostgreSQL",
        &[Need::Postgres, Need::Python],
        steps::compat,
    )
    .ahead(steps::clients),
    Step::new(
        "schemathesis",
        "no answer to an invented request is a 5xx",
        &[Need::Python],
        steps::schemathesis,
    )
    .ahead(|| setup::python_tools().map(drop)),
    Step::new("fuzz", "no input breaks a parser, 5 seconds for each", &[Need::Cxx], steps::fuzz_targets)
        .ahead(|| fuzz::build().map(drop)),
    Step::new("bench", "the benchmarks still run", &[Need::Postgres, Need::Wrk], steps::bench_smoke)
        .ahead(|| setup::oha_unoptimised().map(drop)),
];

pub(crate) fn run(args: &Args) -> Result {
    let steps = chosen(&args.only)?;
    if args.list {
        for step in steps {
            println!("{:<13} {}", step.name, step.about);
        }
        return Ok(());
    }
    if args.ahead {
        return make_ahead(&steps);
    }
    if !setup::is_root()? {
        // A password is asked for now or never.
        setup::install(&needs(&steps))?;
    }
    let _ahead = start_ahead(args)?;

    let count = steps.len();
    let mut outcomes = Vec::new();
    for (index, step) in steps.into_iter().enumerate() {
        println!("\n==> [{}/{count}] {}: {}", index + 1, step.name, step.about);
        let started = Instant::now();
        let result = setup::install(step.needs).and_then(|()| (step.run)(args));
        let took = started.elapsed();
        match &result {
            Ok(()) => println!("<== {} passed in {}", step.name, seconds(took)),
            Err(error) => println!("<== {} FAILED after {}: {error}", step.name, seconds(took)),
        }
        outcomes.push(Outcome { name: step.name, passed: result.is_ok(), took });
    }
    summary(&outcomes)
}

fn needs(steps: &[Step]) -> Vec<Need> {
    steps.iter().flat_map(|step| step.needs).copied().collect()
}

/// Starts a process that makes what these steps will need, out of the time that they leave. A step waits for what is being
/// made; what could not be made is made in the step, where one sees why it fails.
fn start_ahead(args: &Args) -> Result<Running> {
    let log = scratch("ahead")?.join("log");
    println!("what the steps need is made meanwhile; the log is {}", log.display());
    let log = File::create(log)?;
    let mut ahead = command("nice");
    ahead.args(["-n", "19"]).arg(std::env::current_exe()?).args(["test", "--ahead"]);
    ahead.args(args.only.iter().flat_map(|name| ["--only", name]));
    Running::start(ahead.stdout(log.try_clone()?).stderr(log))
}

fn make_ahead(steps: &[Step]) -> Result {
    if let Err(error) = setup::install(&needs(steps)) {
        eprintln!("error: {error}");
    }
    for step in steps {
        if let Err(error) = (step.ahead)() {
            eprintln!("error: for {}: {error}", step.name);
        }
    }
    Ok(())
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
