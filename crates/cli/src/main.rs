#![doc = include_str!("../README.md")]

mod audit;
mod backup;
mod doctor;
mod failure;
mod folder;
mod house;
mod hygiene;
mod logging;
mod seed;
mod serve;
mod settings;
mod units;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::Failure;
use mimalloc::MiMalloc;
use settings::{Options, Settings};

/// A request allocates on one thread and frees on another as often as not, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Vaults and secrets: ngrok's Vaults & Secrets API, self-hosted.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = "Start here: strongroom serve")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server
    #[command(
        after_help = "Examples:\n  strongroom serve\n  strongroom serve --data-dir /var/lib/strongroom --listen 0.0.0.0:7070 \\\n    --tls-cert cert.pem --tls-key key.pem --external-url https://secrets.example.com:7070"
    )]
    Serve {
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Look at the settings
    Config {
        #[command(subcommand)]
        command: Config,
    },
    /// Check an installation, and say how to mend what is found
    #[command(after_help = "Example:\n  strongroom doctor --data-dir /var/lib/strongroom")]
    Doctor {
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Read and verify the audit log, with the server running or stopped
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Copy the store into a file, with the server running or stopped
    #[command(
        after_help = "Example:\n  strongroom backup /backups/strongroom-2026-11-23.db --data-dir /var/lib/strongroom\n\nThe file holds sealed values only: keep the root key too, in another place."
    )]
    Backup(backup::Backup),
    /// Put a backup into an empty data folder
    #[command(
        after_help = "Example:\n  strongroom restore /backups/strongroom-2026-11-23.db --data-dir /var/lib/strongroom"
    )]
    Restore(backup::Restore),
    /// Fill the store of a stopped server from JSON lines, with ids of your choice
    #[command(
        after_help = "Example:\n  strongroom seed secrets.jsonl\n\nEach line is one object:\n  {\"type\":\"vault\",\"name\":\"prod\"}\n  {\"type\":\"secret\",\"vault_name\":\"prod\",\"name\":\"db-password\",\"value\":\"…\"}\nOptional: id, description, metadata. '-' reads standard input."
    )]
    Seed(seed::Seed),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Subcommand)]
enum Config {
    /// Print the settings in force and where each comes from
    #[command(after_help = "Example:\n  strongroom config show --config strongroom.toml")]
    Show {
        #[command(flatten)]
        options: Box<Options>,
    },
}

fn main() -> ExitCode {
    hygiene::stay_small();
    let matches = Cli::command().get_matches();
    let result =
        Cli::from_arg_matches(&matches).map_err(|error| error.exit()).and_then(|cli| run(cli, &matches));
    match result {
        Ok(code) => code,
        Err(failure) => {
            failure::tell(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, matches: &clap::ArgMatches) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Serve { options } => serve::run(Settings::resolve(*options)?),
        Command::Config { command: Config::Show { options } } => {
            let given =
                matches.subcommand().and_then(|(_, config)| config.subcommand()).map(|(_, show)| show);
            out(&settings::show(*options, given)?)
        }
        Command::Doctor { options } => doctor::run(&Settings::resolve(*options)?),
        Command::Audit { command } => audit::run(command),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Seed(seed) => seed.run(),
        Command::Openapi => out(strongroom_server::openapi()),
    }
}

/// Prints to standard output. A reader that goes away, as `head` does, is no failure.
fn out(text: &str) -> Result<ExitCode, Failure> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new("standard output cannot be written").because(error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
