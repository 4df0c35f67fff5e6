//! What opens a key slot, as a person types it or keeps it in a file: never in the command line.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_crypto::SlotKind;
use strongroom_slots::{Error, recovery};
use strongroom_wire as wire;
use zeroize::Zeroizing;

use super::input;
use crate::failure::{Failure, Kind};

/// Bytes of a file with a passphrase, words or shares.
const LARGEST: usize = 16 * 1024;

/// Where it comes from, if not from the terminal.
#[derive(Args, Default)]
pub(crate) struct Source {
    /// A file with the passphrase, the words, or shares, one in each line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
}

impl Source {
    /// Asks for what opens a slot of that kind.
    pub(crate) fn ask(&self, kind: SlotKind) -> Result<wire::Unseal, Failure> {
        let text = match &self.from {
            Some(file) if kind == SlotKind::Shamir => input::values_of_file(file, LARGEST)?,
            Some(file) => line_of_file(file, "what opens it")?,
            None => {
                must_be_terminal("--from FILE")?;
                input::prompt_hidden(match kind {
                    SlotKind::Recovery => "The 24 words: ",
                    SlotKind::Shamir => "A share: ",
                    _ => "Passphrase: ",
                })?
            }
        };
        of_text(kind, &text)
    }
}

fn of_text(kind: SlotKind, text: &str) -> Result<wire::Unseal, Failure> {
    let none = wire::Unseal::default();
    match kind {
        SlotKind::Recovery => {
            // A typing error is told before anything is sent.
            recovery::parse(text)?;
            Ok(wire::Unseal { words: Some(text.to_owned()), ..none })
        }
        SlotKind::Shamir => {
            let shares: Vec<String> =
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
            if shares.is_empty() {
                return Err(Failure::from(Error::NoShare));
            }
            Ok(wire::Unseal { shares, ..none })
        }
        _ => Ok(wire::Unseal { passphrase: Some(text.to_owned()), ..none }),
    }
}

/// All of a file but the end of its last line.
pub(crate) fn line_of_file(file: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    let text = input::values_of_file(file, LARGEST)?;
    let line = text.strip_suffix('\n').map_or(&**text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(Failure::new(format!("{what} is empty")).kind(Kind::Invalid));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Refuses to ask where nobody can answer.
pub(crate) fn must_be_terminal(instead: &str) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::new("nobody can be asked, as standard input is not a terminal")
        .todo(format!("give {instead}; - is standard input"))
        .kind(Kind::Usage))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.to_string()).kind(Kind::Invalid)
    }
}
