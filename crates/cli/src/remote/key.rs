//! `strongroom key`: the keys that seal what is in vaults.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use strongroom_client::api::{Client, Error};
use strongroom_domain::clock::{Clock, SystemClock};
use strongroom_wire as wire;

use super::output::{Output, Table};
use super::{Remote, find, input, slot};
use crate::failure::{Failure, Kind, note};

/// From one look at how far a rotation is to the next.
const PAUSE: Duration = Duration::from_millis(200);
/// Looks between two lines that tell of it: five seconds.
const LOOKS: u32 = 25;

#[derive(Args)]
pub(crate) struct Key {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List keys: how old they are, what refers to them, and how far rotations are
    #[command(after_help = "Example:\n  strongroom key list")]
    List,
    /// Put new keys in the place of old ones, which are destroyed
    #[command(
        after_help = "Examples:\n  strongroom key rotate vault prod\n  strongroom key rotate vault --all\n  strongroom key rotate data prod"
    )]
    Rotate {
        #[command(subcommand)]
        what: Rotate,
    },
    /// Look after the ways to the root key
    #[command(
        after_help = "Examples:\n  strongroom key slot list\n  strongroom key slot add recovery\n  strongroom key slot list --data-dir /var/lib/strongroom\n\nWith --data-dir they work on the data folder of a server that is stopped, and need no API key."
    )]
    Slot {
        #[command(flatten)]
        place: slot::Place,
        #[command(subcommand)]
        what: slot::Command,
    },
}

#[derive(Subcommand)]
enum Rotate {
    /// Give vaults new keys, and wrap their data keys anew; no value is opened
    #[command(
        after_help = "Examples:\n  strongroom key rotate vault prod\n  strongroom key rotate vault --all --no-wait\n\nThe server goes on with it also when this command is ended, and after a crash."
    )]
    Vault(Vaults),
    /// Give the server a new root key, and destroy the old one
    #[command(
        after_help = "Example:\n  strongroom key rotate root --yes\n\nThe server makes a new root key, wraps all that the old one wraps by it, and seals it to every key slot, in one commit. Nobody is\nasked for a passphrase, and no key file changes. Who has an old root key, or the key of a slot that was removed, opens nothing with\nit from then on, but for backups that were made before."
    )]
    Root(Root),
    /// Seal every value of vaults anew under fresh data keys
    #[command(
        after_help = "Example:\n  strongroom key rotate data prod\n\nVersions keep their numbers. The server goes on with it also when this command is ended, and after a crash."
    )]
    Data(Vaults),
}

#[derive(Args)]
struct Root {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).args(["vault", "all"]))]
struct Vaults {
    /// The vault's name
    #[arg(value_name = "VAULT")]
    vault: Option<String>,
    /// Every vault, one after the other
    #[arg(long)]
    all: bool,
    /// Do not wait until it is done: 'strongroom key list' tells how far it is
    #[arg(long)]
    no_wait: bool,
}

impl Key {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let connect = || self.remote.connect();
        match self.command {
            Command::List => list(&connect()?, self.output),
            Command::Slot { place, what } => match place.stopped()? {
                Some(_) if self.remote.names_server() => {
                    Err(Failure::new("--data-dir is of a stopped server, and another one is named")
                        .todo("give either")
                        .kind(Kind::Usage))
                }
                Some(stopped) => what.run(&stopped, self.output),
                None => what.run(&connect()?, self.output),
            },
            Command::Rotate { what: Rotate::Root(root) } => root.rotate(&connect()?, self.output),
            Command::Rotate { what: Rotate::Vault(vaults) } => {
                vaults.rotate(&connect()?, "vault", self.output)
            }
            Command::Rotate { what: Rotate::Data(vaults) } => vaults.rotate(&connect()?, "data", self.output),
        }
    }
}

fn list(client: &Client, output: Output) -> Result<ExitCode, Failure> {
    let (root_key, mut keys) = (client.root_key()?, client.keys()?);
    keys.sort_by(|one, other| one.vault_name.cmp(&other.vault_name));
    let uri = format!("{}/strongroom/keys", client.url());
    let list = wire::VaultKeyList { root_key, keys, uri, next_page_uri: None };
    output.print(&list, || {
        let now = SystemClock.now();
        let mut table = Table::new(&["KEY", "KIND", "VAULT", "AGE", "REFERRED TO BY", "ROTATION"]);
        let vaults = format!("{} vault keys", list.keys.len());
        let none = || "-".to_owned();
        let root = &list.root_key;
        table.row([root.id.clone(), "root".to_owned(), none(), age(&root.created_at, now), vaults, none()]);
        for key in &list.keys {
            table.row([
                key.id.clone(),
                "vault".to_owned(),
                key.vault_name.clone(),
                age(&key.created_at, now),
                values(key.values),
                key.rotation.as_ref().map_or_else(none, progress),
            ]);
        }
        table.view()
    })
}

fn values(count: u64) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}

/// How long ago a time was.
fn age(time: &str, now: Timestamp) -> String {
    let then = time.parse::<Timestamp>();
    then.map_or_else(|_| "-".to_owned(), |then| super::values::age(now.as_second() - then.as_second()))
}

fn progress(rotation: &wire::KeyRotation) -> String {
    format!("{}: {} done, {} left", rotation.kind, rotation.done, rotation.left)
}

/// A rotation that this command began.
#[derive(Serialize)]
struct Begun {
    vault: String,
    kind: &'static str,
    /// Whether it is at its end: then nothing refers to an old key, which is destroyed.
    done: bool,
    key: wire::VaultKey,
}

impl Root {
    fn rotate(&self, client: &Client, output: Output) -> Result<ExitCode, Failure> {
        let old = client.root_key()?.id;
        let question = format!(
            "Rotate the root key? The old one, {old}, is destroyed; every key slot opens the new one."
        );
        input::confirm(&question, self.yes)?;
        let rotated = client.root_key_rotate()?;
        output.print(&rotated, || {
            let wire::RootKeyRotated { id, previous_key, wrapped } = &rotated;
            format!(
                "The root key is now {id}, and every key slot opens it. {wrapped} keys were wrapped by it; none is by the old key \
                 {previous_key}, which is destroyed.\n\
                 Backups made before hold the old one, and open with the key slots that they had then.\n"
            )
        })
    }
}

impl Vaults {
    fn rotate(&self, client: &Client, kind: &'static str, output: Output) -> Result<ExitCode, Failure> {
        let vaults = match &self.vault {
            Some(name) => vec![find::vault(client, name)?],
            None => client.vaults()?,
        };
        let which = wire::KeyRotate { kind: Some(kind.to_owned()) };
        let mut begun = Vec::with_capacity(vaults.len());
        for vault in vaults {
            match client.key_rotate(&vault.id, &which) {
                Ok(key) => begun.push(Begun { vault: vault.name, kind, done: false, key }),
                Err(Error::Refused(refusal)) if self.all && passed_over(&refusal) => {
                    note(&format!("{} is passed over: {}", vault.name, refusal.msg));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !self.no_wait {
            begun.iter_mut().try_for_each(|begun| begun.wait(client))?;
        }
        output.print(&begun, || begun.iter().map(Begun::view).collect())
    }
}

/// One that is rotated already, or was deleted since it was listed, does not keep the others from it.
fn passed_over(refusal: &strongroom_client::api::Refusal) -> bool {
    matches!(refusal.status, 404 | 409)
}

fn failing(vault: &str, rotation: &wire::KeyRotation) -> Failure {
    let what = format!("the rotation of keys of {vault} cannot go on: {}", progress(rotation));
    Failure::new(what)
        .todo("the server's log tells why; it tries again each minute, and the old key stays until then")
}

impl Begun {
    /// Waits until nothing refers to an old key any more.
    fn wait(&mut self, client: &Client) -> Result<(), Failure> {
        let started = self.key.rotation.as_ref().map(|rotation| rotation.started_at.clone());
        for look in 1_u32.. {
            self.key = client.key(&self.key.vault.id)?;
            match &self.key.rotation {
                Some(rotation) if Some(&rotation.started_at) == started.as_ref() => {
                    if rotation.failing {
                        return Err(failing(&self.vault, rotation));
                    }
                    if look.is_multiple_of(LOOKS) {
                        note(&format!("{}: {}", self.vault, progress(rotation)));
                    }
                    std::thread::sleep(PAUSE);
                }
                // None, or the next one: this one is at its end.
                _ => break,
            }
        }
        self.done = true;
        Ok(())
    }

    fn view(&self) -> String {
        let (vault, values) = (&self.vault, values(self.key.values));
        match (self.done, self.kind) {
            (false, _) => format!("{vault}: the rotation has begun, {values}\n"),
            (true, "data") => {
                format!("{vault}: done, {values}, none of them under a data key of before\n")
            }
            (true, _) => {
                let key = &self.key.id;
                format!("{vault}: done, {values} under the new key {key}; the old key is destroyed\n")
            }
        }
    }
}
