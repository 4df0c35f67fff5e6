//! The long forms of tests that run for a minute in `cargo xtask test`: for a night, or before a release.

use crate::process::{cargo, run as run_command};
use crate::{Result, fuzz};

/// Run the long form of a test.
#[derive(clap::Subcommand)]
#[command(
    after_help = "Examples:\n  cargo xtask soak crash --count 5000\n  cargo xtask soak rotation --count 2000\n  cargo xtask soak nodes --histories 10000 --rounds 50\n  cargo xtask soak fuzz --minutes 480"
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
    /// Have bad days of two nodes over one PostgreSQL, again and again, and check histories of what they were asked.
    Nodes {
        /// How many histories are checked of each bad day, at least.
        #[arg(long, default_value_t = 1000)]
        histories: u32,
        /// How often the faults of each bad day come.
        #[arg(long, default_value_t = 20)]
        rounds: u32,
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
        Command::Crash { count } => {
            long_form("crash", "crash", &[("STRONGROOM_CRASHES", &count.to_string())])
        }
        Command::Rotation { count } => {
            long_form("rotation", "killed", &[("STRONGROOM_ROTATION_CRASHES", &count.to_string())])
        }
        Command::Nodes { histories, rounds } => {
            let (histories, rounds) = (histories.to_string(), rounds.to_string());
            let settings = [
                ("STRONGROOM_NODE_HISTORIES", histories.as_str()),
                ("STRONGROOM_NODE_ROUNDS", rounds.as_str()),
            ];
            long_form("nodes", "", &settings)
        }
        Command::Fuzz { minutes } => fuzz::all_targets(minutes * 60),
    }
}

/// Runs tests whose names have this in them, with settings of their own.
fn long_form(test: &str, which: &str, settings: &[(&str, &str)]) -> Result {
    let mut tests =
        cargo(["test", "--package", "strongroom-cli", "--test", test, "--", "--nocapture", which]);
    run_command(tests.envs(settings.iter().copied()))
}
