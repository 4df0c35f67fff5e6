//! `strongroom api`: the commands and flags of `ngrok api`, so that a script changes one word.

mod api_keys;
mod ip;
mod root;
mod secrets;
mod users;
mod vaults;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use strongroom_client::api::{Client, Method, segment};
use zeroize::{Zeroize, Zeroizing};

use super::Remote;
use super::output::indented;
use crate::failure::Failure;
use crate::out;

#[derive(Args)]
pub(crate) struct Api {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    _ignored: Ignored,
    #[command(subcommand)]
    command: Command,
}

/// Flags of ngrok's own client, which a script may have. Nothing is logged here, so there is nothing that they set.
#[derive(Args)]
struct Ignored {
    #[arg(long, global = true, hide = true)]
    log: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_format: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_level: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Vaults
    #[command(subcommand, after_help = "Example:\n  strongroom api vaults list --limit 10")]
    Vaults(vaults::Command),
    /// Secrets
    #[command(
        subcommand,
        after_help = "Example:\n  strongroom api secrets list --filter 'obj.vault_name == \"prod\"'"
    )]
    Secrets(secrets::Command),
    /// API keys
    #[command(subcommand, after_help = "Example:\n  strongroom api api-keys list")]
    ApiKeys(api_keys::Command),
    /// Service users
    #[command(subcommand, after_help = "Example:\n  strongroom api service-users list")]
    ServiceUsers(users::ServiceUsers),
    /// Service users under their older name
    #[command(subcommand, after_help = "Example:\n  strongroom api bot-users list")]
    BotUsers(users::BotUsers),
    /// IP policies: sets of rules about addresses
    #[command(subcommand, after_help = "Example:\n  strongroom api ip-policies list")]
    IpPolicies(ip::Policies),
    /// Rules of IP policies
    #[command(subcommand, after_help = "Example:\n  strongroom api ip-policy-rules list")]
    IpPolicyRules(ip::Rules),
    /// IP restrictions: from where the API may be used
    #[command(subcommand, after_help = "Example:\n  strongroom api ip-restrictions list")]
    IpRestrictions(ip::Restrictions),
    /// Where everything is, and who the key is
    #[command(subcommand, after_help = "Example:\n  strongroom api root self")]
    Root(root::Command),
}

impl Api {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let call = match self.command {
            Command::Vaults(command) => command.call(),
            Command::Secrets(command) => command.call()?,
            Command::ApiKeys(command) => command.call(),
            Command::ServiceUsers(command) => command.call(),
            Command::BotUsers(command) => command.call(),
            Command::IpPolicies(command) => command.call(),
            Command::IpPolicyRules(command) => command.call(),
            Command::IpRestrictions(command) => command.call(),
            Command::Root(command) => command.call(),
        };
        call.send(&self.remote.connect()?)
    }
}

/// One request. Its body may hold a value, so it has no `Debug`, and what it holds as `value` is zeroed when it is dropped.
struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None }
    }

    /// A call of one item of a collection.
    fn item(method: Method, collection: &str, id: &str) -> Self {
        Self::new(method, format!("{collection}/{}", segment(id)))
    }

    /// The body: an object of those fields that were given.
    fn body<const N: usize>(mut self, fields: [(&str, Option<Value>); N]) -> Self {
        let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        self.body = Some(Value::Object(given.collect::<Map<_, _>>()));
        self
    }

    fn query(mut self, name: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }

    fn send(&self, client: &Client) -> Result<ExitCode, Failure> {
        let query: Vec<_> = self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = client.call(self.method, &self.path, &query, self.body.as_ref())?;
        match answer.text()? {
            "" => Ok(ExitCode::SUCCESS),
            // What makes an API key has its token in the answer.
            text => out(&Zeroizing::new(indented(text))),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(Value::String(value)) = self.body.as_mut().and_then(|body| body.get_mut("value")) {
            value.zeroize();
        }
    }
}

fn text(text: Option<String>) -> Option<Value> {
    text.map(Value::String)
}

/// The words of Go's `strconv.ParseBool`, which ngrok's own client takes.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// The id of what a command is for.
#[derive(Args)]
struct Id {
    /// Its id
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
}

/// Which part of a list.
#[derive(Args)]
struct Paging {
    /// Begin after the item with this id
    #[arg(long, value_name = "ID")]
    before_id: Option<String>,
    /// At most so many, 1 to 100 [default: 100]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<String>,
}

impl Paging {
    fn of(self, call: Call) -> Call {
        call.query("before_id", self.before_id).query("limit", self.limit)
    }
}

/// Which items of a list.
#[derive(Args)]
struct Filtered {
    #[command(flatten)]
    paging: Paging,
    /// Only what this expression is true of, such as obj.name == "prod"
    #[arg(long, value_name = "EXPRESSION", allow_hyphen_values = true)]
    filter: Option<String>,
}

impl Filtered {
    fn of(self, call: Call) -> Call {
        self.paging.of(call).query("filter", self.filter)
    }
}

/// What people write beside a thing.
#[derive(Args)]
struct Notes {
    /// What it is for, at most 255 bytes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    description: Option<String>,
    /// What to remember of it, at most 4096 bytes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    metadata: Option<String>,
}
