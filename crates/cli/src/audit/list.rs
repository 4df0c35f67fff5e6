//! `strongroom audit list`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use strongroom_domain::store::Store;
use strongroom_server::origin::Origin;
use strongroom_server::view;

use super::{block_on, open, unreadable};
use crate::failure::Failure;
use crate::settings::Place;

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

impl List {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (after, limit) = (self.after, self.limit.unwrap_or(usize::MAX));
        block_on(async { print(&*open(self.place).await?, after, limit).await })
    }
}

async fn print(store: &dyn Store, mut after: u64, mut limit: usize) -> Result<ExitCode, Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    while limit > 0 {
        let records = store.audit_list(after, limit.min(STEP)).await.map_err(unreadable)?;
        let Some(last) = records.last() else { break };
        after = last.sequence;
        limit -= records.len();
        for record in &records {
            let line = serde_json::to_string(&view::listed(record, &Origin::none()))
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
