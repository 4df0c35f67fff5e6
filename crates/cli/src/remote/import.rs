//! `strongroom import`: the values of a file become secrets of a vault.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;
use strongroom_client::api::Client;
use strongroom_client::reference::Reference;
use strongroom_client::values_file::{self, Format, Pair};
use strongroom_wire as wire;
use zeroize::Zeroize;

use super::output::Output;
use super::{Remote, find, input};
use crate::failure::{Failure, Kind};

pub(crate) const HELP: &str = "\
Examples:
  strongroom import --vault prod .env --dry-run
  strongroom import --vault prod --create-vault secrets.yaml
  sops decrypt secrets.json | strongroom import --vault prod --format json --overwrite -

The names of the file become those of the secrets, with --prefix in front. Of .env the usual forms are read: quotes, export,
comments; nothing is expanded. JSON is one object of texts, YAML one mapping; what stands there is the text, also yes and
0123. Secrets that are there already are changed with --overwrite alone; without it nothing is written if there is one.
Running it again is safe: a value that is there already makes no new version.";

#[derive(Args)]
pub(crate) struct Import {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    /// The vault that they go into
    #[arg(long, value_name = "VAULT")]
    vault: String,
    /// How the file is written [default: as its name ends; else env]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Written>,
    /// Put this before each name
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Change secrets that are there already
    #[arg(long)]
    overwrite: bool,
    /// Make the vault if there is none
    #[arg(long)]
    create_vault: bool,
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Written {
    Env,
    Json,
    Yaml,
}

/// What was, or would be, done: names alone.
#[derive(Serialize, Default)]
struct Report {
    vault: String,
    dry_run: bool,
    created: Vec<String>,
    updated: Vec<String>,
    unchanged: Vec<String>,
}

impl Import {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let pairs = self.read()?;
        let client = self.remote.connect()?;
        let vault_is_there = self.vault_is_there(&client)?;
        let there = if vault_is_there { self.secrets(&client)? } else { HashMap::new() };
        let (old, new): (Vec<&Pair>, Vec<&Pair>) =
            pairs.iter().partition(|pair| there.contains_key(&self.name(pair)));
        if !old.is_empty() && !self.overwrite {
            return Err(self.clash(&old));
        }
        let mut report = Report { vault: self.vault.clone(), dry_run: self.dry_run, ..Report::default() };
        if self.dry_run {
            report.created = new.iter().map(|pair| self.name(pair)).collect();
            // Whether a value is another one, the server finds out when it is given to it.
            report.updated = old.iter().map(|pair| self.name(pair)).collect();
            return self.tell(&report);
        }
        if !vault_is_there {
            client.vault_create(&wire::VaultCreate { name: self.vault.clone(), ..Default::default() })?;
        }
        self.write(&client, &pairs, &there)?;
        let now = self.secrets(&client)?;
        report.created = new.iter().map(|pair| self.name(pair)).collect();
        let version =
            |of: &HashMap<String, wire::SecretDetail>, name: &str| of.get(name).map(|detail| detail.version);
        for name in old.iter().map(|pair| self.name(pair)) {
            let same = version(&there, &name) == version(&now, &name);
            if same { &mut report.unchanged } else { &mut report.updated }.push(name);
        }
        self.tell(&report)
    }

    fn name(&self, pair: &Pair) -> String {
        format!("{}{}", self.prefix, pair.name)
    }

    /// Reads the file, and sees to it that the server can take every name and value, before anything is written. Its limits of
    /// length are its own.
    fn read(&self) -> Result<Vec<Pair>, Failure> {
        let text = input::values_of_file(&self.file, values_file::SIZE_MAX)?;
        let format = match self.format {
            Some(Written::Env) => Format::Env,
            Some(Written::Json) => Format::Json,
            Some(Written::Yaml) => Format::Yaml,
            None => Format::of_name(&self.file.to_string_lossy()),
        };
        let failed =
            || Failure::new(format!("{} cannot be imported", self.file.display())).kind(Kind::Invalid);
        let pairs = values_file::read(format, &text).map_err(|error| failed().because(error))?;
        for pair in &pairs {
            let name = self.name(pair);
            let at = |what: &str| failed().because(format!("line {}: {what}", pair.line));
            let secret = format!("{}:{name}", self.vault).parse::<Reference>();
            if !secret.is_ok_and(|secret| secret.version.is_none()) {
                return Err(at(&format!(
                    "{name} is no name of a secret: letters, digits, _ / . and - make one"
                )));
            }
            if pair.expose_secret().is_empty() {
                // A line of wrapped base64 looks like a name: it is not repeated.
                return Err(at("the value is empty, and none may be"));
            }
        }
        if pairs.is_empty() {
            return Err(failed().because("there is nothing in it"));
        }
        Ok(pairs)
    }

    fn vault_is_there(&self, client: &Client) -> Result<bool, Failure> {
        if self.create_vault {
            return Ok(client.vault_find(&self.vault)?.is_some());
        }
        let found = find::vault(client, &self.vault);
        found.map(|_| true).map_err(|failure| failure.todo("add --create-vault to make it"))
    }

    fn secrets(&self, client: &Client) -> Result<HashMap<String, wire::SecretDetail>, Failure> {
        let details = client.details(Some(&self.vault), None)?;
        Ok(details.into_iter().map(|detail| (detail.secret.name.clone(), detail)).collect())
    }

    fn clash(&self, old: &[&Pair]) -> Failure {
        const SHOWN: usize = 10;
        let names: Vec<_> = old.iter().take(SHOWN).map(|pair| self.name(pair)).collect();
        let more = old.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let what =
            format!("these are in {} already: {}{more}; nothing was written", self.vault, names.join(", "));
        Failure::new(what).todo("--overwrite changes them; --prefix gives other names").kind(Kind::Conflict)
    }

    fn write(
        &self,
        client: &Client,
        pairs: &[Pair],
        there: &HashMap<String, wire::SecretDetail>,
    ) -> Result<(), Failure> {
        let progress = Progress::new(pairs.len());
        for (done, pair) in pairs.iter().enumerate() {
            progress.show(done);
            let name = self.name(pair);
            let written = match there.get(&name) {
                Some(detail) => change(client, &detail.secret.id, pair),
                None => self.make(client, &name, pair),
            };
            written.map_err(|failure| {
                progress.clear();
                let what = format!("{done} of {} were stored, and {name} was not", pairs.len());
                let again =
                    "running it again with --overwrite is safe: what is stored already stays as it is";
                failure.amid(&what).todo(again)
            })?;
        }
        progress.clear();
        Ok(())
    }

    fn make(&self, client: &Client, name: &str, pair: &Pair) -> Result<(), Failure> {
        let mut secret = wire::SecretCreate {
            name: name.to_owned(),
            // To be sealed by the server is what it was read for.
            value: pair.expose_secret().to_owned(),
            vault_name: Some(self.vault.clone()),
            ..Default::default()
        };
        let made = client.secret_create(&secret);
        secret.value.zeroize();
        Ok(made.map(drop)?)
    }

    fn tell(&self, report: &Report) -> Result<ExitCode, Failure> {
        self.output.print(report, || {
            let (make, change) =
                if report.dry_run { ("would make", "would change") } else { ("made", "changed") };
            let mut text = String::new();
            for (what, names) in
                [(make, &report.created), (change, &report.updated), ("left", &report.unchanged)]
            {
                for name in names {
                    text += &format!("{what:<12}  {}:{name}\n", report.vault);
                }
            }
            text
        })
    }
}

fn change(client: &Client, id: &str, pair: &Pair) -> Result<(), Failure> {
    let mut change = wire::SecretUpdate {
        // To be sealed by the server is what it was read for.
        value: Some(pair.expose_secret().to_owned()),
        ..Default::default()
    };
    let changed = client.secret_update(id, &change);
    change.value.zeroize();
    Ok(changed.map(drop)?)
}

/// How far it is, on a terminal.
struct Progress {
    of: usize,
    shown: bool,
}

impl Progress {
    fn new(of: usize) -> Self {
        const WORTH_SHOWING: usize = 20;
        Self { of, shown: of >= WORTH_SHOWING && std::io::stderr().is_terminal() }
    }

    fn show(&self, done: usize) {
        if self.shown {
            // What cannot be shown is not worth failing for.
            let _ = write!(std::io::stderr(), "\r{done} of {}", self.of);
        }
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
