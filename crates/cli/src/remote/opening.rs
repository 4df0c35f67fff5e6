//! What opens a key slot, as a person types it or keeps it in a file: never in the command line.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_crypto::SlotKind;
use strongroom_slots::{Error, Given, recovery};
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
    pub(crate) fn ask(&self, kind: SlotKind) -> Result<Given, Failure> {
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

fn of_text(kind: SlotKind, text: &str) -> Result<Given, Failure> {
    let kept = |text: &str| Zeroizing::new(text.to_owned());
    match kind {
        SlotKind::Recovery => {
            // A typing error is told before anything is sent.
            recovery::parse(text)?;
            Ok(Given::Words(kept(text)))
        }
        SlotKind::Shamir => {
            let shares: Vec<_> =
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(kept).collect();
            if shares.is_empty() {
                return Err(Failure::from(Error::NoShare));
            }
            Ok(Given::Shares(shares))
        }
        _ => Ok(Given::Passphrase(kept(text))),
    }
}

/// What is given, for a server.
pub(crate) fn view(given: &Given) -> wire::Unseal {
    let none = wire::Unseal::default();
    match given {
        Given::Passphrase(text) => wire::Unseal { passphrase: Some(text.to_string()), ..none },
        Given::Words(text) => wire::Unseal { words: Some(text.to_string()), ..none },
        Given::Shares(shares) => {
            wire::Unseal { shares: shares.iter().map(|share| share.to_string()).collect(), ..none }
        }
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
        let kind = match &error {
            Error::Refused => Kind::Denied,
            Error::Unreachable { .. } | Error::ServiceRefused { .. } => Kind::Unavailable,
            Error::NotConfigured { .. } | Error::Configuration(_) => Kind::Conflict,
            _ => Kind::Invalid,
        };
        Self::new(error.to_string()).kind(kind)
    }
}
