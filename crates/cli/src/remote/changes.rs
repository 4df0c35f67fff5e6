//! `strongroom changes`: what became of vaults and secrets, for whoever sees them.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use strongroom_client::api::Client;
use strongroom_wire as wire;

use super::Remote;
use super::output::{Format, Output, shown};
use super::watch::{Rests, Trouble};
use crate::failure::Failure;

/// What stands below the flags.
pub(crate) const HELP: &str = "\
Examples:
  strongroom changes
  strongroom changes --follow
  strongroom changes --follow --after 1042-9f86d081884c7d65 --output json

Names are told, and never a value. Each line of JSON has the cursor of the place after it: --after goes on from there, through \
restarts of the server. A cursor that is too old, or another server's, is refused (exit code 3): begin again without one.";

/// How long one request waits for a change.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Changes {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    /// Only those after this place; start is the oldest that is kept [default: start; with --follow, now]
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Wait for changes that are still to come, and print them
    #[arg(short, long)]
    follow: bool,
}

impl Changes {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let mut place = self.after.clone().or_else(|| (!self.follow).then(|| "start".to_owned()));
        loop {
            let page = client.changes(place.as_deref(), Duration::ZERO)?;
            if !self.print(&page.changes)? {
                return Ok(ExitCode::SUCCESS);
            }
            place = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        match place {
            Some(place) if self.follow => self.go_on(&client, place),
            _ => Ok(ExitCode::SUCCESS),
        }
    }

    /// Prints what comes, for as long as somebody reads it. A server that is away for a while is waited for.
    fn go_on(&self, client: &Client, mut place: String) -> Result<ExitCode, Failure> {
        let (mut rests, mut trouble) = (Rests::new(), Trouble::default());
        loop {
            let page = match client.changes(Some(&place), WAIT) {
                Ok(page) => page,
                Err(error) if error.is_unavailable() => {
                    trouble.tell_of("no changes are told for now", &error);
                    std::thread::sleep(rests.next());
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            trouble.over("changes are told again");
            rests = Rests::new();
            place = page.cursor;
            if !self.print(&page.changes)? {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    /// Prints changes, one a line; says whether somebody still reads them.
    fn print(&self, changes: &[wire::Change]) -> Result<bool, Failure> {
        let mut text = String::new();
        for change in changes {
            match self.output.format {
                Format::Json => {
                    let line = serde_json::to_string(change);
                    text +=
                        &line.map_err(|error| Failure::new("a change cannot be printed").because(error))?;
                }
                Format::Table => text += &line_of(change),
            }
            text.push('\n');
        }
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => written
                .map(|()| true)
                .map_err(|error| Failure::new("standard output cannot be written").because(error)),
        }
    }
}

/// A change in one line for people: when, what, and of which thing.
fn line_of(change: &wire::Change) -> String {
    let name = |vault: Option<&wire::ChangedVault>, name: &str| match vault {
        Some(vault) => format!("{}:{name}", vault.name),
        None => name.to_owned(),
    };
    let thing = match (&change.secret, &change.vault) {
        (Some(secret), _) => name(Some(&secret.vault), &secret.name),
        (None, vault) => vault.as_ref().map(|vault| vault.name.clone()).unwrap_or_default(),
    };
    let version = change.secret.as_ref().map(|secret| format!("  version {}", secret.version));
    let was = change.previous.as_ref().map(|was| format!("  was {}", name(was.vault.as_ref(), &was.name)));
    let kind = change.kind.strip_suffix(".v0").unwrap_or(&change.kind).replace('_', " ");
    shown(&format!(
        "{}  {kind:16}  {thing}{}{}",
        change.at,
        version.unwrap_or_default(),
        was.unwrap_or_default()
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_a_line() {
        let vault = json!({"id": "vault_1", "name": "prod"});
        let secret = json!({"id": "secret_1", "name": "b", "version": 3, "vault": vault});
        for (change, line) in [
            (
                json!({"type": "secret_updated.v0", "secret": secret, "previous": {"name": "a", "vault": vault}}),
                "T  secret updated    prod:b  version 3  was prod:a",
            ),
            (
                json!({"type": "vault_updated.v0", "vault": vault, "previous": {"name": "old"}}),
                "T  vault updated     prod  was old",
            ),
        ] {
            let mut change = change;
            (change["cursor"], change["event_id"], change["at"]) = (json!("1-0"), json!(""), json!("T"));
            assert_eq!(line_of(&serde_json::from_value(change).unwrap()), line);
        }
    }
}
