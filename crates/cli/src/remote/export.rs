//! `strongroom export`: the values of a vault, in a file or on standard output.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use strongroom_client::env_name::{Variables, check_prefix, variable};
use strongroom_client::reference::Reference;
use strongroom_client::values_file::{write_env, write_json, write_shell};
use strongroom_wire as wire;
use zeroize::Zeroizing;

use super::Remote;
use super::new_files::NewFiles;
use crate::failure::{Failure, Kind};

pub(crate) const HELP: &str = "\
Examples:
  strongroom export --vault prod --format json -o prod.json
  eval \"$(strongroom export --vault dev --format shell)\"

The key needs a grant to resolve. For .env and shell a name is made fit, db-password to DB_PASSWORD, and two secrets of one
variable are refused; JSON keeps names as they are. A file is written whole or not at all, and only you can read it. The
values stand in it in clear: strongroom run gives them to a program without a file.";

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    remote: Remote,
    /// The vault
    #[arg(long, value_name = "VAULT")]
    vault: String,
    /// How to write them
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Env)]
    format: Format,
    /// Put this before each name
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// The file to write; - is standard output [default: -]
    #[arg(long = "out", short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Env,
    Json,
    Shell,
}

impl Export {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let invalid =
            |error: strongroom_client::env_name::Error| Failure::new(error.to_string()).kind(Kind::Invalid);
        if self.format != Format::Json {
            check_prefix(&self.prefix).map_err(invalid)?;
        }
        let client = self.remote.connect()?;
        let secrets = client.resolve(&[wire::Reference::whole(&self.vault)])?;
        let mut variables = Variables::default();
        let mut named = Vec::with_capacity(secrets.len());
        for secret in &secrets {
            let name = match self.format {
                Format::Json => format!("{}{}", self.prefix, secret.name),
                Format::Env | Format::Shell => {
                    let name = variable(&self.prefix, &secret.name);
                    let reference = Reference::current(&secret.vault, &secret.name);
                    variables.derived(&name, &reference).map_err(invalid)?;
                    name
                }
            };
            named.push((name, secret));
        }
        // To be written out is what they were asked for.
        let pairs: Vec<(&str, &str)> =
            named.iter().map(|(name, secret)| (name.as_str(), secret.value.as_str())).collect();
        let text = match self.format {
            Format::Env => write_env(&pairs),
            Format::Shell => write_shell(&pairs),
            Format::Json => Ok(write_json(&pairs)),
        };
        self.put(&text.map_err(|error| Failure::new(error.to_string()).kind(Kind::Invalid))?)
    }

    fn put(&self, text: &Zeroizing<String>) -> Result<ExitCode, Failure> {
        let Some(file) = self.output.as_ref().filter(|file| file.as_os_str() != "-") else {
            return crate::out(text);
        };
        let mut files = NewFiles::default();
        files.add(file, text)?;
        files.commit()?;
        Ok(ExitCode::SUCCESS)
    }
}
