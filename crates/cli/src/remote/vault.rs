//! `strongroom vault`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use strongroom_client::api::Client;
use strongroom_wire as wire;

use super::output::{Output, Table, fields};
use super::{Remote, find, input};
use crate::failure::Failure;

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
    /// Remove a vault, which has to be empty
    #[command(after_help = "Example:\n  strongroom vault delete staging --yes")]
    Delete(Delete),
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
            Command::Delete(Delete { named, yes }) => {
                let vault = find::vault(&client, &named.vault)?;
                input::confirm(&format!("Remove the vault {}?", vault.name), yes)?;
                client.vault_delete(&vault.id)?;
                output.print(&vault, || format!("{} is removed\n", vault.name))
            }
        }
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
