//! Coverage-guided fuzzing with libFuzzer on the stable compiler.
//!
//! The compiler flags are those of cargo-fuzz, less the sanitizers, which need another compiler and find memory
//! errors that safe Rust does not have. Panics, failed assertions, overflows, time-outs and memory use past
//! libFuzzer's limit are what is looked for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::build::{host, target_dir};
use crate::process::{Running, cargo, command, run as run_command};
use crate::setup::{self, Need};

/// What makes a build report its coverage to libFuzzer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Targets that run at the same time.
const ABREAST: usize = 2;

/// Fuzz the parsers; an input that breaks one is kept in fuzz/artifacts and fails the command.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz filter --seconds 600")]
pub(crate) struct Args {
    /// The target; without one, all of them.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

pub(crate) fn run(args: &Args) -> Result {
    match &args.target {
        None => all_targets(args.seconds),
        Some(name) if targets()?.contains(name) => fuzz(std::slice::from_ref(name), args.seconds),
        Some(name) => {
            Err(format!("there is no target `{name}`; there are: {}", targets()?.join(", ")).into())
        }
    }
}

pub(crate) fn all_targets(seconds: u64) -> Result {
    fuzz(&targets()?, seconds)
}

/// Every file in `fuzz/targets` is a target.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("fuzz/targets")? {
        if let Some(name) = entry?.file_name().to_string_lossy().strip_suffix(".rs") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn fuzz(names: &[String], seconds: u64) -> Result {
    setup::install(&[Need::Cxx])?;
    let programs = build()?;
    println!("\n{:<16} {:>12} {:>10} {:>9}  result", "target", "runs", "runs/s", "coverage");
    let mut broken = Vec::new();
    for abreast in names.chunks(ABREAST) {
        let started: Vec<_> =
            abreast.iter().map(|name| Target::start(&programs, name, seconds)).collect::<Result<_>>()?;
        for target in started {
            let name = target.name.clone();
            if !target.finish()? {
                broken.push(name);
            }
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(format!("broken by inputs that are kept in fuzz/artifacts: {}", broken.join(", ")).into())
    }
}

/// Builds all targets and returns the folder of their programs. They have a target folder of their own, since
/// these flags would otherwise rebuild everything else.
pub(crate) fn build() -> Result<PathBuf> {
    let folder = target_dir().join("fuzz");
    let host = host()?;
    let mut build = cargo(["build", "--package", "strongroom-fuzz", "--profile", "fuzz", "--target", &host]);
    run_command(build.arg("--target-dir").arg(&folder).env("RUSTFLAGS", FLAGS))?;
    Ok(folder.join(host).join("fuzz"))
}

/// A target that runs.
struct Target {
    name: String,
    log: PathBuf,
    running: Running,
}

impl Target {
    fn start(programs: &Path, name: &str, seconds: u64) -> Result<Self> {
        let folder = |kind: &str| PathBuf::from(format!("fuzz/{kind}/{name}"));
        for kind in ["corpus", "artifacts"] {
            fs::create_dir_all(folder(kind))?;
        }
        let log = programs.join(format!("{name}.log"));
        let mut fuzz = command(programs.join(name));
        fuzz.args([&format!("-max_total_time={seconds}"), "-timeout=10", "-rss_limit_mb=2048"])
            .args(["-print_final_stats=1", &format!("-artifact_prefix=fuzz/artifacts/{name}/")])
            // The panic's message is what is wanted, at the end of the log where it is shown.
            .env("RUST_BACKTRACE", "0")
            // New inputs go to the first folder, which git ignores; the seeds are only read.
            .args([folder("corpus"), folder("seeds")])
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        Ok(Self { name: name.to_owned(), running: Running::start(&mut fuzz)?, log })
    }

    /// Waits for the target, prints its line and says whether it held.
    fn finish(self) -> Result<bool> {
        let Self { name, log, running } = self;
        let held = running.wait()?.success();
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let figure = |label: &str| last_figure(&text, label).unwrap_or_else(|| "?".to_owned());
        println!(
            "{name:<16} {:>12} {:>10} {:>9}  {}",
            figure("stat::number_of_executed_units:"),
            figure("stat::average_exec_per_sec:"),
            figure(" cov:"),
            if held { "held" } else { "BROKEN" }
        );
        if !held {
            let tail: Vec<_> = text.lines().rev().take(40).collect();
            println!("\nthe end of {}:", log.display());
            tail.iter().rev().for_each(|line| println!("    {line}"));
        }
        Ok(held)
    }
}

/// The word after the last `label`.
fn last_figure(text: &str, label: &str) -> Option<String> {
    let (_, after) = text.rsplit_once(label)?;
    Some(after.split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::last_figure;

    #[test]
    fn finds_the_last_figure() {
        let log =
            "#2\tINITED cov: 32 ft: 32\n#30\tNEW    cov: 37 ft: 37\nstat::number_of_executed_units: 676700\n";
        assert_eq!(last_figure(log, " cov:").as_deref(), Some("37"));
        assert_eq!(last_figure(log, "stat::number_of_executed_units:").as_deref(), Some("676700"));
        assert_eq!(last_figure(log, "stat::peak_rss_mb:"), None);
    }
}
