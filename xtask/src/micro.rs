//! `cargo xtask bench-micro`: how many instructions each piece of a request takes. They are the same in every run, however
//! busy the machine is.

use std::path::Path;

use crate::Result;
use crate::build;
use crate::process::{command, output};
use crate::setup::{self, Need};

/// Runs that are counted: the difference between one run and so many more leaves out what comes before the first.
const RUNS: u64 = 100;

/// Count the instructions of sealing, opening, filters and pages with callgrind; `cargo bench -p bench-micro` times them.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask bench-micro\n  cargo xtask bench-micro view_page_of_100")]
pub(crate) struct Args {
    /// Count these cases alone.
    cases: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result {
    setup::install(&[Need::Valgrind])?;
    let program = build::micro()?;
    let known = output(&mut command(&program))?;
    if let Some(unknown) = args.cases.iter().find(|case| !known.lines().any(|known| known == *case)) {
        return Err(format!("there is no case `{unknown}`; there are:\n{known}").into());
    }
    println!("{:<22} {:>12}", "case", "instructions");
    for case in
        known.lines().filter(|case| args.cases.is_empty() || args.cases.iter().any(|given| given == case))
    {
        println!("{case:<22} {:>12}", count(&program, case)?);
    }
    Ok(())
}

/// The instructions of one run of a case.
fn count(program: &Path, case: &str) -> Result<u64> {
    let (one, many) = (total(program, case, 1)?, total(program, case, 1 + RUNS)?);
    Ok(many.saturating_sub(one) / RUNS)
}

fn total(program: &Path, case: &str, runs: u64) -> Result<u64> {
    let mut valgrind = command("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/stdout", "--log-file=/dev/null"]);
    valgrind.arg(program).args([case, &runs.to_string()]);
    let text = output(&mut valgrind)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or_else(|| format!("callgrind told no total for {case}").into())
}
