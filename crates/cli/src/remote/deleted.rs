//! What was deleted: listing it, bringing it back, destroying it.

use std::process::ExitCode;

use clap::Args;
use strongroom_client::api::Client;
use strongroom_client::reference::Reference;
use strongroom_wire as wire;

use super::output::{Output, Table};
use super::{find, input};
use crate::failure::{Failure, Kind};

#[derive(Args)]
pub(super) struct Secrets {
    /// Only those of this vault
    #[arg(value_name = "VAULT")]
    vault: Option<String>,
}

/// A deleted secret, by its name or its id.
#[derive(Args)]
pub(super) struct DeletedSecret {
    /// The secret that was deleted; with --id, the one that is meant of several
    #[arg(value_name = "VAULT:NAME", value_parser = find::parse_current)]
    secret: Reference,
    /// Its id, where several of that name were deleted
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

#[derive(Args)]
pub(super) struct UndeleteSecret {
    #[command(flatten)]
    secret: DeletedSecret,
    /// The name to bring it back under, where another secret has its own by now
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Args)]
pub(super) struct PurgeSecret {
    #[command(flatten)]
    secret: DeletedSecret,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// A deleted vault, by its name or its id.
#[derive(Args)]
pub(super) struct DeletedVault {
    /// The vault that was deleted; with --id, the one that is meant of several
    #[arg(value_name = "VAULT")]
    vault: String,
    /// Its id, where several of that name were deleted
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

#[derive(Args)]
pub(super) struct UndeleteVault {
    #[command(flatten)]
    vault: DeletedVault,
    /// The name to bring it back under, where another vault has its own by now
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Args)]
pub(super) struct PurgeVault {
    #[command(flatten)]
    vault: DeletedVault,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Secrets {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let mut secrets = client.deleted()?.secrets;
        if let Some(vault) = &self.vault {
            secrets.retain(|deleted| deleted.secret.vault_name == *vault);
        }
        output.print(&secrets, || {
            let mut table = Table::new(&["NAME", "VERSION", "DELETED", "BY", "GONE FOR GOOD", "ID"]);
            for deleted in &secrets {
                let wire::DeletedSecret { secret, version, deleted_at, deleted_by, purged_at } = deleted;
                let name = format!("{}:{}", secret.vault_name, secret.name);
                let who = deleted_by.id.clone();
                table.row([
                    name,
                    version.to_string(),
                    deleted_at.clone(),
                    who,
                    purged_at.clone(),
                    secret.id.clone(),
                ]);
            }
            table.view()
        })
    }
}

/// Lists deleted vaults.
pub(super) fn vaults(client: &Client, output: Output) -> Result<ExitCode, Failure> {
    let vaults = client.deleted()?.vaults;
    output.print(&vaults, || {
        let mut table = Table::new(&["NAME", "DELETED", "BY", "GONE FOR GOOD", "ID"]);
        for deleted in &vaults {
            let wire::DeletedVault { vault, deleted_at, deleted_by, purged_at } = deleted;
            let who = deleted_by.id.clone();
            table.row([vault.name.clone(), deleted_at.clone(), who, purged_at.clone(), vault.id.clone()]);
        }
        table.view()
    })
}

impl DeletedSecret {
    fn find(&self, client: &Client) -> Result<wire::Secret, Failure> {
        let deleted = client.deleted()?.secrets.into_iter().map(|deleted| deleted.secret);
        let named = deleted
            .filter(|secret| (&secret.vault_name, &secret.name) == (&self.secret.vault, &self.secret.name));
        let found = named.filter(|secret| self.id.as_ref().is_none_or(|id| *id == secret.id)).collect();
        let list = format!("strongroom secret deleted {}", self.secret.vault);
        one(found, &self.secret.to_string(), "secret", &list)
    }
}

impl UndeleteSecret {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let secret = self.secret.find(client)?;
        let back = client.secret_undelete(&secret.id, &wire::Undelete { name: self.name })?;
        output.print(&back, || format!("{}:{} is back\n", back.secret.vault_name, back.secret.name))
    }
}

impl PurgeSecret {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let secret = self.secret.find(client)?;
        let name = format!("{}:{}", secret.vault_name, secret.name);
        input::confirm(&format!("Destroy the deleted secret {name} and its values for good?"), self.yes)?;
        client.secret_purge(&secret.id)?;
        output.print(&secret, || format!("{name} is destroyed\n"))
    }
}

impl DeletedVault {
    fn find(&self, client: &Client) -> Result<wire::Vault, Failure> {
        let deleted = client.deleted()?.vaults.into_iter().map(|deleted| deleted.vault);
        let named = deleted.filter(|vault| vault.name == self.vault);
        let found = named.filter(|vault| self.id.as_ref().is_none_or(|id| *id == vault.id)).collect();
        one(found, &self.vault, "vault", "strongroom vault deleted")
    }
}

impl UndeleteVault {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let vault = self.vault.find(client)?;
        let back = client.vault_undelete(&vault.id, &wire::Undelete { name: self.name })?;
        output.print(&back, || format!("{} is back\n", back.vault.name))
    }
}

impl PurgeVault {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let vault = self.vault.find(client)?;
        let question = format!("Destroy the deleted vault {} and its deleted secrets for good?", vault.name);
        input::confirm(&question, self.yes)?;
        client.vault_purge(&vault.id)?;
        output.print(&vault, || format!("{} is destroyed\n", vault.name))
    }
}

/// The one that was found; none and several are each told with what to do.
fn one<T>(mut found: Vec<T>, name: &str, noun: &str, list: &str) -> Result<T, Failure> {
    match (found.pop(), found.is_empty()) {
        (Some(found), true) => Ok(found),
        (Some(_), false) => Err(Failure::new(format!("several {noun}s called '{name}' were deleted"))
            .todo(format!("name one with --id: {list} shows them"))
            .kind(Kind::Invalid)),
        (None, _) => Err(Failure::new(format!("there is no deleted {noun} '{name}' that this key can see"))
            .todo(format!("{list} shows those that it can"))
            .kind(Kind::Missing)),
    }
}
