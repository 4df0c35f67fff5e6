//! `strongroom seed`: fills a store from JSON lines, through the same use cases as the API.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use strongroom_domain::SecretValue;
use strongroom_domain::app::{App, SecretDraft, VaultDraft, VaultRef};
use strongroom_domain::caller::Caller;
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::limits::Limits;
use strongroom_domain::text::{Description, Metadata, Name};
use tokio::task::JoinSet;

use crate::audit::progress;
use crate::failure::Failure;
use crate::folder::{self, Folder};
use crate::settings::Place;
use crate::{house, hygiene};

#[derive(Args)]
pub(crate) struct Seed {
    /// The JSON lines; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// One line. It has no `Debug`, since it may hold a value.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Vault {
        id: Option<String>,
        name: String,
        #[serde(default)]
        description: String,
        #[serde(default)]
        metadata: String,
    },
    Secret {
        id: Option<String>,
        vault_id: Option<String>,
        vault_name: Option<String>,
        name: String,
        value: String,
        #[serde(default)]
        description: String,
        #[serde(default)]
        metadata: String,
        expires_at: Option<Timestamp>,
    },
}

/// Lines under way at once: enough to fill the store's batches.
const UNDER_WAY: usize = 512;

impl Seed {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let settings = self.place.resolve()?;
        hygiene::harden();
        let failed = |error| Failure::new(format!("{} cannot be read", self.file.display())).because(error);
        let input: Box<dyn BufRead> = if self.file.as_os_str() == "-" {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(&self.file).map_err(failed)?))
        };
        let _folder = Folder::take(&settings.data_dir)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(|error| Failure::new("the runtime cannot be started").because(error))?.block_on(
            async {
                let house = house::open(&settings).await?.with_keys()?;
                if house.first_token.is_some() {
                    let file = folder::first_key_path(&settings.data_dir);
                    crate::out(&format!("A new store; its first API key is in {}\n", file.display()))?;
                }
                let told = |error| Failure::new("the store cannot be read").because(error);
                let caller = house.app.operator().await.map_err(told)?;
                let count = fill(Arc::new(house.app), caller, input).await?;
                crate::out(&format!("{count} lines are in the store\n"))
            },
        )
    }
}

async fn fill(app: Arc<App>, caller: Caller, input: Box<dyn BufRead>) -> Result<u64, Failure> {
    let mut filling = Filling { under_way: JoinSet::new(), stored: 0, refused: None };
    let read = read_lines(&app, &caller, input, &mut filling).await;
    // What is under way is finished whatever happened, so that what is told of it is true.
    while filling.finish_one().await {}
    let failure = filling.refused.or(read.err());
    match failure {
        None => Ok(filling.stored),
        Some(failure) => Err(failure.todo(format!("{} other lines are in the store", filling.stored))),
    }
}

async fn read_lines(
    app: &Arc<App>,
    caller: &Caller,
    input: Box<dyn BufRead>,
    filling: &mut Filling,
) -> Result<(), Failure> {
    let mut tell = progress("lines");
    for (number, line) in (1..).zip(input.lines()) {
        // What serde says of a line may repeat its value, so only the number is told.
        let unreadable = || Failure::new(format!("line {number} is not a vault or secret"));
        let line = zeroize::Zeroizing::new(line.map_err(|error| unreadable().because(error))?);
        let line: Line = serde_json::from_str(&line).map_err(|_| unreadable())?;
        // A vault is there before the secrets that come after it.
        let alone = matches!(line, Line::Vault { .. });
        while (alone && !filling.under_way.is_empty()) || filling.under_way.len() >= UNDER_WAY {
            filling.finish_one().await;
        }
        let (app, caller) = (app.clone(), caller.clone());
        filling.under_way.spawn(async move {
            let done = add(&app, &caller, line).await;
            done.map_err(|error| Failure::new(format!("line {number} is refused")).because(error))
        });
        if alone {
            filling.finish_one().await;
        }
        if filling.refused.is_some() {
            break;
        }
        tell(number);
    }
    Ok(())
}

/// Lines under way, and how those before them went.
struct Filling {
    under_way: JoinSet<Result<(), Failure>>,
    stored: u64,
    refused: Option<Failure>,
}

impl Filling {
    /// Waits for one line; says whether there was one.
    async fn finish_one(&mut self) -> bool {
        let Some(done) = self.under_way.join_next().await else { return false };
        match done.unwrap_or_else(|error| Err(Failure::new("a line failed").because(error))) {
            Ok(()) => self.stored += 1,
            Err(failure) => self.refused = self.refused.take().or(Some(failure)),
        }
        true
    }
}

async fn add(app: &App, caller: &Caller, line: Line) -> strongroom_domain::Result<()> {
    let limits: &Limits = app.limits();
    match line {
        Line::Vault { id, name, description, metadata } => {
            let draft = VaultDraft {
                id: parsed(id, "id")?,
                name: Name::parse(Noun::Vault, name, limits)?,
                description: Description::parse(Noun::Vault, description, limits)?,
                metadata: Metadata::parse(Noun::Vault, metadata, limits)?,
            };
            app.vault_create(caller, draft, None).await.map(drop)
        }
        Line::Secret { id, vault_id, vault_name, name, value, description, metadata, expires_at } => {
            let vault = VaultRef::new(parsed(vault_id, "vault_id")?, vault_name)?;
            let draft = SecretDraft {
                id: parsed(id, "id")?,
                vault,
                name: Name::parse(Noun::Secret, name, limits)?,
                value: SecretValue::new(value.into_bytes()),
                description: Description::parse(Noun::Secret, description, limits)?,
                metadata: Metadata::parse(Noun::Secret, metadata, limits)?,
                expires_at: expires_at.map(whole_second).transpose()?,
            };
            app.secret_create(caller, draft, None).await.map(drop)
        }
    }
}

/// A time without its part of a second, which is not stored.
fn whole_second(at: Timestamp) -> Result<Timestamp, Rule> {
    Timestamp::from_second(at.as_second()).map_err(|_| Rule::Parameter("expires_at"))
}

fn parsed<T: std::str::FromStr>(text: Option<String>, name: &'static str) -> Result<Option<T>, Rule> {
    text.map(|text| text.parse().map_err(|_| Rule::Parameter(name))).transpose()
}
