#![doc = include_str!("../README.md")]

mod audit;
mod backup;
mod doctor;
mod failure;
mod folder;
mod help;
mod house;
mod hygiene;
mod ip_restrictions;
mod logging;
mod migrate_store;
mod remote;
mod root_key;
mod second_place;
mod seed;
mod self_signed;
mod serve;
mod settings;
mod units;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::Failure;
use mimalloc::MiMalloc;
use settings::{Options, Settings};
use strongroom_crypto::Wiping;

/// A request allocates on one thread and frees on another as often as not, which the system's allocator is slow at. What is given
/// back is wiped: libraries keep copies of values in buffers that are not ours.
#[global_allocator]
static ALLOCATOR: Wiping<MiMalloc> = Wiping::new(MiMalloc);

/// Vaults and secrets: ngrok's Vaults & Secrets API, self-hosted.
#[derive(Parser)]
#[command(
    name = "strongroom",
    version,
    arg_required_else_help = true,
    after_help = "Start here: strongroom serve\n\nExit codes: 0 done; 1 failed; 2 wrong usage; 3 not there; 4 no key, or not allowed; 5 the server does not answer;\n6 invalid; 7 conflict with what is there"
)]
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
    #[command(after_help = "Example:\n  strongroom config show")]
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
    /// Read, verify and prove the audit log
    #[command(after_help = "Example:\n  strongroom audit verify")]
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Copy the store into a file, with the server running or stopped
    #[command(
        after_help = "Example:\n  strongroom backup /backups/strongroom-2026-11-23.db --data-dir /var/lib/strongroom\n\nThe file holds sealed values only: keep the root key too, in another place."
    )]
    Backup(backup::Backup),
    /// Put a backup into an empty data folder, or one secret of it into a running server
    #[command(
        after_help = "Examples:\n  strongroom restore /backups/strongroom-2026-11-23.db --data-dir /var/lib/strongroom\n  strongroom restore --from /backups/strongroom-2026-11-23.db --secret prod:db-password --dry-run\n  strongroom restore --from /backups/strongroom-2026-11-23.db --secret prod:db-password --version 3 \\\n    --to prod:db-password-old --root-key-file /safe/root.key\n\nOne secret: its value is opened with the backup's root key and given to the server over its API, as the next version, or as a\nnew secret. Nothing else of the server changes, and its own root key may be another one."
    )]
    Restore(Box<backup::Restore>),
    /// Move the store from a file to a database, or back
    #[command(after_help = migrate_store::HELP)]
    MigrateStore(Box<migrate_store::MigrateStore>),
    /// Fill the store of a stopped server from JSON lines, with ids of your choice
    #[command(
        after_help = "Example:\n  strongroom seed secrets.jsonl\n\nEach line is one object:\n  {\"type\":\"vault\",\"name\":\"prod\"}\n  {\"type\":\"secret\",\"vault_name\":\"prod\",\"name\":\"db-password\",\"value\":\"…\"}\nOptional: id, description, metadata. '-' reads standard input."
    )]
    Seed(seed::Seed),
    /// Let yourself in again where an IP restriction keeps you out
    #[command(after_help = "Example:\n  strongroom ip-restrictions disable")]
    IpRestrictions {
        #[command(subcommand)]
        command: ip_restrictions::Command,
    },
    /// Print the OpenAPI document
    #[command(after_help = "Example:\n  strongroom openapi > openapi.json")]
    Openapi,

    // Commands that talk to a server.
    /// Run a program with secrets in its environment, or in files
    #[command(after_help = remote::run::HELP)]
    Run(Box<remote::run::Run>),
    /// Put values into templates: config files, Traffic Policies
    #[command(after_help = remote::render::HELP)]
    Render(Box<remote::render::Render>),
    /// Store, read and look after secrets
    #[command(after_help = "Example:\n  strongroom secret set prod:db-password")]
    Secret(Box<remote::secret::Secret>),
    /// Make and look after vaults, which hold secrets
    #[command(after_help = "Example:\n  strongroom vault create prod")]
    Vault(Box<remote::vault::Vault>),
    /// Make secrets of a file of values: .env, JSON or YAML
    #[command(after_help = remote::import::HELP)]
    Import(Box<remote::import::Import>),
    /// Write the values of a vault as .env, JSON or shell
    #[command(after_help = remote::export::HELP)]
    Export(Box<remote::export::Export>),
    /// Compare two vaults: names that are missing, values that differ, never a value
    #[command(after_help = remote::diff::HELP)]
    Diff(Box<remote::diff::Diff>),
    /// List secrets that nobody uses
    #[command(
        after_help = "Example:\n  strongroom stale --older 90d --vault prod\n\nA secret counts as used when it is made and whenever its value is resolved."
    )]
    Stale(Box<remote::stale::Stale>),
    /// List what became of vaults and secrets, and follow it
    #[command(after_help = remote::changes::HELP)]
    Changes(Box<remote::changes::Changes>),
    /// Have changes told to a URL of yours
    #[command(
        after_help = "Example:\n  strongroom webhook create https://hooks.example.com/strongroom --event secret_updated.v0"
    )]
    Webhook(Box<remote::webhook::Webhook>),
    /// List and rotate the keys that vaults are sealed with
    #[command(
        after_help = "Examples:\n  strongroom key list\n  strongroom key rotate vault prod\n  strongroom key rotate data --all"
    )]
    Key(Box<remote::key::Key>),
    /// Have the server forget every key, until it is unsealed
    #[command(after_help = "Example:\n  strongroom seal --yes")]
    Seal(Box<remote::seal::Seal>),
    /// Give a sealed server the passphrase, the words or the shares that open a key slot
    #[command(
        after_help = "Examples:\n  strongroom unseal\n  strongroom unseal --url https://secrets.example.com:7070 --with shamir\n  strongroom unseal --from /media/words.txt --with recovery\n\nNo API key is needed. Several people may each give a share from where they are, within ten minutes."
    )]
    Unseal(Box<remote::seal::Unseal>),
    /// Ask a server whether it is ready
    #[command(after_help = remote::healthcheck::HELP)]
    Healthcheck(Box<remote::healthcheck::Healthcheck>),
    /// Make and remove API keys
    #[command(after_help = "Example:\n  strongroom api-key create --grant 'resolve prod:*' --expires-in 90d")]
    ApiKey(Box<remote::api_key::ApiKey>),
    /// Say what a key may do with a secret, and which grant decides
    #[command(
        after_help = "Examples:\n  strongroom explain prod:db-password\n  strongroom explain --key ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD prod:db-password"
    )]
    Explain(Box<remote::explain::Explain>),
    /// Store a server's URL and an API key in a profile
    #[command(
        after_help = "Examples:\n  strongroom login --url https://secrets.example.com:7070\n  strongroom login --profile prod --api-key-file token.txt\n\nOn a terminal the key is asked for, and not shown; otherwise it is standard input. It is stored in a file that only you can\nread, once the server has taken it."
    )]
    Login(Box<remote::login::Login>),
    /// Remove a profile with its key
    #[command(after_help = "Example:\n  strongroom logout --profile prod")]
    Logout(Box<remote::login::Logout>),
    /// Say which key is used, whose it is and what it may do
    #[command(after_help = "Example:\n  strongroom whoami --profile prod")]
    Whoami(Box<remote::login::Whoami>),
    /// Call the API as 'ngrok api' does, with the same commands and flags
    #[command(after_help = "Example:\n  strongroom api secrets list --filter 'obj.vault_name == \"prod\"'")]
    Api(Box<remote::api::Api>),
    /// Print what a shell needs to complete commands
    #[command(
        after_help = "Examples:\n  strongroom completions bash > /etc/bash_completion.d/strongroom\n  strongroom completions fish > ~/.config/fish/completions/strongroom.fish"
    )]
    Completions(remote::completions::Completions),
    /// Write the manual pages
    #[command(
        after_help = "Examples:\n  strongroom man | man -l -\n  strongroom man /usr/local/share/man/man1"
    )]
    Man(remote::completions::Man),
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
    let matches = commands().get_matches();
    let result =
        Cli::from_arg_matches(&matches).map_err(|error| error.exit()).and_then(|cli| run(cli, &matches));
    match result {
        Ok(code) => code,
        Err(failure) => {
            failure::tell(&failure);
            failure.exit_code()
        }
    }
}

/// Every command, with the help of all.
fn commands() -> clap::Command {
    help::grouped(Cli::command())
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
        Command::MigrateStore(migrate) => migrate.run(),
        Command::Seed(seed) => seed.run(),
        Command::IpRestrictions { command } => command.run(),
        Command::Openapi => out(strongroom_server::openapi()),
        Command::Run(run) => run.run(),
        Command::Render(render) => render.run(),
        Command::Secret(secret) => secret.run(),
        Command::Vault(vault) => vault.run(),
        Command::Import(import) => import.run(),
        Command::Export(export) => export.run(),
        Command::Diff(diff) => diff.run(),
        Command::Stale(stale) => stale.run(),
        Command::Changes(changes) => changes.run(),
        Command::Webhook(webhook) => webhook.run(),
        Command::Key(key) => key.run(),
        Command::Seal(seal) => seal.run(),
        Command::Unseal(unseal) => unseal.run(),
        Command::Healthcheck(check) => check.run(),
        Command::ApiKey(key) => key.run(),
        Command::Explain(explain) => explain.run(),
        Command::Login(login) => login.run(),
        Command::Logout(logout) => logout.run(),
        Command::Whoami(whoami) => whoami.run(),
        Command::Api(api) => api.run(),
        Command::Completions(completions) => completions.run(commands()),
        Command::Man(man) => man.run(commands()),
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
