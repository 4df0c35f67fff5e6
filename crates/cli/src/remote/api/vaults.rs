use clap::Subcommand;
use strongroom_client::api::Method;

use super::{Call, Filtered, Id, Notes, Paging, text};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a vault
    #[command(
        after_help = "Example:\n  strongroom api vaults create --name prod --description \"Production\""
    )]
    Create {
        /// Its name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        notes: Notes,
    },
    /// Remove a vault, which has to be empty
    #[command(after_help = "Example:\n  strongroom api vaults delete vault_32ELIL9nzEhwlvjSpNSI6xXGNcE")]
    Delete(Id),
    /// Show a vault
    #[command(after_help = "Example:\n  strongroom api vaults get vault_32ELIL9nzEhwlvjSpNSI6xXGNcE")]
    Get(Id),
    /// List the secrets of a vault
    #[command(
        after_help = "Example:\n  strongroom api vaults get-secrets-by-vault vault_32ELIL9nzEhwlvjSpNSI6xXGNcE --limit 10"
    )]
    GetSecretsByVault {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        paging: Paging,
    },
    /// List vaults
    #[command(after_help = "Example:\n  strongroom api vaults list --filter 'obj.name == \"prod\"'")]
    List(Filtered),
    /// Change a vault; what is not given stays
    #[command(
        after_help = "Example:\n  strongroom api vaults update vault_32ELIL9nzEhwlvjSpNSI6xXGNcE --description \"\""
    )]
    Update {
        #[command(flatten)]
        id: Id,
        /// A new name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        notes: Notes,
    },
}

const PATH: &str = "/vaults";

impl Command {
    pub(super) fn call(self) -> Call {
        match self {
            Self::Create { name, notes } => Call::new(Method::Post, PATH).body(fields(name, notes)),
            Self::Delete(id) => Call::item(Method::Delete, PATH, &id.id),
            Self::Get(id) => Call::item(Method::Get, PATH, &id.id),
            Self::GetSecretsByVault { id, paging } => {
                let mut call = Call::item(Method::Get, PATH, &id.id);
                call.path.push_str("/secrets");
                paging.of(call)
            }
            Self::List(filtered) => filtered.of(Call::new(Method::Get, PATH)),
            Self::Update { id, name, notes } => {
                Call::item(Method::Patch, PATH, &id.id).body(fields(name, notes))
            }
        }
    }
}

fn fields(name: Option<String>, notes: Notes) -> [(&'static str, Option<serde_json::Value>); 3] {
    [("name", text(name)), ("description", text(notes.description)), ("metadata", text(notes.metadata))]
}
