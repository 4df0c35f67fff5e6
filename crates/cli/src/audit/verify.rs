//! `strongroom audit verify`: of a store, or of an export alone.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use strongroom_domain::app::audit;
use strongroom_domain::audit::checkpoint::LogPublicKey;
use strongroom_domain::audit::{Broken, Head};

use super::{block_on, export, open, progress, read_text, unreadable};
use crate::failure::{Failure, Kind};
use crate::settings::Place;

pub(super) const HELP: &str = "Examples:
  strongroom audit verify --data-dir /var/lib/strongroom
  strongroom audit verify --checkpoint checkpoint-2026-11-01.txt --key audit-key.txt
  strongroom audit verify --export audit.jsonl --key audit-key.txt --checkpoint checkpoint-2026-11-01.txt

With a checkpoint that was kept in another place, nothing of the log up to there can have been altered, its end included.
An export needs neither the store nor the server.";

#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    place: Place,
    /// Verify this export instead of the store
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "data_dir")]
    export: Option<PathBuf>,
    /// A checkpoint that the log must lead past; may be given again
    #[arg(long, value_name = "FILE", requires = "key")]
    checkpoint: Vec<PathBuf>,
    /// The public key that audit key prints, or a file with it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Verify {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if self.key.is_some() && self.export.is_none() && self.checkpoint.is_empty() {
            let what = "--key is for checkpoints and exports, and neither is given";
            return Err(Failure::new(what)
                .todo("add --checkpoint FILE, or leave --key out")
                .kind(Kind::Usage));
        }
        let key = self.key.as_deref().map(public_key).transpose()?;
        let mut expected = Vec::new();
        if let Some(key) = &key {
            for path in &self.checkpoint {
                expected.push(checkpoint(key, path)?);
            }
        }
        match (&self.export, &key) {
            (Some(path), Some(key)) => tell(export::verify(path, key, &expected)?),
            _ => tell(block_on(walk(self.place, &expected))?),
        }
    }
}

/// Up to which event a log is pruned, and where it ends; or what is wrong with it.
pub(super) type Walked = Result<(u64, Head), Broken>;

async fn walk(place: Place, expected: &[Head]) -> Result<Walked, Failure> {
    let store = open(place).await?;
    let events = progress("events checked");
    let walked = audit::verify_against(&*store, expected, events).await.map_err(unreadable)?;
    let pruned = store.audit_pruned().await.map_err(unreadable)?;
    Ok(walked.map(|head| (pruned, head)))
}

fn public_key(given: &str) -> Result<LogPublicKey, Failure> {
    let text =
        if given.contains('+') { given.to_owned() } else { read_text("the public key", &given.into())? };
    text.parse().map_err(|error| Failure::new("the public key cannot be used").because(error))
}

fn checkpoint(key: &LogPublicKey, path: &PathBuf) -> Result<Head, Failure> {
    let text = read_text("the checkpoint", path)?;
    key.open(&text).map_err(|error| {
        Failure::new(format!("the checkpoint {} cannot be used", path.display())).because(error)
    })
}

fn tell(walked: Walked) -> Result<ExitCode, Failure> {
    match walked {
        Ok((pruned, head)) => {
            let root: String = head.root.iter().map(|byte| format!("{byte:02x}")).collect();
            let events = events(pruned, head.sequence);
            crate::out(&format!("{events}, the log is whole, its root is {root}\n"))
        }
        Err(broken) => Err(Failure::new(format!("the audit log was tampered with or damaged: {broken}"))
            .todo("compare with a backup: strongroom audit verify on a restored one tells when it was still whole")),
    }
}

/// How many events there are, and how many there were.
pub(crate) fn events(pruned: u64, last: u64) -> String {
    match pruned {
        0 => format!("{last} audit events"),
        _ => format!("{last} audit events, of which the first {pruned} are pruned"),
    }
}
