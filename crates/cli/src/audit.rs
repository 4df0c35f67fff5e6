//! `strongroom audit`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use strongroom_domain::app::audit;
use strongroom_domain::store::Store;
use strongroom_server::origin::Origin;
use strongroom_server::view;
use strongroom_store::sqlite::SqliteStore;

use crate::failure::Failure;
use crate::folder;
use crate::settings::Place;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Walk the whole chain and name the first bad record
    #[command(after_help = "Example:\n  strongroom audit verify --data-dir /var/lib/strongroom")]
    Verify {
        #[command(flatten)]
        place: Place,
    },
    /// Print the events as JSON lines, oldest first
    #[command(
        after_help = "Examples:\n  strongroom audit list\n  strongroom audit list --after 1000 --limit 50"
    )]
    List(List),
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
    /// Only events after this number
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    after: u64,
    /// At most so many events [default: all]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// Events that are read at a time.
const STEP: usize = 1000;

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify { place } => block_on(verify(&open(place)?)),
        Command::List(list) => {
            let (after, limit) = (list.after, list.limit.unwrap_or(usize::MAX));
            block_on(print(&open(list.place)?, after, limit))
        }
    }
}

/// A runtime of one thread, for commands that read a store.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new("the runtime cannot be started").because(error))?.block_on(work)
}

pub(crate) fn open(place: Place) -> Result<SqliteStore, Failure> {
    let settings = place.resolve()?;
    let path = folder::store_path(&settings.data_dir);
    if !path.exists() {
        return Err(Failure::new(format!("there is no store in {}", settings.data_dir.display()))
            .todo("name the data folder with --data-dir"));
    }
    SqliteStore::open_to_read(&path).map_err(|error| Failure::new("the store cannot be read").because(error))
}

fn unreadable(error: strongroom_domain::Error) -> Failure {
    Failure::new("the store cannot be read").because(error)
}

async fn verify(store: &SqliteStore) -> Result<ExitCode, Failure> {
    let walked = audit::verify(store, progress("events checked")).await.map_err(unreadable)?;
    match walked {
        Ok(head) => {
            let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
            crate::out(&format!("{} audit events, the chain is intact, its head is {hash}\n", head.sequence))
        }
        Err(broken) => Err(Failure::new(format!("the audit log was tampered with or damaged: {broken}"))
            .todo("compare with a backup: strongroom audit verify on a restored one tells when it was still whole")),
    }
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

async fn print(store: &SqliteStore, mut after: u64, mut limit: usize) -> Result<ExitCode, Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    while limit > 0 {
        let records = store.audit_list(after, limit.min(STEP)).await.map_err(unreadable)?;
        let Some(last) = records.last() else { break };
        after = last.sequence;
        limit -= records.len();
        for record in &records {
            let event = view::event(record, &Origin::none()).map_err(unreadable)?;
            let line = serde_json::to_string(&event)
                .map_err(|error| Failure::new("an event cannot be printed").because(error))?;
            if writeln!(out, "{line}").is_err() {
                // Whoever read has seen enough.
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    // A reader that went away has seen enough here too.
    let _ = out.flush();
    Ok(ExitCode::SUCCESS)
}
