//! `strongroom healthcheck`: for containers, which have no other program that could ask.

use std::process::ExitCode;

use clap::Args;
use strongroom_client::api::Sealed;

use super::Remote;
use crate::failure::Failure;

pub(crate) const HELP: &str = "Examples:\n  strongroom healthcheck\n  strongroom healthcheck --live --url http://127.0.0.1:7071\n\n\
    It prints nothing where all is well, and needs no API key. The status is 5 where the server does\n\
    not answer, or is not ready: sealed, or without its store.";

/// Asks a server whether it is ready.
#[derive(Args)]
pub(crate) struct Healthcheck {
    #[command(flatten)]
    remote: Remote,
    /// Ask only whether it lives: a sealed server does too
    #[arg(long)]
    live: bool,
}

impl Healthcheck {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let (url, ca, identity) = self.remote.place()?;
        let server = Sealed::new(&url, ca.as_deref(), identity.as_ref())?;
        if self.live {
            server.live()?
        } else {
            server.ready()?
        }
        Ok(ExitCode::SUCCESS)
    }
}
