//! `strongroom audit`.

mod export;
mod list;
mod verify;

pub(crate) use verify::events;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use strongroom_crypto::LogKey;
use strongroom_domain::app::audit::Log;
use strongroom_domain::ids::AccountId;
use strongroom_domain::store::Store;
use strongroom_server::view;
use strongroom_store::postgres::PostgresStore;
use strongroom_store::sqlite::SqliteStore;

use crate::failure::Failure;
use crate::remote;
use crate::settings::{Place, Settings, unusable};
use crate::{folder, root_key};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Walk the whole log and name the first bad record
    #[command(after_help = verify::HELP)]
    Verify(verify::Verify),
    /// Print the events of a store as JSON lines, oldest first
    #[command(
        after_help = "Examples:\n  strongroom audit list\n  strongroom audit list --after 1000 --limit 50"
    )]
    List(list::List),
    /// Print the events of a running server as JSON lines, the newest first
    #[command(
        after_help = "Examples:\n  strongroom audit events --limit 20\n  strongroom audit events --oldest-first --filter 'obj.principal.subject == \"ci\"'\n\nIt takes an admin's key or one with the grant audit. A filter may ask about event_id, event_type, event_timestamp,\nprincipal.id, principal.subject and object.id."
    )]
    Events(remote::events::Events),
    /// Print the last events of a running server, and with --follow those that come
    #[command(
        after_help = "Examples:\n  strongroom audit tail\n  strongroom audit tail -f --filter 'obj.event_type == \"secret_resolved.v0\"'"
    )]
    Tail(remote::events::Tail),
    /// Print the public key that checkpoints are checked with
    #[command(after_help = "Example:\n  strongroom audit key > audit-key.txt")]
    Key {
        #[command(flatten)]
        place: Place,
    },
    /// Print a signed checkpoint: how long the log is, and the root of its tree
    #[command(
        after_help = "Example:\n  strongroom audit checkpoint > checkpoint-$(date +%F).txt\n\nKeep it in another place: audit verify --checkpoint compares with it. It is a C2SP tlog-checkpoint."
    )]
    Checkpoint {
        #[command(flatten)]
        place: Place,
    },
    /// Prove that an event is in the log, or that the log of now continues that of then
    #[command(
        after_help = "Examples:\n  strongroom audit prove 1042\n  strongroom audit prove 1042 --size 2000\n  strongroom audit prove --from 1000 --size 2000\n\nThe proof is that of RFC 6962, as JSON, with a signed checkpoint of the log that it leads to."
    )]
    Prove(Prove),
    /// Write the whole log into a file that can be verified alone
    #[command(
        after_help = "Example:\n  strongroom audit export audit.jsonl\n  strongroom audit verify --export audit.jsonl --key \"$(strongroom audit key)\""
    )]
    Export(export::Export),
}

#[derive(Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    place: Place,
    /// The event's number
    #[arg(value_name = "NUMBER", required_unless_present = "from", conflicts_with = "from")]
    event: Option<u64>,
    /// The length of the log then
    #[arg(long, value_name = "NUMBER")]
    from: Option<u64>,
    /// The length of the log that is proved about [default: as it is now]
    #[arg(long, value_name = "NUMBER")]
    size: Option<u64>,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify(verify) => verify.run(),
        Command::List(list) => list.run(),
        Command::Events(events) => events.run(),
        Command::Tail(tail) => tail.run(),
        Command::Key { place } => {
            let house = block_on(ReadHouse::open(place))?;
            crate::out(&format!("{}\n", house.log().public_key()))
        }
        Command::Checkpoint { place } => block_on(async {
            let house = ReadHouse::open(place).await?;
            let head = house.store.audit_head().await.map_err(unreadable)?;
            crate::out(&house.log().checkpoint(&head))
        }),
        Command::Prove(prove) => block_on(prove.run()),
        Command::Export(export) => export.run(),
    }
}

impl Prove {
    async fn run(self) -> Result<ExitCode, Failure> {
        let house = ReadHouse::open(self.place).await?;
        let refused = |error| Failure::new("there is no such proof").because(error);
        let proof = match (self.event, self.from) {
            (Some(event), _) => {
                let proof = house.log().inclusion(event, self.size).await.map_err(refused)?;
                serde_json::to_string_pretty(&view::inclusion(proof))
            }
            (None, from) => {
                let from = from.unwrap_or_default();
                let proof = house.log().consistency(from, self.size).await.map_err(refused)?;
                serde_json::to_string_pretty(&view::consistency(proof))
            }
        };
        let text = proof.map_err(|error| Failure::new("the proof cannot be printed").because(error))?;
        crate::out(&(text + "\n"))
    }
}

/// A store that is read, with the key that signs for its log.
struct ReadHouse {
    store: Arc<dyn Store>,
    account: AccountId,
    key: LogKey,
}

impl ReadHouse {
    async fn open(place: Place) -> Result<Self, Failure> {
        let settings = place.resolve()?;
        let store = open_store(&settings).await?;
        let (account, root_key) = root_key::of_store(&*store, &settings.root_key_file).await?;
        let wrapped = store.log_key_find(account.id).await.map_err(unreadable)?.ok_or_else(|| {
            Failure::new("the store has no key for checkpoints yet").todo("start the server on it once")
        })?;
        let key = root_key.open_log_key(&wrapped, account.id.ksuid().as_bytes());
        let key =
            key.map_err(|error| Failure::new("the key of the audit log does not open").because(error))?;
        Ok(Self { store, account: account.id, key })
    }

    fn log(&self) -> Log<'_> {
        Log { store: &*self.store, account: self.account, key: &self.key }
    }
}

/// A runtime of one thread, for commands that read a store.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new("the runtime cannot be started").because(error))?.block_on(work)
}

async fn open(place: Place) -> Result<Arc<dyn Store>, Failure> {
    open_store(&place.resolve()?).await
}

/// The store of an installation, to be read: a file in its data folder, or a database.
pub(crate) async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    if let Some(database) = &settings.database {
        let store = PostgresStore::open_current_to_read(&database.options).await;
        return Ok(Arc::new(store.map_err(unusable)?));
    }
    let path = folder::existing_store(&settings.data_dir)?;
    let store = SqliteStore::open_current_to_read(&path);
    Ok(Arc::new(store.map_err(|error| Failure::new("the store cannot be read").because(error))?))
}

fn unreadable(error: strongroom_domain::Error) -> Failure {
    Failure::new("the store cannot be read").because(error)
}

fn read_text(what: &str, path: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{what} {} cannot be read", path.display())).because(error))
}

/// Tells how far long work is, on a terminal.
#[expect(clippy::print_stderr, reason = "progress belongs on the terminal")]
pub(crate) fn progress(what: &'static str) -> impl FnMut(u64) {
    let terminal = std::io::stderr().is_terminal();
    let mut told = 0;
    move |done| {
        if terminal && done >= told + 50_000 {
            told = done;
            eprintln!("{done} {what}");
        }
    }
}
