//! `strongroom api-key`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use strongroom_client::api::Client;
use strongroom_domain::clock::{Clock, SystemClock};
use strongroom_wire as wire;

use super::output::{Format, Output, Table, fields, grants, or_dash};
use super::{Remote, grant, input};
use crate::failure::{Failure, Kind};
use crate::units::Age;

#[derive(Args)]
pub(crate) struct ApiKey {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an API key, and print its token this once
    #[command(
        after_help = "Examples:\n  strongroom api-key create --grant 'resolve prod:tls-*' --expires-in 90d --description web\n  strongroom api-key create --grant 'manage *:*' --owner ann@example.com\n  STRONGROOM_API_KEY=$(strongroom api-key create --grant 'resolve prod:*' --token-only) strongroom run --vault prod -- ./app\n\nA grant is 'resolve VAULT:SECRET' (values), 'read VAULT:SECRET' (all but values), 'manage VAULT:SECRET', 'audit' or 'admin';\n* stands for any run of characters. A key without grants does what its owner may, and reads no value."
    )]
    Create(Create),
    /// List API keys, but not their tokens
    #[command(after_help = "Example:\n  strongroom api-key list")]
    List,
    /// Show an API key, but not its token
    #[command(after_help = "Example:\n  strongroom api-key show ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD")]
    Show(Named),
    /// Remove an API key, which opens nothing from then on
    #[command(after_help = "Example:\n  strongroom api-key delete ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD --yes")]
    Delete(Delete),
}

#[derive(Args)]
struct Create {
    /// What it may do, and nothing else, such as 'resolve prod:tls-*'; may be repeated
    #[arg(long = "grant", value_name = "GRANT", value_parser = grant::parse)]
    grants: Vec<wire::Grant>,
    /// How long it works, such as 90d or 12h [default: for ever]
    #[arg(long, value_name = "TIME", conflicts_with = "expires_at")]
    expires_in: Option<Age>,
    /// When it stops working, RFC 3339
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// The SHA-256 fingerprint of the client certificate that it works with alone
    #[arg(long, value_name = "FINGERPRINT")]
    client_certificate: Option<String>,
    /// What it is for, at most 255 bytes
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What to remember of it, at most 4096 bytes
    #[arg(long, value_name = "TEXT")]
    metadata: Option<String>,
    /// Print the token and nothing else, for $(…) and pipes
    #[arg(long)]
    token_only: bool,
    /// Whom it acts for: the id of a user or service user, or a user's e-mail address [default: you]
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
}

#[derive(Args)]
struct Named {
    /// The key's id
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
}

#[derive(Args)]
struct Delete {
    #[command(flatten)]
    named: Named,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl ApiKey {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let output = self.output;
        match self.command {
            Command::Create(create) => create.run(&client, output),
            Command::List => list(&client, output),
            Command::Show(named) => {
                let key = client.api_key(&named.id)?;
                output.print(&key, || view(&key))
            }
            Command::Delete(Delete { named, yes }) => {
                let key = client.api_key(&named.id)?;
                let description = super::output::shown(&key.description);
                input::confirm(&format!("Remove the API key {} ({description})?", key.id), yes)?;
                client.api_key_delete(&key.id)?;
                output.print(&key, || format!("{} is removed\n", key.id))
            }
        }
    }
}

impl Create {
    fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let expires_at = end(self.expires_in, self.expires_at)?;
        let (owner_email, owner_id) = match self.owner {
            Some(owner) if owner.contains('@') => (Some(owner), None),
            owner => (None, owner),
        };
        let made = client.api_key_create(&wire::ApiKeyCreate {
            description: self.description,
            metadata: self.metadata,
            owner_id,
            owner_email,
            grants: (!self.grants.is_empty()).then_some(self.grants),
            expires_at,
            client_certificate: self.client_certificate,
        })?;
        if self.token_only {
            // Shown this once, to the one who made the key.
            return crate::out(&zeroize::Zeroizing::new(format!(
                "{}\n",
                made.token.as_deref().unwrap_or_default()
            )));
        }
        let done = output.print(&made, || view(&made))?;
        if output.format == Format::Table {
            tell_once();
        }
        Ok(done)
    }
}

#[expect(clippy::print_stderr, reason = "standard output is for the token, which a pipe may take")]
fn tell_once() {
    eprintln!("The token is shown this once: keep it now.");
}

/// When something is to end that was given a span of time or a time.
pub(super) fn end(expires_in: Option<Age>, expires_at: Option<String>) -> Result<Option<String>, Failure> {
    match expires_in {
        Some(age) => Ok(Some(after(SystemClock.now(), age, "--expires-in")?.to_string())),
        None => Ok(expires_at),
    }
}

/// The whole second that is so long after a time.
pub(super) fn after(now: Timestamp, age: Age, option: &str) -> Result<Timestamp, Failure> {
    let then = Timestamp::from_second(now.as_second()).and_then(|now| now.checked_add(age.0));
    then.map_err(|_| Failure::new(format!("{option} reaches too far ahead")).kind(Kind::Invalid))
}

fn list(client: &Client, output: Output) -> Result<ExitCode, Failure> {
    let uri = format!("{}/api_keys", client.url());
    let list = wire::ApiKeyList { keys: client.api_keys()?, uri, next_page_uri: None };
    output.print(&list, || {
        let mut table = Table::new(&["ID", "OWNER", "EXPIRES", "DESCRIPTION", "GRANTS"]);
        for key in &list.keys {
            table.row([
                key.id.clone(),
                key.owner_id.clone(),
                or_dash(key.expires_at.as_deref()),
                key.description.clone(),
                grants(key.grants.as_deref()),
            ]);
        }
        table.view()
    })
}

fn view(key: &wire::ApiKey) -> String {
    fields([
        ("id", key.id.clone()),
        ("owner", key.owner_id.clone()),
        ("grants", grants(key.grants.as_deref())),
        ("created", key.created_at.clone()),
        ("expires", key.expires_at.clone().unwrap_or_else(|| "never".to_owned())),
        ("certificate", key.client_certificate.clone().unwrap_or_else(|| "any".to_owned())),
        ("description", key.description.clone()),
        ("metadata", key.metadata.clone()),
        ("token", key.token.clone().unwrap_or_default()),
    ])
}
