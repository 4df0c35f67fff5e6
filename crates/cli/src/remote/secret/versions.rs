use std::process::ExitCode;

use clap::Args;
use strongroom_client::api::Client;
use strongroom_wire as wire;

use super::{Named, name};
use crate::failure::Failure;
use crate::remote::find;
use crate::remote::output::{Output, Table, or_dash};

/// Lists the versions of a secret.
pub(super) fn list(named: &Named, client: &Client, output: Output) -> Result<ExitCode, Failure> {
    let list = client.versions(&find::secret(client, &named.secret)?.id)?;
    output.print(&list, || {
        let mut table = Table::new(&["VERSION", "WRITTEN", "BY", "REPLACED"]);
        for version in &list.versions {
            let wire::SecretVersion { version, created_at, created_by, replaced_at, .. } = version;
            let by = created_by.as_ref().map(|by| by.id.as_str());
            table.row([
                version.to_string(),
                created_at.clone(),
                or_dash(by),
                or_dash(replaced_at.as_deref()),
            ]);
        }
        table.view()
    })
}

#[derive(Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    named: Named,
    /// The version whose value is to be current again
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(1..))]
    to: u32,
}

impl Rollback {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let secret = find::secret(client, &self.named.secret)?;
        let detail = client.rollback(&secret.id, &wire::SecretRollback { version: self.to })?;
        output.print(&detail, || {
            let (name, to, now) = (name(&detail.secret), self.to, detail.version);
            format!("{name} has the value of version {to} again: it is version {now}\n")
        })
    }
}
