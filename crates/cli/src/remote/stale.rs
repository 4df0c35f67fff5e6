//! `strongroom stale`.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use strongroom_domain::clock::{Clock, SystemClock};

use super::output::Output;
use super::{Remote, find, secret};
use crate::failure::{Failure, Kind};
use crate::units::Age;

#[derive(Args)]
pub(crate) struct Stale {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    /// Neither made nor resolved for so long, such as 90d, 2w or 12h
    #[arg(long, value_name = "TIME")]
    older: Age,
    /// Only those of this vault
    #[arg(long, value_name = "VAULT")]
    vault: Option<String>,
}

impl Stale {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        if let Some(vault) = &self.vault {
            find::vault(&client, vault)?;
        }
        let since = before(SystemClock.now(), self.older)?.to_string();
        secret::print(&client, client.details(self.vault.as_deref(), Some(&since))?, self.output)
    }
}

/// The whole second that was so long before a time.
fn before(now: Timestamp, age: Age) -> Result<Timestamp, Failure> {
    let then = Timestamp::from_second(now.as_second()).and_then(|now| now.checked_sub(age.0));
    then.map_err(|_| Failure::new("--older reaches too far back").kind(Kind::Invalid))
}
