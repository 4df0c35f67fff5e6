//! `strongroom completions` and `strongroom man`: what shells and manuals know of the commands.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{Failure, Kind};
use crate::out;

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Args)]
pub(crate) struct Man {
    /// A folder that gets a page for each command [default: the first page, on standard output]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Completions {
    pub(crate) fn run(&self, mut commands: Command) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut commands, "strongroom", &mut script);
        out(&String::from_utf8_lossy(&script))
    }
}

impl Man {
    pub(crate) fn run(&self, commands: Command) -> Result<ExitCode, Failure> {
        // `help` is a way of reading these same pages.
        let commands = commands.disable_help_subcommand(true);
        match &self.folder {
            Some(folder) => {
                let failed = |error| {
                    Failure::new(format!("the pages cannot be written to {}", folder.display()))
                        .because(error)
                        .kind(Kind::Invalid)
                };
                fs::create_dir_all(folder).map_err(failed)?;
                clap_mangen::generate_to(commands, folder).map_err(failed)?;
                Ok(ExitCode::SUCCESS)
            }
            None => {
                let mut page = Vec::new();
                let rendered = clap_mangen::Man::new(commands).render(&mut page);
                rendered.map_err(|error| Failure::new("the page cannot be made").because(error))?;
                out(&String::from_utf8_lossy(&page))
            }
        }
    }
}
