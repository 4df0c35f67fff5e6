//! Installing what the other commands need: Debian packages, a Python environment, cargo-deny.
//!
//! Nothing is installed twice, and nothing that is there already.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::build::target_dir;
use crate::process::{cargo, command, run, succeeds};

/// Install what tests and benchmarks need, without running them.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask setup")]
pub(crate) struct Args {}

/// Something that a command needs beyond Rust and a C compiler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// A C++ compiler, for libFuzzer's runtime.
    Cxx,
    /// Python with `venv`, for the official client and the API test tools.
    Python,
    /// The load generator.
    Wrk,
}

const ALL: [Need; 3] = [Need::Cxx, Need::Python, Need::Wrk];

pub(crate) fn run_all() -> Result {
    debian_packages(&ALL)?;
    python_tools()?;
    cargo_deny().map(drop)
}

pub(crate) fn run(_: &Args) -> Result {
    run_all()
}
