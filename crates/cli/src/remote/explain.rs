//! `strongroom explain`.

use std::process::ExitCode;

use clap::Args;
use strongroom_client::reference::Reference;
use strongroom_wire as wire;

use super::output::{Output, Table, grant, shown};
use super::{Remote, find};
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    /// The id of another key [default: the one that asks]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// The secret; neither it nor its vault need exist
    #[arg(value_name = "VAULT:NAME", value_parser = find::parse_current)]
    secret: Reference,
}

impl Explain {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let Reference { vault, name, .. } = self.secret;
        let explanation = client.explain(&wire::Explain { api_key: self.key, vault, name })?;
        self.output.print(&explanation, || view(&explanation))
    }
}

fn view(explanation: &wire::Explanation) -> String {
    let wire::Explanation { api_key, owner_id, role, vault, name, visible, actions } = explanation;
    let mut table = Table::new(&["ACTION", "ALLOWED", "GRANT", "WHY"]);
    for ruling in actions {
        let allowed = if ruling.allowed { "yes" } else { "no" };
        let grant = ruling.grant.as_ref().map_or("-".to_owned(), grant);
        table.row([ruling.action.clone(), allowed.to_owned(), grant, ruling.reason.clone()]);
    }
    let sight = if *visible { "it can see" } else { "it cannot see, not even whether it is there," };
    let subject = format!("{api_key} acts for {owner_id} ({role}); {sight} {vault}:{name}");
    format!("{}\n\n{}", shown(&subject), table.view())
}
