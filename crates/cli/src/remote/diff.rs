//! `strongroom diff`: what one vault has and another has not, and what differs. Never a value.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use strongroom_client::api::Client;
use strongroom_crypto::SecretValue;
use strongroom_wire as wire;

use super::output::{Output, Table};
use super::{Remote, find};
use crate::failure::Failure;

pub(crate) const HELP: &str = "\
Examples:
  strongroom diff prod staging
  strongroom diff prod staging --names-only --output json

Values are compared and never shown; the key needs a grant to resolve both vaults. With --names-only it needs to read them,
and no value is looked at. Exit code 0: the same; 1: there are differences.";

#[derive(Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    /// Compare names alone
    #[arg(long)]
    names_only: bool,
    /// One vault
    #[arg(value_name = "VAULT")]
    left: String,
    /// The other
    #[arg(value_name = "VAULT")]
    right: String,
}

/// Names, and nothing of the values.
#[derive(Serialize)]
struct Report {
    only_in_left: Vec<String>,
    only_in_right: Vec<String>,
    differs: Vec<String>,
}

/// The values of a vault by name; none where names alone are compared.
type Side = BTreeMap<String, Option<SecretValue>>;

impl Diff {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let (left, right) = if self.names_only {
            (names(&client, &self.left)?, names(&client, &self.right)?)
        } else {
            (values(&client, &self.left)?, values(&client, &self.right)?)
        };
        let only = |here: &Side, there: &Side| -> Vec<String> {
            here.keys().filter(|name| !there.contains_key(*name)).cloned().collect()
        };
        let differs = left.iter().filter(|(name, value)| {
            matches!((value, right.get(*name)), (Some(value), Some(Some(other))) if !value.same_as(other))
        });
        let report = Report {
            only_in_left: only(&left, &right),
            only_in_right: only(&right, &left),
            differs: differs.map(|(name, _)| name.clone()).collect(),
        };
        self.output.print(&report, || self.table(&report))?;
        let same =
            report.only_in_left.is_empty() && report.only_in_right.is_empty() && report.differs.is_empty();
        Ok(ExitCode::from(u8::from(!same)))
    }

    fn table(&self, report: &Report) -> String {
        let mut table = Table::new(&["NAME", "DIFFERENCE"]);
        let mut rows = BTreeMap::new();
        rows.extend(report.only_in_left.iter().map(|name| (name, format!("only in {}", self.left))));
        rows.extend(report.only_in_right.iter().map(|name| (name, format!("only in {}", self.right))));
        rows.extend(report.differs.iter().map(|name| (name, "the values differ".to_owned())));
        if rows.is_empty() {
            return "no difference\n".to_owned();
        }
        for (name, difference) in rows {
            table.row([name.clone(), difference]);
        }
        table.view()
    }
}

fn names(client: &Client, vault: &str) -> Result<Side, Failure> {
    find::vault(client, vault)?;
    Ok(client.secrets_of(vault)?.into_iter().map(|secret| (secret.name, None)).collect())
}

fn values(client: &Client, vault: &str) -> Result<Side, Failure> {
    let mut secrets = client.resolve(&[wire::Reference::whole(vault)])?;
    let side = secrets.iter_mut().map(|secret| {
        // Taken over to be compared in constant time.
        let value = std::mem::take(&mut secret.value).into_bytes();
        (std::mem::take(&mut secret.name), Some(SecretValue::new(value)))
    });
    Ok(side.collect())
}
