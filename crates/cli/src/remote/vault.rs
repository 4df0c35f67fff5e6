//! `strongroom vault`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use strongroom_client::api::Client;
use strongroom_wire as wire;

use super::output::{Output, Table, fields};
use super::{Remote, deleted, find, input};
use crate::failure::{Failure, Kind};
use crate::units::{Age, span};

#[derive(Args)]
pub(crate) struct Vault {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List vaults
    #[command(after_help = "Example:\n  strongroom vault list")]
    List,
    /// Make a vault
    #[command(after_help = "Example:\n  strongroom vault create prod --description \"Production\"")]
    Create(Create),
    /// Show a vault
    #[command(after_help = "Example:\n  strongroom vault show prod")]
    Show(Named),
    /// Give a vault another name
    #[command(
        after_help = "Example:\n  strongroom vault rename prod production\n\nWho reads its secrets by name has to know the new one."
    )]
    Rename(Rename),
    /// Set how many values of its secrets a vault keeps, and how long; or show it
    #[command(
        after_help = "Examples:\n  strongroom vault keep prod\n  strongroom vault keep prod --versions 30 --for 90d\n  strongroom vault keep prod --as-server\n\nThe current value is always kept, and it counts."
    )]
    Keep(Keep),
    /// Remove a vault, which has to be empty; it can be brought back for a while
    #[command(after_help = "Example:\n  strongroom vault delete staging --yes")]
    Delete(Delete),
    /// List deleted vaults that can be brought back
    #[command(after_help = "Example:\n  strongroom vault deleted")]
    Deleted,
    /// Bring a deleted vault back; its secrets are brought back one by one
    #[command(
        after_help = "Examples:\n  strongroom vault undelete staging\n  strongroom vault undelete staging --name staging-old"
    )]
    Undelete(deleted::UndeleteVault),
    /// Destroy a deleted vault with its key, and its deleted secrets, for good
    #[command(after_help = "Example:\n  strongroom vault purge staging")]
    Purge(deleted::PurgeVault),
}

#[derive(Args)]
struct Named {
    /// The vault's name
    #[arg(value_name = "VAULT")]
    vault: String,
}

#[derive(Args)]
struct Create {
    #[command(flatten)]
    named: Named,
    /// What it is for, at most 255 bytes
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What to remember of it, at most 4096 bytes
    #[arg(long, value_name = "TEXT")]
    metadata: Option<String>,
}

#[derive(Args)]
struct Rename {
    #[command(flatten)]
    named: Named,
    /// Its new name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Args)]
struct Keep {
    #[command(flatten)]
    named: Named,
    /// How many values of a secret, 1 to 100
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100))]
    versions: Option<u32>,
    /// How long after a value was replaced, such as 90d
    #[arg(long = "for", value_name = "TIME")]
    versions_for: Option<Age>,
    /// As many and as long as the server is set to
    #[arg(long, conflicts_with_all = ["versions", "versions_for"])]
    as_server: bool,
}

#[derive(Args)]
struct Delete {
    #[command(flatten)]
    named: Named,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Vault {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let output = self.output;
        match self.command {
            Command::List => list(&client, output),
            Command::Create(Create { named, description, metadata }) => {
                let made =
                    client.vault_create(&wire::VaultCreate { name: named.vault, description, metadata })?;
                output.print(&made, || format!("{} is made\n", made.name))
            }
            Command::Show(named) => {
                let vault = find::vault(&client, &named.vault)?;
                output.print(&vault, || view(&vault))
            }
            Command::Rename(Rename { named, name }) => {
                let vault = find::vault(&client, &named.vault)?;
                let change = wire::VaultUpdate { name: Some(name), ..Default::default() };
                let changed = client.vault_update(&vault.id, &change)?;
                output.print(&changed, || format!("{} is now {}\n", vault.name, changed.name))
            }
            Command::Keep(keep) => keep.run(&client, output),
            Command::Deleted => deleted::vaults(&client, output),
            Command::Undelete(undelete) => undelete.run(&client, output),
            Command::Purge(purge) => purge.run(&client, output),
            Command::Delete(Delete { named, yes }) => {
                let vault = find::vault(&client, &named.vault)?;
                input::confirm(&format!("Remove the vault {}?", vault.name), yes)?;
                client.vault_delete(&vault.id)?;
                output.print(&vault, || format!("{} is removed\n", vault.name))
            }
        }
    }
}

impl Keep {
    fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let id = find::vault(client, &self.named.vault)?.id;
        let as_server = self.as_server.then_some(0);
        let versions_for = self.versions_for.map(Age::seconds).transpose();
        let change = wire::VaultKeep {
            keep_versions: self.versions.or(as_server),
            keep_versions_for: versions_for
                .map_err(|error| Failure::new("--for").because(error).kind(Kind::Invalid))?
                .or(as_server),
        };
        let detail = if change == wire::VaultKeep::default() {
            client.vault_detail(&id)?
        } else {
            client.vault_keep(&id, &change)?
        };
        output.print(&detail, || {
            let as_server = || "as the server is set".to_owned();
            fields([
                ("vault", detail.vault.name.clone()),
                ("versions", detail.keep_versions.map_or_else(as_server, |number| number.to_string())),
                ("for", detail.keep_versions_for.map_or_else(as_server, span)),
            ])
        })
    }
}

fn list(client: &Client, output: Output) -> Result<ExitCode, Failure> {
    let mut vaults = client.vaults()?;
    vaults.sort_by(|one, other| one.name.cmp(&other.name));
    let list = wire::VaultList { vaults, uri: format!("{}/vaults", client.url()), next_page_uri: None };
    output.print(&list, || {
        let mut table = Table::new(&["NAME", "CREATED", "DESCRIPTION"]);
        for vault in &list.vaults {
            table.row([vault.name.clone(), vault.created_at.clone(), vault.description.clone()]);
        }
        table.view()
    })
}

fn view(vault: &wire::Vault) -> String {
    fields([
        ("name", vault.name.clone()),
        ("id", vault.id.clone()),
        ("description", vault.description.clone()),
        ("metadata", vault.metadata.clone()),
        ("created", format!("{} by {}", vault.created_at, vault.created_by)),
        ("updated", format!("{} by {}", vault.updated_at, vault.last_updated_by)),
    ])
}
