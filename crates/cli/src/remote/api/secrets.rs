use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;
use strongroom_client::api::Method;

use super::{Call, Filtered, Id, Notes, text};
use crate::failure::Failure;
use crate::remote::input;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a secret
    #[command(
        after_help = "Examples:\n  strongroom api secrets create --name db-password --value-file password.txt --vault-name prod\n  pass show db | strongroom api secrets create --name db-password --value-file - --vault-name prod"
    )]
    Create {
        /// Its name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        value: SecretValue,
        /// The id of its vault
        #[arg(long, value_name = "ID")]
        vault_id: Option<String>,
        /// The name of its vault
        #[arg(long, value_name = "NAME")]
        vault_name: Option<String>,
        #[command(flatten)]
        notes: Notes,
    },
    /// Remove a secret
    #[command(after_help = "Example:\n  strongroom api secrets delete secret_32ELIJG8pybfIzK6EGVZ3HWrk1E")]
    Delete(Id),
    /// Show a secret, but not its value
    #[command(after_help = "Example:\n  strongroom api secrets get secret_32ELIJG8pybfIzK6EGVZ3HWrk1E")]
    Get(Id),
    /// List secrets, but not their values
    #[command(after_help = "Example:\n  strongroom api secrets list --filter 'obj.vault_name == \"prod\"'")]
    List(Filtered),
    /// Change a secret; what is not given stays
    #[command(
        after_help = "Example:\n  strongroom api secrets update secret_32ELIJG8pybfIzK6EGVZ3HWrk1E --value-file password.txt"
    )]
    Update {
        #[command(flatten)]
        id: Id,
        /// A new name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        value: SecretValue,
        #[command(flatten)]
        notes: Notes,
    },
}

/// A value, from the command line or from a file.
#[derive(Args)]
pub(super) struct SecretValue {
    /// Its value. Other users can read a command line: rather use --value-file
    #[arg(long, value_name = "TEXT", conflicts_with = "value_file", allow_hyphen_values = true)]
    value: Option<String>,
    /// A file that holds its value, taken exactly as it is; - is standard input
    #[arg(long, value_name = "FILE")]
    value_file: Option<PathBuf>,
}

impl SecretValue {
    fn read(self) -> Result<Option<Value>, Failure> {
        if let Some(file) = self.value_file {
            let mut value = input::value_of_file(&file)?;
            return Ok(Some(Value::String(std::mem::take(&mut *value))));
        }
        if self.value.is_some() {
            input::warn_of_value();
        }
        Ok(text(self.value))
    }
}

const PATH: &str = "/vault_secrets";

impl Command {
    pub(super) fn call(self) -> Result<Call, Failure> {
        Ok(match self {
            Self::Create { name, value, vault_id, vault_name, notes } => {
                Call::new(Method::Post, PATH).body([
                    ("name", text(name)),
                    ("value", value.read()?),
                    ("vault_id", text(vault_id)),
                    ("vault_name", text(vault_name)),
                    ("description", text(notes.description)),
                    ("metadata", text(notes.metadata)),
                ])
            }
            Self::Delete(id) => Call::item(Method::Delete, PATH, &id.id),
            Self::Get(id) => Call::item(Method::Get, PATH, &id.id),
            Self::List(filtered) => filtered.of(Call::new(Method::Get, PATH)),
            Self::Update { id, name, value, notes } => Call::item(Method::Patch, PATH, &id.id).body([
                ("name", text(name)),
                ("value", value.read()?),
                ("description", text(notes.description)),
                ("metadata", text(notes.metadata)),
            ]),
        })
    }
}
