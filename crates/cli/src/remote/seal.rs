//! `strongroom seal` and `strongroom unseal`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use strongroom_client::api::Sealed;
use strongroom_crypto::SlotKind;
use strongroom_wire as wire;

use super::opening::{self, Source, must_be_terminal};
use super::output::Output;
use super::{Remote, input};
use crate::failure::{Failure, Kind, note};

/// Has the server forget its keys.
#[derive(Args)]
pub(crate) struct Seal {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Gives a sealed server what opens one of its key slots.
#[derive(Args)]
pub(crate) struct Unseal {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    /// What it is unsealed with [default: what there is; asked where there are several]
    #[arg(long, value_enum, value_name = "KIND")]
    with: Option<With>,
    #[command(flatten)]
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum With {
    Passphrase,
    Recovery,
    Shamir,
}

impl With {
    const ALL: [Self; 3] = [Self::Passphrase, Self::Recovery, Self::Shamir];

    fn kind(self) -> SlotKind {
        match self {
            Self::Passphrase => SlotKind::Passphrase,
            Self::Recovery => SlotKind::Recovery,
            Self::Shamir => SlotKind::Shamir,
        }
    }
}

impl Seal {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let slots = client.key_slots()?;
        let mut question = "Seal the server? It answers nothing until it is unsealed.".to_owned();
        let people = |slot: &wire::KeySlot| With::ALL.iter().any(|with| with.kind().as_str() == slot.kind);
        if !slots.iter().any(people) {
            question += " NO KEY SLOT IS ONE THAT A PERSON OPENS: only a new start would unseal it.";
        }
        input::confirm(&question, self.yes)?;
        let state = client.seal()?;
        self.output.print(&state, || {
            "The server is sealed: it has no keys. strongroom unseal unseals it.\n".to_owned()
        })
    }
}

impl Unseal {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        crate::hygiene::no_core();
        let (url, ca, identity) = self.remote.place()?;
        let server = Sealed::new(&url, ca.as_deref(), identity.as_ref())?;
        let mut state = server.state()?;
        if !state.sealed {
            return self.output.print(&state, || "The server is not sealed.\n".to_owned());
        }
        let kind = self.choose(&state)?;
        loop {
            state = server.unseal(&opening::view(&self.source.ask(kind)?))?;
            match state.shares.last() {
                Some(shares) if state.sealed => {
                    note(&format!(
                        "{} of {} shares of the set {} were given",
                        shares.given, shares.needed, shares.set
                    ));
                    // Others may give theirs from where they are; from a file there is no more to come.
                    if self.source.from.is_some() {
                        break;
                    }
                }
                _ => break,
            }
        }
        let printed = self.output.print(&state, || {
            let text = if state.sealed {
                "The server waits for more shares.\n"
            } else {
                "The server is unsealed.\n"
            };
            text.to_owned()
        })?;
        Ok(printed)
    }

    fn choose(&self, state: &wire::Seal) -> Result<SlotKind, Failure> {
        if let Some(with) = self.with {
            return Ok(with.kind());
        }
        let there: Vec<SlotKind> = With::ALL
            .into_iter()
            .map(With::kind)
            .filter(|kind| state.kinds.iter().any(|there| there == kind.as_str()))
            .collect();
        match there[..] {
            [] => Err(Failure::new("the server has no key slot that a person opens")
                .todo("put its key file back, or mend the service that keeps its key, and start it again")
                .kind(Kind::Missing)),
            [one] => Ok(one),
            _ => {
                must_be_terminal("--with KIND and --from FILE")?;
                let words: Vec<&str> = there.iter().map(|kind| kind.as_str()).collect();
                let answer = input::line(&format!("Unseal it with {}? ", words.join(", ")))?;
                let chosen = there.iter().find(|kind| kind.as_str() == answer.trim());
                chosen
                    .copied()
                    .ok_or_else(|| Failure::new("that is none of them; nothing was done").kind(Kind::Invalid))
            }
        }
    }
}
