//! `strongroom secret`.

mod get;
mod list;
mod set;
mod versions;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use strongroom_client::api::Client;
use strongroom_client::reference::Reference;
use strongroom_wire as wire;

pub(super) use list::print;

use super::output::Output;
use super::{Remote, deleted, find, input};
use crate::failure::{Failure, Kind};

#[derive(Args)]
pub(crate) struct Secret {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Store a value: make the secret, or change it
    #[command(
        after_help = "Examples:\n  strongroom secret set prod:db-password\n  strongroom secret set prod:tls/key --value-file key.pem\n  pass show db | strongroom secret set prod:db-password --trim\n  strongroom secret set prod:partner-token --expires-in 90d\n\nOn a terminal the value is asked for, twice, and not shown. Otherwise it is standard input, exactly as it is."
    )]
    Set(set::Set),
    /// Print a value; the key needs a grant to resolve it
    #[command(
        after_help = "Examples:\n  strongroom secret get prod:db-password\n  strongroom secret get prod:db-password prod:db-user --output json\n\nThe value is written exactly as it is; a terminal gets a new line after it."
    )]
    Get(get::Get),
    /// List secrets, but not their values
    #[command(
        after_help = "Examples:\n  strongroom secret list\n  strongroom secret list prod\n  strongroom secret list 'prod:tls-*'\n  strongroom secret list --expiring 30d"
    )]
    List(list::List),
    /// Show a secret, but not its value
    #[command(after_help = "Example:\n  strongroom secret show prod:db-password")]
    Show(Named),
    /// List the versions of a secret's value, but not the values
    #[command(
        after_help = "Example:\n  strongroom secret versions prod:db-password\n\nstrongroom secret get prod:db-password@3 prints the value of one."
    )]
    Versions(Named),
    /// Make an earlier value the current one again, as a new version
    #[command(after_help = "Example:\n  strongroom secret rollback prod:db-password --to 3")]
    Rollback(versions::Rollback),
    /// Give a secret another name in its vault
    #[command(after_help = "Example:\n  strongroom secret rename prod:db-password db-password-old")]
    Rename(Rename),
    /// Put a secret into another vault; its value stays on the server
    #[command(
        after_help = "Examples:\n  strongroom secret move prod:db-password staging\n  strongroom secret move prod:db-password staging:postgres-password"
    )]
    Move(Move),
    /// Remove a secret; it can be brought back for a while
    #[command(
        after_help = "Example:\n  strongroom secret delete prod:db-password --yes\n\nHow long it can be brought back is the server's setting keep_deleted_for, 7 days as a rule."
    )]
    Delete(Delete),
    /// List deleted secrets that can be brought back
    #[command(after_help = "Examples:\n  strongroom secret deleted\n  strongroom secret deleted prod")]
    Deleted(deleted::Secrets),
    /// Bring a deleted secret back, with all versions that were kept
    #[command(
        after_help = "Examples:\n  strongroom secret undelete prod:db-password\n  strongroom secret undelete prod:db-password --name db-password-old\n\nIf its vault is deleted too, bring that back first: strongroom vault undelete"
    )]
    Undelete(deleted::UndeleteSecret),
    /// Destroy a deleted secret and its values for good
    #[command(after_help = "Example:\n  strongroom secret purge prod:db-password")]
    Purge(deleted::PurgeSecret),
}

#[derive(Args)]
struct Named {
    /// The secret
    #[arg(value_name = "VAULT:NAME", value_parser = find::parse_current)]
    secret: Reference,
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
struct Move {
    #[command(flatten)]
    named: Named,
    /// The vault it goes to, and its name there if that is to change
    #[arg(value_name = "VAULT[:NAME]")]
    target: String,
}

#[derive(Args)]
struct Delete {
    #[command(flatten)]
    named: Named,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Secret {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let output = self.output;
        match self.command {
            Command::Set(set) => set.run(&client, output),
            Command::Get(get) => get.run(&client, output),
            Command::List(list) => list.run(&client, output),
            Command::Show(named) => {
                let detail = client.detail(&find::secret(&client, &named.secret)?.id)?;
                output.print(&detail, || list::view(&detail))
            }
            Command::Versions(named) => versions::list(&named, &client, output),
            Command::Rollback(rollback) => rollback.run(&client, output),
            Command::Rename(rename) => rename.run(&client, output),
            Command::Move(moving) => moving.run(&client, output),
            Command::Deleted(deleted) => deleted.run(&client, output),
            Command::Undelete(undelete) => undelete.run(&client, output),
            Command::Purge(purge) => purge.run(&client, output),
            Command::Delete(Delete { named, yes }) => {
                let secret = find::secret(&client, &named.secret)?;
                input::confirm(&format!("Remove the secret {}?", name(&secret)), yes)?;
                client.secret_delete(&secret.id)?;
                output.print(&secret, || format!("{} is removed\n", name(&secret)))
            }
        }
    }
}

impl Rename {
    fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let secret = find::secret(client, &self.named.secret)?;
        let change = wire::SecretUpdate { name: Some(self.name), ..Default::default() };
        let changed = client.secret_update(&secret.id, &change)?;
        output.print(&changed, || format!("{} is now {}\n", name(&secret), name(&changed)))
    }
}

impl Move {
    fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let secret = find::secret(client, &self.named.secret)?;
        let (vault, new_name) = match self.target.split_once(':') {
            Some((vault, name)) => (vault, Some(name.to_owned())),
            None => (self.target.as_str(), None),
        };
        if vault == secret.vault_name {
            let what = format!("{} is in {vault} already", name(&secret));
            let todo = "strongroom secret rename gives it another name";
            return Err(Failure::new(what).kind(Kind::Invalid).todo(todo));
        }
        let target =
            wire::SecretMove { vault_name: Some(vault.to_owned()), name: new_name, ..Default::default() };
        let moved = client.secret_move(&secret.id, &target)?;
        output.print(&moved, || format!("{} is now {}\n", name(&secret), name(&moved)))
    }
}

/// A secret's name as people write it.
fn name(secret: &wire::Secret) -> String {
    format!("{}:{}", secret.vault_name, secret.name)
}
