use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::api::Method;
use strongroom_wire::Grant;

use super::{Call, Filtered, Id, Notes, text};
use crate::remote::grant;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an API key; its token is in the answer, this once
    #[command(
        after_help = "Examples:\n  strongroom api api-keys create --description ci --owner-email ann@example.com\n  strongroom api api-keys create --grant 'resolve prod:tls-*' --expires-at 2027-01-01T00:00:00Z"
    )]
    Create {
        #[command(flatten)]
        notes: Notes,
        /// The id of the user or service user that it acts for
        #[arg(long, value_name = "ID")]
        owner_id: Option<String>,
        /// The e-mail address of the user that it acts for
        #[arg(long, value_name = "ADDRESS")]
        owner_email: Option<String>,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Remove an API key, which opens nothing from then on
    #[command(after_help = "Example:\n  strongroom api api-keys delete ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD")]
    Delete(Id),
    /// Show an API key, but not its token
    #[command(after_help = "Example:\n  strongroom api api-keys get ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD")]
    Get(Id),
    /// List API keys, but not their tokens
    #[command(after_help = "Example:\n  strongroom api api-keys list --limit 10")]
    List(Filtered),
    /// Change an API key; what is not given stays
    #[command(
        after_help = "Example:\n  strongroom api api-keys update ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD --grant 'resolve prod:*' --expires-at \"\""
    )]
    Update {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        notes: Notes,
        #[command(flatten)]
        bounds: Bounds,
    },
}

/// What ngrok's keys do not have.
#[derive(Args)]
pub(super) struct Bounds {
    /// What it may do, and nothing else: 'resolve prod:tls-*', 'read prod:*', 'manage *:*', 'audit' or 'admin';
    /// may be repeated
    #[arg(long = "grant", value_name = "GRANT", value_parser = grant::parse)]
    grants: Vec<Grant>,
    /// When it stops working, RFC 3339; "" for never
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// The SHA-256 fingerprint of the client certificate that it works with alone; "" for any, or none
    #[arg(long, value_name = "FINGERPRINT")]
    client_certificate: Option<String>,
}

impl Bounds {
    fn grants(&self) -> Option<Value> {
        (!self.grants.is_empty()).then(|| json!(self.grants))
    }
}

const PATH: &str = "/api_keys";

impl Command {
    pub(super) fn call(self) -> Call {
        match self {
            Self::Create { notes, owner_id, owner_email, bounds } => Call::new(Method::Post, PATH).body([
                ("description", text(notes.description)),
                ("metadata", text(notes.metadata)),
                ("owner_id", text(owner_id)),
                ("owner_email", text(owner_email)),
                ("grants", bounds.grants()),
                ("expires_at", text(bounds.expires_at)),
                ("client_certificate", text(bounds.client_certificate)),
            ]),
            Self::Delete(id) => Call::item(Method::Delete, PATH, &id.id),
            Self::Get(id) => Call::item(Method::Get, PATH, &id.id),
            Self::List(filtered) => filtered.of(Call::new(Method::Get, PATH)),
            Self::Update { id, notes, bounds } => Call::item(Method::Patch, PATH, &id.id).body([
                ("description", text(notes.description)),
                ("metadata", text(notes.metadata)),
                ("grants", bounds.grants()),
                ("expires_at", text(bounds.expires_at)),
                ("client_certificate", text(bounds.client_certificate)),
            ]),
        }
    }
}
