//! `strongroom ip-restrictions`: the way back in for those whom a restriction of the API keeps out.

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;
use crate::settings::{Place, Settings};
use crate::{folder, house, hygiene};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Let in every address again: the restrictions of the API stay, and only warn
    #[command(
        after_help = "Example:\n  strongroom ip-restrictions disable --data-dir /var/lib/strongroom\n\nIt works on the data folder, while the server is stopped, or on the database (--database), and needs no API key. The audit log tells of it."
    )]
    Disable(Place),
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let Self::Disable(place) = self;
        let settings = place.resolve()?;
        hygiene::harden();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failure::new("the runtime cannot be started").because(error))?;
        runtime.block_on(disable(&settings))
    }
}

async fn disable(settings: &Settings) -> Result<ExitCode, Failure> {
    let failed = |error| Failure::new("the restrictions could not be changed").because(error);
    let (_folder, house) = house::open_existing(settings, folder::IN_USE).await?;
    let app = house.with_keys()?.app;
    let caller = app.operator().await.map_err(failed)?;
    let lifted = app.ip_restrictions_lift(&caller).await.map_err(failed)?;
    if lifted.is_empty() {
        return crate::out("No restriction of the API was enforced\n");
    }
    let lines = lifted.iter().map(|restriction| format!("{} is not enforced any more\n", restriction.id));
    crate::out(&lines.collect::<String>())
}
