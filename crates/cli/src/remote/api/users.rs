use clap::{Args, Subcommand};
use serde_json::Value;
use strongroom_client::api::Method;

use super::{Call, Filtered, Id, Paging, parse_bool, text};

#[derive(Subcommand)]
pub(super) enum ServiceUsers {
    /// Make a service user
    #[command(after_help = "Example:\n  strongroom api service-users create --name deploy")]
    Create(Fields),
    /// Remove a service user, and with it its keys
    #[command(
        after_help = "Example:\n  strongroom api service-users delete service_32ELEgPmoXjxGJ3MXfoPBbZKrfD"
    )]
    Delete(Id),
    /// Show a service user
    #[command(
        after_help = "Example:\n  strongroom api service-users get service_32ELEgPmoXjxGJ3MXfoPBbZKrfD"
    )]
    Get(Id),
    /// List service users
    #[command(after_help = "Example:\n  strongroom api service-users list --filter 'obj.name == \"deploy\"'")]
    List(Filtered),
    /// Change a service user; what is not given stays
    #[command(
        after_help = "Example:\n  strongroom api service-users update service_32ELEgPmoXjxGJ3MXfoPBbZKrfD --active=false"
    )]
    Update {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        fields: Fields,
    },
}

#[derive(Subcommand)]
pub(super) enum BotUsers {
    /// Make a service user
    #[command(after_help = "Example:\n  strongroom api bot-users create --name deploy")]
    Create(Fields),
    /// Remove a service user, and with it its keys
    #[command(after_help = "Example:\n  strongroom api bot-users delete bot_32ELEgPmoXjxGJ3MXfoPBbZKrfD")]
    Delete(Id),
    /// Show a service user
    #[command(after_help = "Example:\n  strongroom api bot-users get bot_32ELEgPmoXjxGJ3MXfoPBbZKrfD")]
    Get(Id),
    /// List service users
    #[command(after_help = "Example:\n  strongroom api bot-users list --limit 10")]
    List(Paging),
    /// Change a service user; what is not given stays
    #[command(
        after_help = "Example:\n  strongroom api bot-users update bot_32ELEgPmoXjxGJ3MXfoPBbZKrfD --active=false"
    )]
    Update {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        fields: Fields,
    },
}

#[derive(Args)]
pub(super) struct Fields {
    /// Its name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whether its keys work
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = parse_bool
    )]
    active: Option<bool>,
}

impl ServiceUsers {
    pub(super) fn call(self) -> Call {
        const PATH: &str = "/service_users";
        match self {
            Self::Create(fields) => create(PATH, fields),
            Self::Delete(id) => Call::item(Method::Delete, PATH, &id.id),
            Self::Get(id) => Call::item(Method::Get, PATH, &id.id),
            Self::List(filtered) => filtered.of(Call::new(Method::Get, PATH)),
            Self::Update { id, fields } => update(PATH, &id, fields),
        }
    }
}

impl BotUsers {
    pub(super) fn call(self) -> Call {
        const PATH: &str = "/bot_users";
        match self {
            Self::Create(fields) => create(PATH, fields),
            Self::Delete(id) => Call::item(Method::Delete, PATH, &id.id),
            Self::Get(id) => Call::item(Method::Get, PATH, &id.id),
            Self::List(paging) => paging.of(Call::new(Method::Get, PATH)),
            Self::Update { id, fields } => update(PATH, &id, fields),
        }
    }
}

fn create(path: &str, fields: Fields) -> Call {
    Call::new(Method::Post, path)
        .body([("name", text(fields.name)), ("active", fields.active.map(Value::Bool))])
}

fn update(path: &str, id: &Id, fields: Fields) -> Call {
    let body = [("name", text(fields.name)), ("active", fields.active.map(Value::Bool))];
    Call::item(Method::Patch, path, &id.id).body(body)
}
