use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use clap::Args;
use strongroom_client::api::Client;
use strongroom_client::reference::Reference;
use strongroom_wire as wire;

use crate::failure::{Failure, Kind};
use crate::out;
use crate::remote::output::{Format, Output, print_json};

#[derive(Args)]
pub(super) struct Get {
    /// The secrets, each as vault:name, or vault:name@3 for a version
    #[arg(value_name = "VAULT:NAME[@VERSION]", required = true)]
    secrets: Vec<Reference>,
}

impl Get {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        if self.secrets.len() > 1 && output.format == Format::Table {
            return Err(Failure::new("several values at once are given as JSON only")
                .kind(Kind::Usage)
                .todo("add --output json"));
        }
        let references: Vec<_> = self.secrets.iter().map(wire::Reference::from).collect();
        let secrets = client.resolve(&references)?;
        match (output.format, secrets.as_slice()) {
            (Format::Table, [secret]) => {
                // The value is what was asked for.
                out(&secret.value)?;
                if stdout().is_terminal() { out("\n") } else { Ok(ExitCode::SUCCESS) }
            }
            (Format::Table, _) => {
                Err(Failure::new("the server gave another number of values than were asked for"))
            }
            (Format::Json, _) => print_json(&wire::ResolvedSecrets { secrets }),
        }
    }
}
