//! `strongroom backup` and `strongroom restore`.

mod one;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use strongroom_store::sqlite::{SqliteStore, copy_store};

use crate::audit::block_on;
use crate::failure::{Failure, Kind};
use crate::folder::{self, Folder};
use crate::remote;
use crate::root_key::{Shut, Ways};
use crate::settings::{Place, Settings};

#[derive(Args)]
pub(crate) struct Backup {
    /// The file to make
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE", required_unless_present = "from", conflicts_with_all = ["from", "secret", "id", "version", "to", "create_vault", "dry_run"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    one: one::One,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    server: remote::Beside,
}

impl Backup {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let settings = self.place.resolve()?;
        refuse_database(&settings, "copied with pg_dump")?;
        let store = folder::store_path(&settings.data_dir);
        if !store.exists() {
            return Err(Failure::new(format!("there is no store in {}", settings.data_dir.display()))
                .todo("name the data folder with --data-dir"));
        }
        copy_store(&store, &self.file, progress())
            .map_err(|error| Failure::new("the backup failed").because(error))?;
        let needed = ways_of(&self.file)?.expected();
        crate::out(&format!(
            "{} holds the store, sealed, with the key slots that it has now. To use it without a person, key {needed} is needed: keep a copy of {} in another place.\n",
            self.file.display(),
            settings.root_key_file.display()
        ))
    }
}

impl Restore {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let settings = self.place.resolve()?;
        match self.file {
            Some(file) => whole(&file, &settings),
            None => self.one.run(&settings, &self.server.0),
        }
    }
}

/// Puts a whole backup into an empty folder.
fn whole(file: &Path, settings: &Settings) -> Result<ExitCode, Failure> {
    refuse_database(settings, "restored with pg_restore")?;
    if !file.exists() {
        return Err(Failure::new(format!("there is no file {}", file.display())));
    }
    refuse_occupied(settings)?;
    let _folder = Folder::take(&settings.data_dir)?;
    let store = folder::store_path(&settings.data_dir);
    copy_store(file, &store, progress())
        .map_err(|error| Failure::new("the restore failed").because(error))?;
    let ways = ways_of(&store)?;
    let found = folder::key_file_read(&settings.root_key_file)?;
    let (shown, expected) = (settings.root_key_file.display(), ways.expected());
    let next = match ways.by_file(found.as_ref()) {
        Ok(_) => format!("The key in {shown} opens it: start it with strongroom serve."),
        Err(Shut::Missing) => format!("It needs key {expected}: put its file at {shown}, mode 0600."),
        Err(Shut::Other(found)) => {
            format!("It needs key {expected}, and {shown} holds {found}: put the right one there.")
        }
        Err(Shut::Altered(slot)) => {
            format!("The key in {shown} does not open its key slot '{slot}', which was altered.")
        }
    };
    crate::out(&format!("The store is restored into {}. {next}\n", settings.data_dir.display()))
}

/// A database is copied by its own programs, which know it best.
fn refuse_database(settings: &Settings, how: &str) -> Result<(), Failure> {
    let Some(database) = &settings.database else { return Ok(()) };
    let keep = settings.root_key_file.display();
    let todo = format!(
        "see \"Backup and restore\" in docs/operating.md; the dump holds no root key: keep {keep} too, in another place"
    );
    Err(Failure::new(format!("the store is in the database {}, which is {how}", database.options.place()))
        .todo(todo)
        .kind(Kind::Usage))
}

/// A folder that holds anything but a root key is in use, or was.
fn refuse_occupied(settings: &Settings) -> Result<(), Failure> {
    let harmless =
        |path: &Path| path == settings.root_key_file || path.file_name().is_some_and(|name| name == "lock");
    let occupied = std::fs::read_dir(&settings.data_dir)
        .is_ok_and(|entries| entries.flatten().any(|entry| !harmless(&entry.path())));
    if occupied {
        return Err(Failure::new(format!("{} is not empty", settings.data_dir.display()))
            .todo("restore into an empty folder, named with --data-dir"));
    }
    Ok(())
}

fn ways_of(store: &Path) -> Result<Ways, Failure> {
    let failed = || Failure::new(format!("{} cannot be read", store.display()));
    let opened = SqliteStore::open_to_read(store).map_err(|error| failed().because(error))?;
    let ways = block_on(async { Ways::of(&opened).await.map_err(|error| failed().because(error)) })?;
    ways.ok_or_else(|| failed().because("it holds no account"))
}

#[expect(clippy::print_stderr, reason = "progress belongs on the terminal")]
fn progress() -> impl FnMut(u64, u64) {
    let terminal = std::io::stderr().is_terminal();
    let mut told = 0;
    move |done, all| {
        let percent = (done * 100).checked_div(all).unwrap_or(100);
        if terminal && percent >= told + 10 {
            told = percent;
            eprintln!("{percent} %");
        }
    }
}
