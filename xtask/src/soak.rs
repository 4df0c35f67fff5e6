//! The long forms of tests that run for a minute in `cargo xtask test`: for a night, or before a release.

use crate::process::{cargo, run as run_command};
use crate::{Result, fuzz};

/// Run the long form of a test.
#[derive(clap::Subcommand)]
#[command(
    after_help = "Examples:\n  cargo xtask soak crash --count 5000\n  cargo xtask soak rotation --count 2000\n  cargo xtask soak fuzz --minutes 480"
)]
pub(crate) enum Command {
    /// Kill the server under load, again and again, and look for lost changes.
    Crash {
        /// How many times the server is killed.
        #[arg(long, default_value_t = 2000)]
        count: u32,
    },
    /// Kill the server while its keys are rotated, again and again, and look for values that do not resolve.
    Rotation {
        /// How many times the server is killed, for rotations of vault and data keys and once more for those of the root key.
        #[arg(long, default_value_t = 500)]
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
        Command::Crash { count } => killed(("crash", "crash"), "STRONGROOM_CRASHES", *count),
        Command::Rotation { count } => killed(("rotation", "killed"), "STRONGROOM_ROTATION_CRASHES", *count),
        Command::Fuzz { minutes } => fuzz::all_targets(minutes * 60),
    }
}

/// Runs the tests that kill the server, with a count of their own.
fn killed((test, which): (&str, &str), setting: &str, count: u32) -> Result {
    let mut tests =
        cargo(["test", "--package", "strongroom-cli", "--test", test, "--", "--nocapture", which]);
    run_command(tests.env(setting, count.to_string()))
}
