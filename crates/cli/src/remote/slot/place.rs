//! Where key slots are looked after: at a server, which is asked, or in the data folder of one that is stopped.

use std::cell::OnceCell;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use strongroom_client::api::Client;
use strongroom_crypto::{SlotKey, SlotKind};
use strongroom_domain::Error;
use strongroom_domain::app::App;
use strongroom_domain::caller::Caller;
use strongroom_domain::ids::KeySlotId;
use strongroom_domain::key_slot::{KeySlot, KeySlotDraft, parse_name};
use strongroom_domain::limits::Limits;
use strongroom_server::origin::Origin;
use strongroom_server::view;
use strongroom_slots::Given;
use strongroom_wire as wire;
use tokio::runtime::Runtime;
use tracing_appender::non_blocking::WorkerGuard;

use super::super::opening;
use crate::audit::open_store;
use crate::failure::{Failure, Kind};
use crate::folder::{self, Folder};
use crate::root_key::Ways;
use crate::settings::{Options, Settings};
use crate::{house, hygiene, logging};

/// A slot that is to be made.
pub(crate) struct New<'a> {
    pub(super) name: Option<String>,
    pub(super) kind: SlotKind,
    pub(super) key: &'a SlotKey,
    /// How the key is got; `None` where a service is to keep it.
    pub(super) opener: Option<String>,
}

/// Where the slots are.
pub(crate) trait Slots {
    /// All of them, the oldest first.
    fn list(&self) -> Result<Vec<wire::KeySlot>, Failure>;
    fn insert(&self, new: New<'_>) -> Result<wire::KeySlot, Failure>;
    fn remove(&self, slot: &wire::KeySlot) -> Result<(), Failure>;
    /// Whether a slot opens the root key, by what is given, or by itself.
    fn test(&self, slot: &wire::KeySlot, given: Option<Given>) -> Result<bool, Failure>;
    fn rotate_root(&self) -> Result<(), Failure>;
}

impl Slots for Client {
    fn list(&self) -> Result<Vec<wire::KeySlot>, Failure> {
        Ok(self.key_slots()?)
    }

    fn insert(&self, new: New<'_>) -> Result<wire::KeySlot, Failure> {
        let New { name, kind, key, opener } = new;
        // Where a service keeps the key, the server makes it and has it sealed.
        let enrolment = opener.as_ref().map(|_| STANDARD.encode(&*key.enrolment().to_bytes()));
        let kind = kind.as_str().to_owned();
        Ok(self.key_slot_create(&wire::KeySlotCreate { name, kind, enrolment, opener })?)
    }

    fn remove(&self, slot: &wire::KeySlot) -> Result<(), Failure> {
        Ok(self.key_slot_delete(&slot.id)?)
    }

    fn test(&self, slot: &wire::KeySlot, given: Option<Given>) -> Result<bool, Failure> {
        if slot.kind == SlotKind::File.as_str() {
            return Err(Failure::new("the server does not take keys of files over the network")
                .todo("on the machine itself, with the server stopped or not: --data-dir DIR --root-key-file FILE")
                .kind(Kind::Usage));
        }
        let with = given.as_ref().map(opening::view).unwrap_or_default();
        Ok(self.key_slot_test(&slot.id, &with)?.opens)
    }

    fn rotate_root(&self) -> Result<(), Failure> {
        self.root_key_rotate()?;
        Ok(())
    }
}

/// The data folder of a server that is stopped, where one is meant.
#[derive(Args)]
pub(crate) struct Place {
    /// The data folder of a stopped server, in place of a server that runs
    #[arg(long, global = true, value_name = "DIR", help_heading = "A stopped server")]
    data_dir: Option<PathBuf>,
    /// Its root key's file [default: root.key in the data folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = "A stopped server")]
    root_key_file: Option<PathBuf>,
    /// Its file of settings, TOML, where a key service is named; its variables count too
    #[arg(long, global = true, value_name = "FILE", help_heading = "A stopped server")]
    settings: Option<PathBuf>,
    /// The PostgreSQL database that holds its store; other servers may run
    #[arg(long, global = true, value_name = "URL", help_heading = "A stopped server")]
    database: Option<String>,
    /// A file with the password for it, which others may not read
    #[arg(long, global = true, value_name = "FILE", help_heading = "A stopped server")]
    database_password_file: Option<PathBuf>,
}

impl Place {
    /// The stopped server that is meant, if one is.
    pub(crate) fn stopped(self) -> Result<Option<Stopped>, Failure> {
        let Self { data_dir, root_key_file, settings, database, database_password_file } = self;
        if data_dir.is_none() && database.is_none() {
            return match root_key_file.or(settings).or(database_password_file) {
                None => Ok(None),
                Some(_) => Err(Failure::new(
                    "--root-key-file, --settings and --database-password-file are for a stopped server",
                )
                .todo("name its data folder with --data-dir, or its database with --database")
                .kind(Kind::Usage)),
            };
        }
        let given = Options::of_environment()?;
        let settings = Settings::resolve(Options {
            data_dir: data_dir.or(given.data_dir.clone()),
            database: database.or(given.database.clone()),
            database_password_file: database_password_file.or(given.database_password_file.clone()),
            root_key_file: root_key_file.or(given.root_key_file.clone()),
            config: settings.or(given.config.clone()),
            ..given
        })?;
        hygiene::harden();
        // What a key service answers is told as a server tells it at its start.
        let log = logging::start(settings.log_format, "warn")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failure::new("the runtime cannot be started").because(error))?;
        Ok(Some(Stopped { house: OnceCell::new(), runtime, settings, folder: OnceCell::new(), _log: log }))
    }
}

/// A stopped server. Fields are dropped in this order: the folder is given up once nothing uses it.
pub(crate) struct Stopped {
    /// Opened for the first change: to list and to test takes no root key.
    house: OnceCell<(App, Caller)>,
    runtime: Runtime,
    settings: Settings,
    folder: OnceCell<Option<Folder>>,
    _log: WorkerGuard,
}

impl Stopped {
    pub(crate) fn house(&self) -> Result<&(App, Caller), Failure> {
        if let Some(house) = self.house.get() {
            return Ok(house);
        }
        let in_use = "a server runs on it: stop it first, or leave out --data-dir, so that it is asked";
        let (folder, opened) = self.runtime.block_on(async {
            let (folder, house) = house::open_existing(&self.settings, in_use).await?;
            let app = house.with_keys()?.app;
            let caller = app.operator().await.map_err(refused)?;
            Ok::<_, Failure>((folder, (app, caller)))
        })?;
        self.folder.get_or_init(|| folder);
        Ok(self.house.get_or_init(|| opened))
    }

    /// Waits for what is done on it.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    fn ways(&self) -> Result<Ways, Failure> {
        let ways = self.runtime.block_on(async {
            let store = open_store(&self.settings).await?;
            Ways::of(&*store).await.map_err(refused)
        })?;
        ways.ok_or_else(|| Failure::new("the store is empty"))
    }

    /// The key in the root key's file, which has to be that of the slot.
    fn key_of_file(&self, slot: &KeySlot) -> Result<SlotKey, Failure> {
        let path = &self.settings.root_key_file;
        let shown = path.display();
        let todo = "name the slot's key file with --root-key-file";
        let Some(file) = folder::key_file_read(path)? else {
            return Err(Failure::new(format!("there is no key file {shown}")).todo(todo).kind(Kind::Missing));
        };
        if file.slot_key.id() != slot.key_id() {
            let what = format!("the key in {shown} is not that of the key slot '{}'", slot.name);
            return Err(Failure::new(what).todo(todo).kind(Kind::Denied));
        }
        Ok(file.slot_key)
    }
}

impl Slots for Stopped {
    fn list(&self) -> Result<Vec<wire::KeySlot>, Failure> {
        Ok(self.ways()?.slots.iter().map(|slot| view::key_slot(slot, &Origin::none())).collect())
    }

    fn insert(&self, new: New<'_>) -> Result<wire::KeySlot, Failure> {
        let New { name, kind, key, opener } = new;
        let name = name.unwrap_or_else(|| kind.as_str().to_owned());
        let name = parse_name(name, &self.settings.limits).map_err(|rule| refused(rule.into()))?;
        let (app, caller) = self.house()?;
        let opener = match opener {
            Some(opener) => opener,
            None => self.settings.server.slots.seal(kind, key)?,
        };
        let id = app.key_slot_id().map_err(refused)?;
        let draft = KeySlotDraft { id, name, kind, opener, enrolment: key.enrolment() };
        let slot = self.runtime.block_on(app.key_slot_create(caller, draft)).map_err(refused)?;
        Ok(view::key_slot(&slot, &Origin::none()))
    }

    fn remove(&self, slot: &wire::KeySlot) -> Result<(), Failure> {
        let (app, caller) = self.house()?;
        self.runtime.block_on(app.key_slot_delete(caller, id_of(slot)?)).map_err(refused)
    }

    fn test(&self, slot: &wire::KeySlot, given: Option<Given>) -> Result<bool, Failure> {
        let (ways, id) = (self.ways()?, id_of(slot)?);
        let slot = ways.slots.iter().find(|slot| slot.id == id).ok_or_else(gone)?;
        let key = match slot.kind {
            SlotKind::File => self.key_of_file(slot)?,
            kind => {
                let slots = &self.settings.server.slots;
                slots.open_with(given.as_ref(), (kind, &slot.opener), &slot.sealed.public)?
            }
        };
        Ok(slot.open(ways.account.id, &key, ways.account.root_key).is_ok())
    }

    fn rotate_root(&self) -> Result<(), Failure> {
        let (app, caller) = self.house()?;
        self.runtime.block_on(app.root_key_rotate(caller)).map(drop).map_err(refused)
    }
}

fn id_of(slot: &wire::KeySlot) -> Result<KeySlotId, Failure> {
    slot.id.parse().map_err(|_| gone())
}

fn gone() -> Failure {
    Failure::new("there is no such key slot any more").kind(Kind::Missing)
}

fn refused(error: Error) -> Failure {
    let kind = match &error {
        Error::Invalid(_) => Kind::Invalid,
        Error::NotFound(_) => Kind::Missing,
        Error::NotUnique(_) | Error::Conflict(_) | Error::LimitReached { .. } => Kind::Conflict,
        _ => Kind::Other,
    };
    Failure::new("the key slots of the store").because(error).kind(kind)
}
