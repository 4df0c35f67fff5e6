//! `strongroom api-key`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use strongroom_client::api::Client;
use strongroom_domain::clock::{Clock, SystemClock};
use strongroom_server::origin::Origin;
use strongroom_server::{parse, view};
use strongroom_wire as wire;

use super::output::{Format, Output, Table, fields, grants, or_dash};
use super::slot::{Place, Stopped};
use super::{Remote, grant, input};
use crate::failure::{Failure, Kind};
use crate::folder;
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
        after_help = "Examples:\n  strongroom api-key create --grant 'resolve prod:tls-*' --expires-in 90d --description web\n  strongroom api-key create --grant 'manage *:*' --owner ann@example.com\n  STRONGROOM_API_KEY=$(strongroom api-key create --grant 'resolve prod:*' --token-only) strongroom run --vault prod -- ./app\n\nA grant is 'resolve VAULT:SECRET' (values), 'read VAULT:SECRET' (all but values), 'manage VAULT:SECRET', 'audit' or 'admin';\n* stands for any run of characters. A key without grants does what its owner may, and reads no value.\n\nWho has no key, as where the first one is lost, makes one on the machine itself, with the server stopped or its store in a database. It acts for the first user, and the audit log tells of it:\n  strongroom api-key create --data-dir /var/lib/strongroom --out new-api-key"
    )]
    Create(Box<Create>),
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
    #[arg(long, conflicts_with = "out")]
    token_only: bool,
    /// Write the token to a new file that only you may read, and do not print it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Whom it acts for: the id of a user or service user, or a user's e-mail address [default: you]
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    #[command(flatten)]
    place: Place,
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
        let Self { remote, output, command } = self;
        match command {
            Command::Create(create) => create.run(&remote, output),
            Command::List => list(&remote.connect()?, output),
            Command::Show(named) => {
                let key = remote.connect()?.api_key(&named.id)?;
                output.print(&key, || shown(&key))
            }
            Command::Delete(Delete { named, yes }) => {
                let client = remote.connect()?;
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
    fn run(self, remote: &Remote, output: Output) -> Result<ExitCode, Failure> {
        let expires_at = end(self.expires_in, self.expires_at)?;
        let (owner_email, owner_id) = match self.owner {
            Some(owner) if owner.contains('@') => (Some(owner), None),
            owner => (None, owner),
        };
        let key = wire::ApiKeyCreate {
            description: self.description,
            metadata: self.metadata,
            owner_id,
            owner_email,
            grants: (!self.grants.is_empty()).then_some(self.grants),
            expires_at,
            client_certificate: self.client_certificate,
        };
        let create = || match self.place.stopped()? {
            Some(stopped) => create_at(&stopped, &key),
            None => Ok(remote.connect()?.api_key_create(&key)?),
        };
        if let Some(path) = &self.out {
            let made = into_file(path, create)?;
            return output.print(&made, || shown(&made));
        }
        let made = create()?;
        if self.token_only {
            // Shown this once, to the one who made the key.
            return crate::out(&zeroize::Zeroizing::new(format!(
                "{}\n",
                made.token.as_deref().unwrap_or_default()
            )));
        }
        let done = output.print(&made, || shown(&made))?;
        if output.format == Format::Table {
            tell_once();
        }
        Ok(done)
    }
}

/// Makes the key in the store itself, of the first user.
fn create_at(stopped: &Stopped, key: &wire::ApiKeyCreate) -> Result<wire::ApiKey, Failure> {
    let failed = || Failure::new("the API key could not be made");
    let body = serde_json::to_vec(key).map_err(|error| failed().because(error))?;
    let draft = parse::api_key_draft(&body, stopped.limits());
    let draft = draft.map_err(|error| failed().because(error).kind(Kind::Invalid))?;
    let (app, caller) = stopped.house()?;
    let made = stopped.wait(app.api_key_create(caller, draft, None));
    let (key, token) = made.map_err(|error| failed().because(error))?.it;
    Ok(view::api_key(&key, Some(&token), &Origin::none()))
}

/// Writes the token to a file that must not be there yet: it is made first, so that no key is made whose token has no place.
fn into_file(
    path: &Path,
    create: impl FnOnce() -> Result<wire::ApiKey, Failure>,
) -> Result<wire::ApiKey, Failure> {
    let failed = |error| Failure::new(format!("{} cannot be written", path.display())).because(error);
    let mut file = folder::create_private(path).map_err(failed)?;
    let mut made = create().inspect_err(|_| {
        // It is empty, and of no use to anybody.
        let _ = std::fs::remove_file(path);
    })?;
    let token = zeroize::Zeroizing::new(format!("{}\n", made.token.take().unwrap_or_default()));
    file.write_all(token.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(made)
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

fn shown(key: &wire::ApiKey) -> String {
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
