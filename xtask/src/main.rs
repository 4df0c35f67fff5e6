//! What people and CI both run: set-up, tests, generated files, benchmarks and soaks.
//!
//! Kept to `clap`, `serde_json` and the standard library, so that it builds in seconds on a fresh machine: everything else
//! it needs, it installs (`setup.rs`). Every command runs from the root of the repository, so all paths in
//! here are relative to it.

mod bench;
mod build;
mod deploy;
mod fuzz;
mod generate;
mod http;
mod micro;
mod postgres;
mod process;
mod server;
mod setup;
mod soak;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Whatever went wrong, as a sentence for the person at the terminal.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Strongroom's developer commands.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Example: cargo xtask test --only clippy"
)]
enum Command {
    Test(test::Args),
    Bench(bench::Args),
    BenchNodes(bench::nodes::Args),
    BenchMicro(micro::Args),
    Fuzz(fuzz::Args),
    #[command(subcommand)]
    Soak(soak::Command),
    Generate(generate::Args),
    Setup(setup::Args),
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    match command {
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::BenchNodes(args) => bench::nodes::run(&args),
        Command::BenchMicro(args) => micro::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Soak(command) => soak::run(&command),
        Command::Generate(args) => generate::run(&args),
        Command::Setup(args) => setup::run(&args),
    }
}
