//! `strongroom webhook`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use strongroom_client::api::Client;
use strongroom_crypto::{SigningSecret, SystemRng};
use strongroom_wire as wire;
use zeroize::{Zeroize, Zeroizing};

use super::output::{Format, Output, Table, fields, or_dash};
use super::{Remote, input};
use crate::failure::{Failure, Kind};

/// Bytes of a file with a signing secret.
const LARGEST_SECRET: usize = 4096;

#[derive(Args)]
pub(crate) struct Webhook {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a webhook, and print its signing secret this once
    #[command(
        after_help = "Examples:\n  strongroom webhook create https://hooks.example.com/strongroom --event secret_updated.v0\n  strongroom webhook create https://hooks.example.com/strongroom --event '*' --secret-file secret.txt\n\nTypes are '*', secret_expiring.v0, secret_expired.v0, and secret_ or vault_ with created, updated, deleted, undeleted or purged and .v0."
    )]
    Create(Create),
    /// List webhooks
    #[command(after_help = "Example:\n  strongroom webhook list")]
    List,
    /// Show a webhook, but not its signing secret
    #[command(
        alias = "get",
        after_help = "Example:\n  strongroom webhook show wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD"
    )]
    Show(Named),
    /// Change a webhook
    #[command(
        after_help = "Examples:\n  strongroom webhook update wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD --event secret_updated.v0 --event secret_deleted.v0\n  strongroom webhook update wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD --new-secret\n  strongroom webhook update wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD --active=false\n\nAfter a change of the secret, the one before signs along for 24 hours."
    )]
    Update(Update),
    /// Remove a webhook, with what it was not told yet
    #[command(after_help = "Example:\n  strongroom webhook delete wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD --yes")]
    Delete(Delete),
    /// Send a test message, and say how it went
    #[command(after_help = "Example:\n  strongroom webhook test wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD")]
    Test(Named),
    /// List deliveries that failed: those that are tried again, and those that were given up
    #[command(
        after_help = "Example:\n  strongroom webhook deliveries wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD --state dead"
    )]
    Deliveries(Deliveries),
    /// Try deliveries that failed again now: one, or all
    #[command(
        after_help = "Examples:\n  strongroom webhook retry wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD\n  strongroom webhook retry wh_32ELEgPmoXjxGJ3MXfoPBbZKrfD 1042"
    )]
    Retry(Retry),
}

#[derive(Args)]
struct Create {
    /// Where changes are to be told: https, without a user name
    #[arg(value_name = "URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    to: String,
    /// A type of change to tell, such as secret_updated.v0; '*' is all; may be repeated
    #[arg(long = "event", value_name = "TYPE", required = true)]
    events: Vec<String>,
    /// What it is for, at most 255 bytes
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What to remember of it, at most 4096 bytes
    #[arg(long, value_name = "TEXT")]
    metadata: Option<String>,
    /// Whether it is told anything [default: true]
    #[arg(long, value_name = "BOOL", require_equals = true)]
    active: Option<bool>,
    /// A file with the signing secret, whsec_…; - is standard input [default: one is made]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Print the signing secret and nothing else, for $(…) and pipes
    #[arg(long)]
    secret_only: bool,
}

#[derive(Args)]
struct Update {
    #[command(flatten)]
    named: Named,
    /// Another place to tell
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// A type of change to tell, in place of all before; may be repeated
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// A new description
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// New metadata
    #[arg(long, value_name = "TEXT")]
    metadata: Option<String>,
    /// Whether it is told anything; what happens while it is not, it never hears of
    #[arg(long, value_name = "BOOL", require_equals = true)]
    active: Option<bool>,
    /// A file with another signing secret, whsec_…; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "new_secret")]
    secret_file: Option<PathBuf>,
    /// Make another signing secret, and print it this once
    #[arg(long)]
    new_secret: bool,
}

#[derive(Args)]
struct Named {
    /// The webhook's id
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

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Waiting,
    Dead,
}

#[derive(Args)]
struct Deliveries {
    #[command(flatten)]
    named: Named,
    /// Only those that are tried again, or those that were given up
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Args)]
struct Retry {
    #[command(flatten)]
    named: Named,
    /// The number of the one to try again, as 'deliveries' lists it [default: all]
    #[arg(value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    sequence: Option<u64>,
}

impl Webhook {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let output = self.output;
        match self.command {
            Command::Create(create) => create.run(&client, output),
            Command::List => list(&client, output),
            Command::Show(named) => {
                let webhook = client.webhook(&named.id)?;
                output.print(&webhook, || view(&webhook))
            }
            Command::Update(update) => update.run(&client, output),
            Command::Delete(Delete { named, yes }) => {
                let webhook = client.webhook(&named.id)?;
                let url = super::output::shown(&webhook.url);
                input::confirm(&format!("Remove the webhook {} to {url}?", webhook.id), yes)?;
                client.webhook_delete(&webhook.id)?;
                output.print(&webhook, || format!("{} is removed\n", webhook.id))
            }
            Command::Test(named) => test(&client, &named.id, output),
            Command::Deliveries(deliveries) => deliveries.run(&client, output),
            Command::Retry(Retry { named, sequence }) => {
                let retried = client.webhook_retry(&named.id, &wire::WebhookRetry { sequence })?;
                output.print(&retried, || format!("{} tried again now\n", count(retried.retried)))
            }
        }
    }
}

fn count(deliveries: u64) -> String {
    if deliveries == 1 { "1 delivery is".to_owned() } else { format!("{deliveries} deliveries are") }
}

impl Create {
    fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let secret = self.secret_file.as_deref().map(secret_of_file).transpose()?;
        let mut webhook = wire::WebhookCreate {
            url: self.to,
            event_types: self.events,
            description: self.description,
            metadata: self.metadata,
            active: self.active,
            secret: secret.map(|secret| secret.to_string()),
        };
        let made = client.webhook_create(&webhook);
        webhook.secret.zeroize();
        let mut made = made?;
        if self.secret_only {
            // Shown this once, to the one who made the webhook.
            let secret = Zeroizing::new(made.secret.take().unwrap_or_default());
            return crate::out(&Zeroizing::new(format!("{}\n", *secret)));
        }
        let done = output.print(&made, || view(&made));
        made.secret.zeroize();
        if output.format == Format::Table {
            tell_once();
        }
        done
    }
}

impl Update {
    fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let made = if self.new_secret { Some(make_secret()?) } else { None };
        let given = self.secret_file.as_deref().map(secret_of_file).transpose()?;
        let mut change = wire::WebhookUpdate {
            url: self.to,
            event_types: (!self.events.is_empty()).then_some(self.events),
            description: self.description,
            metadata: self.metadata,
            active: self.active,
            secret: made.as_ref().or(given.as_ref()).map(|secret| secret.to_string()),
        };
        let changed = client.webhook_update(&self.named.id, &change);
        change.secret.zeroize();
        let mut changed = changed?;
        // What was made here is shown this once, as the server shows what it made.
        changed.secret = made.as_ref().map(|secret| secret.to_string());
        let done = output.print(&changed, || view(&changed));
        changed.secret.zeroize();
        if made.is_some() && output.format == Format::Table {
            tell_once();
        }
        done
    }
}

fn make_secret() -> Result<Zeroizing<String>, Failure> {
    let made = SigningSecret::make(&SystemRng);
    let made = made.map_err(|error| Failure::new("no signing secret can be made").because(error))?;
    // To be sent to the server, and shown this once.
    Ok(made.expose_secret())
}

/// A signing secret out of a file, or asked for.
fn secret_of_file(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = if file.as_os_str() == "-" && std::io::stdin().is_terminal() {
        input::prompt_hidden("Signing secret: ")?
    } else {
        input::values_of_file(file, LARGEST_SECRET)?
    };
    let text = Zeroizing::new(text.trim_end().to_owned());
    match SigningSecret::parse(&text) {
        Some(_) => Ok(text),
        None => Err(Failure::new("a signing secret is whsec_ and 24 to 64 bytes in base64")
            .todo("leave it out to have one made")
            .kind(Kind::Invalid)),
    }
}

#[expect(clippy::print_stderr, reason = "standard output is for the secret, which a pipe may take")]
fn tell_once() {
    eprintln!("The signing secret is shown this once: keep it now.");
}

fn list(client: &Client, output: Output) -> Result<ExitCode, Failure> {
    let uri = format!("{}/strongroom/webhooks", client.url());
    let list = wire::WebhookList { webhooks: client.webhooks()?, uri, next_page_uri: None };
    output.print(&list, || {
        let mut table = Table::new(&["ID", "ACTIVE", "URL", "EVENTS", "DESCRIPTION"]);
        for webhook in &list.webhooks {
            table.row([
                webhook.id.clone(),
                webhook.active.to_string(),
                webhook.url.clone(),
                webhook.event_types.join(", "),
                webhook.description.clone(),
            ]);
        }
        table.view()
    })
}

fn test(client: &Client, id: &str, output: Output) -> Result<ExitCode, Failure> {
    let tested = client.webhook_test(id)?;
    match (&tested.error, output.format) {
        (Some(error), Format::Table) => {
            let what = format!("the test message was not taken: {}", super::output::shown(error));
            Err(Failure::new(what).todo("mend the target, or change the URL with strongroom webhook update"))
        }
        (error, _) => {
            output.print(&tested, || "the test message was taken\n".to_owned())?;
            Ok(if error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

impl Deliveries {
    fn run(self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let deliveries = self.fetch(client)?;
        output.print(&deliveries, || {
            let mut table =
                Table::new(&["NUMBER", "EVENT", "STATE", "ATTEMPTS", "NEXT OR GIVEN UP", "ERROR"]);
            for delivery in &deliveries {
                let at = delivery.next_attempt_at.as_deref().or(delivery.given_up_at.as_deref());
                table.row([
                    delivery.sequence.to_string(),
                    delivery.event_type.clone(),
                    delivery.state.clone(),
                    delivery.attempts.to_string(),
                    or_dash(at),
                    delivery.error.clone(),
                ]);
            }
            table.view()
        })
    }

    /// As many as are asked for, page after page.
    fn fetch(&self, client: &Client) -> Result<Vec<wire::WebhookDelivery>, Failure> {
        let state = self.state.map(|state| if matches!(state, State::Dead) { "dead" } else { "waiting" });
        let mut all: Vec<wire::WebhookDelivery> = Vec::new();
        loop {
            let wanted = (self.limit as usize - all.len()).min(100).to_string();
            let before = all.last().map(|last| last.sequence.to_string());
            let mut query = vec![("limit", wanted.as_str())];
            query.extend(state.map(|state| ("state", state)));
            query.extend(before.as_deref().map(|before| ("before", before)));
            let page = client.webhook_deliveries(&self.named.id, &query)?;
            let more = page.next_page_uri.is_some() && !page.deliveries.is_empty();
            all.extend(page.deliveries);
            if !more || all.len() >= self.limit as usize {
                all.truncate(self.limit as usize);
                return Ok(all);
            }
        }
    }
}

fn view(webhook: &wire::Webhook) -> String {
    fields([
        ("id", webhook.id.clone()),
        ("url", webhook.url.clone()),
        ("events", webhook.event_types.join(", ")),
        ("active", webhook.active.to_string()),
        ("created", webhook.created_at.clone()),
        ("updated", webhook.updated_at.clone()),
        ("description", webhook.description.clone()),
        ("metadata", webhook.metadata.clone()),
        ("secret", webhook.secret.clone().unwrap_or_default()),
    ])
}
