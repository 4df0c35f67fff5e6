//! `strongroom key slot`: the ways to the root key.

mod place;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_crypto::{SlotKey, SlotKind, SystemRng, view_key_file};
use strongroom_slots::{passphrase, recovery, shamir};
use strongroom_wire as wire;
use zeroize::Zeroizing;

use super::input;
use super::opening::{self, Source};
use super::output::{Output, Table};
use crate::failure::{Failure, Kind, note};
use crate::folder;

use place::New;
pub(crate) use place::{Place, Slots, Stopped};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the key slots: any one of them opens the root key
    #[command(
        after_help = "Examples:\n  strongroom key slot list\n  strongroom key slot list --data-dir /var/lib/strongroom"
    )]
    List,
    /// Add a key slot
    #[command(
        after_help = "Examples:\n  strongroom key slot add recovery\n  strongroom key slot add passphrase\n  strongroom key slot add shamir --shares 5 --threshold 3 --out /media/shares\n  strongroom key slot add transit\n  strongroom key slot add file --out /safe/second.key\n  strongroom key slot add recovery --data-dir /var/lib/strongroom\n\nWords, shares and key files are made here, and the server gets no more than what it seals the root key to."
    )]
    Add(Add),
    /// Remove a key slot
    #[command(
        after_help = "Examples:\n  strongroom key slot remove file\n  strongroom key slot remove file --rotate-root --yes\n  strongroom key slot remove recovery --data-dir /var/lib/strongroom\n\nWhat it was opened by still opens backups that were made before, and the root key in them. With --rotate-root the server gets\nanother root key at once, so that it opens nothing of what comes."
    )]
    Remove(Remove),
    /// Try whether a key slot opens the root key; nothing is changed
    #[command(
        after_help = "Examples:\n  strongroom key slot test recovery\n  strongroom key slot test transit\n  strongroom key slot test file --data-dir /var/lib/strongroom"
    )]
    Test(Test),
}

#[derive(Args)]
pub(crate) struct Add {
    /// How its key is kept
    #[arg(value_parser = kind, value_name = "KIND", long_help = "How its key is kept:\n  passphrase  under a passphrase (Argon2id)\n  recovery    in 24 words, to be written down\n  shamir      in shares, of which some suffice\n  file        in a file\n  transit     under a key of an OpenBao or Vault server\n  pkcs11      under a key of a hardware token\n  aws-kms     under a key of AWS KMS")]
    kind: SlotKind,
    /// What it is to be called [default: as its kind]
    #[arg(long)]
    name: Option<String>,
    /// Shares to make, 2 to 16
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    shares: u8,
    /// Shares that it takes
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    threshold: u8,
    /// Where the key file goes, or the folder that each share gets a file of its own in
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// A file with the passphrase; - is standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Remove {
    /// Its name
    name: String,
    /// Rotate the root key at once
    #[arg(long)]
    rotate_root: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Args)]
pub(crate) struct Test {
    /// Its name
    name: String,
    #[command(flatten)]
    source: Source,
}

fn kind(text: &str) -> Result<SlotKind, String> {
    let kinds = || SlotKind::ALL.map(SlotKind::as_str).join(", ");
    SlotKind::parse(text).ok_or_else(|| format!("the kinds are {}", kinds()))
}

impl Command {
    pub(crate) fn run(self, slots: &dyn Slots, output: Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List => list(slots, output),
            Self::Add(add) => add.run(slots, output),
            Self::Remove(remove) => remove.run(slots, output),
            Self::Test(test) => test.run(slots, output),
        }
    }
}

fn list(slots: &dyn Slots, output: Output) -> Result<ExitCode, Failure> {
    let slots = slots.list()?;
    let printed = output.print(&slots, || {
        let mut table = Table::new(&["NAME", "KIND", "KEY", "OPENS BY ITSELF", "CREATED"]);
        for slot in &slots {
            let by_itself = if slot.opens_by_itself { "yes" } else { "no" };
            table.row([
                slot.name.clone(),
                slot.kind.clone(),
                slot.key_id.clone(),
                by_itself.to_owned(),
                slot.created_at.clone(),
            ]);
        }
        table.view()
    })?;
    if slots.len() == 1 {
        note(
            "there is one way to the root key: what it takes is lost with it; strongroom key slot add recovery adds another",
        );
    }
    Ok(printed)
}

fn find(slots: &dyn Slots, name: &str) -> Result<wire::KeySlot, Failure> {
    let found = slots.list()?.into_iter().find(|slot| slot.name == name);
    found.ok_or_else(|| {
        Failure::new(format!("there is no key slot called {name}"))
            .todo("strongroom key slot list shows them")
            .kind(Kind::Missing)
    })
}

/// What was made: for whoever keeps it, and nobody else.
#[derive(Serialize)]
struct Added<'a> {
    slot: &'a wire::KeySlot,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shares: Vec<&'a str>,
    files: Vec<String>,
}

impl Add {
    fn run(self, slots: &dyn Slots, output: Output) -> Result<ExitCode, Failure> {
        let key =
            SlotKey::make(&SystemRng).map_err(|error| Failure::new("no key can be made").because(error))?;
        let mut made = Made::default();
        let opener = match self.kind {
            SlotKind::Passphrase => Some(self.passphrase(&key)?),
            SlotKind::Recovery => {
                made.words = Some(recovery::words(&key)?);
                Some(recovery::OPENER.to_owned())
            }
            SlotKind::Shamir => {
                let (shares, opener) = shamir::split(&key, self.threshold, self.shares, &SystemRng)?;
                made.shares = shares;
                Some(opener)
            }
            SlotKind::File => Some("{}".to_owned()),
            // Whoever looks after the slots has that done.
            SlotKind::Transit | SlotKind::Pkcs11 | SlotKind::AwsKms => None,
        };
        made.keep(self.kind, &key, self.out.as_deref())?;
        let slot = slots.insert(New { name: self.name, kind: self.kind, key: &key, opener });
        let slot = slot.map_err(|failure| made.undo(failure))?;
        drop(key);
        made.print(&slot, self.kind, self.threshold, output)
    }

    fn passphrase(&self, key: &SlotKey) -> Result<String, Failure> {
        let text = match &self.passphrase_file {
            Some(file) => opening::line_of_file(file, "the passphrase")?,
            None => asked_twice()?,
        };
        Ok(passphrase::seal(key, &text, passphrase::Cost::default(), &SystemRng)?)
    }
}

fn asked_twice() -> Result<Zeroizing<String>, Failure> {
    opening::must_be_terminal("--passphrase-file FILE")?;
    let first = input::prompt_hidden("New passphrase (15 characters or more): ")?;
    passphrase::check(&first)?;
    let second = input::prompt_hidden("The same again: ")?;
    if first != second {
        return Err(Failure::new("the two are not the same; nothing was done").kind(Kind::Invalid));
    }
    Ok(first)
}

/// What a person or a disk is to keep of a new slot.
#[derive(Default)]
struct Made {
    words: Option<Zeroizing<String>>,
    shares: Vec<Zeroizing<String>>,
    files: Vec<PathBuf>,
}

impl Made {
    /// Writes what goes into files, before the server is told: a slot whose key is nowhere would be of no use.
    fn keep(&mut self, kind: SlotKind, key: &SlotKey, out: Option<&Path>) -> Result<(), Failure> {
        match (kind, out) {
            (SlotKind::File, None) => Err(Failure::new("a key file needs a place")
                .todo(
                    "name it with --out FILE; it has to get to the server, to be named with --root-key-file",
                )
                .kind(Kind::Usage)),
            (SlotKind::File, Some(path)) => self.write(path, &view_key_file(key)),
            (SlotKind::Shamir, Some(folder)) => {
                for (at, share) in std::mem::take(&mut self.shares).into_iter().enumerate() {
                    let text = Zeroizing::new(format!("{}\n", *share));
                    self.write(&folder.join(format!("share-{}.txt", at + 1)), &text)?;
                }
                Ok(())
            }
            (_, Some(_)) => Err(Failure::new("--out is for key files and shares").kind(Kind::Usage)),
            (_, None) => Ok(()),
        }
    }

    /// A new file, which only its owner may read.
    fn write(&mut self, path: &Path, text: &str) -> Result<(), Failure> {
        let written = if path.exists() {
            Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists))
        } else {
            folder::write_private(path, text)
        };
        match written {
            Ok(()) => {
                self.files.push(path.to_owned());
                Ok(())
            }
            Err(error) => {
                let what = Failure::new(format!("{} cannot be written", path.display())).because(error);
                Err(self.undo(what))
            }
        }
    }

    /// Takes files back that are of no slot.
    fn undo(&self, failure: Failure) -> Failure {
        for file in &self.files {
            if let Err(error) = std::fs::remove_file(file) {
                note(&format!("{} is of no use, and cannot be removed: {error}", file.display()));
            }
        }
        failure
    }

    fn print(
        &self,
        slot: &wire::KeySlot,
        kind: SlotKind,
        threshold: u8,
        output: Output,
    ) -> Result<ExitCode, Failure> {
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        let words = self.words.as_ref().map(|words| words.as_str());
        let shares = self.shares.iter().map(|share| share.as_str()).collect();
        let added = Added { slot, words, shares, files: files.clone() };
        output.print(&added, || {
            let name = &slot.name;
            let mut text = format!("The key slot '{name}' opens the root key from now on.\n");
            match kind {
                SlotKind::Recovery => {
                    text += "Write these words down, and keep them in another place than the backups. They are shown this once:\n\n";
                    text += &numbered(words.unwrap_or_default());
                }
                SlotKind::Shamir => {
                    text += &format!("Any {threshold} of the shares open it. Give each to another person or place");
                    text += if self.shares.is_empty() { ":\n" } else { "; they are shown this once:\n\n" };
                    self.shares.iter().for_each(|share| text += &format!("{}\n", **share));
                }
                SlotKind::Passphrase => text += "Without the passphrase it opens nothing: nobody can look it up.\n",
                SlotKind::File => text += "A server that finds this file with --root-key-file opens the store by itself:\n",
                SlotKind::Transit | SlotKind::Pkcs11 | SlotKind::AwsKms => {
                    text += "The server asks that service at each start.\n";
                }
            }
            files.iter().for_each(|file| text += &format!("  {file}\n"));
            text
        })
    }
}

/// Words with their numbers, four in a line.
fn numbered(words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let mut text = String::with_capacity(512);
    for (line, four) in words.chunks(4).enumerate() {
        for (at, word) in four.iter().enumerate() {
            text += &format!("{:>4}. {word:<9}", line * 4 + at + 1);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

impl Remove {
    fn run(self, slots: &dyn Slots, output: Output) -> Result<ExitCode, Failure> {
        let slot = find(slots, &self.name)?;
        let others = slots.list()?.into_iter().filter(|other| other.id != slot.id);
        let by_itself = others.filter(|other| other.opens_by_itself).count();
        let mut question = format!("Remove the key slot '{}'?", slot.name);
        if by_itself == 0 {
            question +=
                " NONE OF THE OTHERS OPENS BY ITSELF: after its next start the server waits to be unsealed.";
        }
        input::confirm(&question, self.yes)?;
        slots.remove(&slot)?;
        if self.rotate_root {
            slots.rotate_root()?;
        }
        output.print(&slot, || {
            let after = if self.rotate_root {
                "The root key was rotated: what it was opened by opens nothing of what comes."
            } else {
                "Backups made before still open by it, and hold the root key as it is: strongroom key rotate root ends that for all\n\
                 that comes."
            };
            let file = if slot.kind == "file" { " Its key file is of no use to this store any more: remove it with its copies." } else { "" };
            format!("The key slot '{}' is removed. {after}{file}\n", slot.name)
        })
    }
}

impl Test {
    fn run(self, slots: &dyn Slots, output: Output) -> Result<ExitCode, Failure> {
        let slot = find(slots, &self.name)?;
        let kind = SlotKind::parse(&slot.kind);
        let given =
            kind.filter(|kind| !kind.opens_by_itself()).map(|kind| self.source.ask(kind)).transpose()?;
        let tested = wire::KeySlotTested { opens: slots.test(&slot, given)? };
        let told = output.print(&tested, || {
            let name = &slot.name;
            if tested.opens {
                format!("The key slot '{name}' opens the root key.\n")
            } else {
                format!("The key slot '{name}' DOES NOT OPEN the root key: it was altered.\n")
            }
        })?;
        Ok(if tested.opens { told } else { ExitCode::FAILURE })
    }
}
