use clap::Subcommand;
use strongroom_client::api::Method;

use super::Call;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show where everything is
    #[command(after_help = "Example:\n  strongroom api root get")]
    Get,
    /// Show the account, the key and its user
    #[command(name = "self", after_help = "Example:\n  strongroom api root self")]
    Itself,
}

impl Command {
    pub(super) fn call(self) -> Call {
        match self {
            Self::Get => Call::new(Method::Get, "/"),
            Self::Itself => Call::new(Method::Get, "/self"),
        }
    }
}
