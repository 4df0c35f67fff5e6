//! The long forms of tests that run for a minute in `cargo xtask test`: for a night, or before a release.

use crate::process::{cargo, run as run_command};
use crate::{Result, fuzz};

/// Run the long form of a test.
#[derive(clap::Subcommand)]
#[command(
    after_help = "Examples:\n  cargo xtask soak crash --count 5000\n  cargo xtask soak fuzz --minutes 480"
)]
pub(crate) enum Command {
    /// Kill the server under load, again and again, and look for lost changes.
    Crash {
        /// How many times the server is killed.
        #[arg(long, default_value_t = 2000)]
        count: u32,
    },
    /// Run every fuzz target for a long time.
    Fuzz {
        /// How long each target runs.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
}

pub(crate) fn run(command: &Command) -> Result {
    match command {
        Command::Crash { count } => crash(*count),
        Command::Fuzz { minutes } => fuzz::all_targets(minutes * 60),
    }
}

fn crash(count: u32) -> Result {
    let mut test = cargo(["test", "--package", "strongroom-cli", "--test", "crash", "--", "--nocapture"]);
    run_command(test.env("STRONGROOM_CRASHES", count.to_string()))
}
