//! One secret out of a backup, put into a server that runs.

mod source;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use strongroom_client::api::Client;
use strongroom_client::reference::Reference;
use strongroom_domain::clock::{Clock, SystemClock};
use strongroom_wire as wire;
use zeroize::{Zeroize, Zeroizing};

use crate::audit::block_on;
use crate::failure::{Failure, Kind};
use crate::hygiene;
use crate::remote::{Remote, find};
use crate::settings::Settings;
use source::{Found, Source};

#[derive(Args)]
pub(super) struct One {
    /// A backup that one secret is taken from, for a server that runs; the root key is the backup's
    #[arg(long, value_name = "FILE", requires = "secret", help_heading = "One secret")]
    from: Option<PathBuf>,
    /// The secret, as it was called when the backup was made
    #[arg(long, value_name = "VAULT:NAME", requires = "from", value_parser = find::parse_current, help_heading = "One secret")]
    secret: Option<Reference>,
    /// Its id, where the backup has several of that name
    #[arg(long, value_name = "ID", requires = "from", help_heading = "One secret")]
    id: Option<String>,
    /// The version of its value [default: the one that was current]
    #[arg(long, value_name = "VERSION", requires = "from", value_parser = clap::value_parser!(u32).range(1..), help_heading = "One secret")]
    version: Option<u32>,
    /// The secret that gets the value [default: the one of the same name]
    #[arg(long, value_name = "VAULT:NAME", requires = "from", value_parser = find::parse_current, help_heading = "One secret")]
    to: Option<Reference>,
    /// Make the vault if there is none
    #[arg(long, requires = "from", help_heading = "One secret")]
    create_vault: bool,
    /// Say what would be done, and do nothing
    #[arg(long, requires = "from", help_heading = "One secret")]
    dry_run: bool,
}

/// What is there of the secret that gets the value.
enum There {
    Secret { id: String, version: u32 },
    Vault,
    Nothing,
}

impl One {
    pub(super) fn run(self, settings: &Settings, server: &Remote) -> Result<ExitCode, Failure> {
        hygiene::harden();
        let (Some(from), Some(name)) = (&self.from, &self.secret) else {
            return Err(Failure::new("--from and --secret go together").kind(Kind::Usage));
        };
        let (found, value) = block_on(async {
            let source = Source::open(from, settings).await?;
            let found = source.find(name, self.id.as_deref(), self.version).await?;
            let value = source.value(&found).await?;
            Ok((found, value))
        })?;
        let client = server.connect()?;
        let to = self.to.as_ref().unwrap_or(name);
        let there = self.there(&client, to)?;
        if self.dry_run {
            return crate::out(&would(to, &there, &found));
        }
        match there {
            There::Secret { id, version } => change(&client, to, (&id, version), &found, value),
            There::Vault => make(&client, to, &found, value),
            There::Nothing => {
                let vault = wire::VaultCreate { name: to.vault.clone(), ..Default::default() };
                client.vault_create(&vault)?;
                make(&client, to, &found, value)
            }
        }
    }

    fn there(&self, client: &Client, to: &Reference) -> Result<There, Failure> {
        if let Some(secret) = client.secret_find(&to.vault, &to.name)? {
            let version = client.detail(&secret.id)?.version;
            return Ok(There::Secret { id: secret.id, version });
        }
        match find::vault(client, &to.vault) {
            Ok(_) => Ok(There::Vault),
            Err(failure) if failure.is(Kind::Missing) && self.create_vault => Ok(There::Nothing),
            Err(failure) if failure.is(Kind::Missing) => Err(failure.todo("add --create-vault to make it")),
            Err(failure) => Err(failure),
        }
    }
}

fn would(to: &Reference, there: &There, found: &Found) -> String {
    match there {
        There::Secret { version, .. } => {
            format!("would give {to}, now at version {version}, the value of {found}, if it is another one\n")
        }
        There::Vault => format!("would make {to} with the value of {found}\n"),
        There::Nothing => {
            format!("would make the vault {}\nwould make {to} with the value of {found}\n", to.vault)
        }
    }
}

/// Gives a secret the value; that of now stays among its versions.
fn change(
    client: &Client,
    to: &Reference,
    (id, version): (&str, u32),
    found: &Found,
    mut value: Zeroizing<String>,
) -> Result<ExitCode, Failure> {
    let mut change = wire::SecretUpdate { value: Some(std::mem::take(&mut *value)), ..Default::default() };
    let changed = client.secret_update(id, &change);
    change.value.zeroize();
    changed?;
    let now = client.detail(id)?;
    let told = if now.version == version {
        format!("{to} has the value of {found} already: nothing was changed")
    } else {
        format!("{to} has the value of {found}: it is version {} now", now.version)
    };
    let over = match now.expires_at.parse::<Timestamp>() {
        Ok(end) if end <= SystemClock.now() => {
            format!("; it expired at {end}, and is not resolved before it has another end")
        }
        _ => String::new(),
    };
    crate::out(&format!("{told}{over}\n"))
}

/// Makes a secret with the value, and with what the backup tells of it.
fn make(
    client: &Client,
    to: &Reference,
    found: &Found,
    mut value: Zeroizing<String>,
) -> Result<ExitCode, Failure> {
    // An end that is past is none that a new secret can have.
    let end = found.secret.expires_at;
    let ahead = end.filter(|end| *end > SystemClock.now());
    let mut secret = wire::SecretCreate {
        name: to.name.clone(),
        value: std::mem::take(&mut *value),
        vault_id: None,
        vault_name: Some(to.vault.clone()),
        description: Some(found.secret.description.clone()),
        metadata: Some(found.secret.metadata.clone()),
        expires_at: ahead.map(|end| end.to_string()),
    };
    let made = client.secret_create(&secret);
    secret.value.zeroize();
    made?;
    let without = match (end, ahead) {
        (Some(end), None) => format!("; it has no end now, as {end} is past"),
        _ => String::new(),
    };
    crate::out(&format!("{to} is made, with the value of {found}{without}\n"))
}
