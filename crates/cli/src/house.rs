//! Opening the house: folder, store, root key, and the first start.

mod place;

use std::path::Path;
use std::sync::Arc;

use strongroom_crypto::{KeyFile, RootKey, SystemRng};
use strongroom_domain::Error;
use strongroom_domain::app::App;
use strongroom_domain::clock::SystemClock;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::store::Store;
use strongroom_domain::token::Token;
use strongroom_server::services;
use strongroom_slots::Config;

use crate::failure::Failure;
use crate::folder::{self, Folder};
use crate::root_key::{Shut, Ways};
use crate::settings::Settings;
use place::Place;

/// An opened house.
pub(crate) struct House {
    /// The house: sealed, or with its keys and nobody let in yet.
    pub(crate) app: App,
    /// The first API key's token, when this was the first start.
    pub(crate) first_token: Option<Token>,
    /// The slots of a sealed house whose services may open them later.
    pub(crate) unanswered: Vec<KeySlot>,
}

impl House {
    /// Refuses a house without keys, for a command that needs them and cannot wait for who unseals it.
    pub(crate) fn with_keys(self) -> Result<Self, Failure> {
        if self.app.audit_key().is_ok() {
            return Ok(self);
        }
        Err(Failure::new("no key slot opens the store without a person, and this command can ask nobody")
            .todo("name a key file with --root-key-file, or do the same over a server that is unsealed"))
    }
}

/// Opens a house that is there already, for a command that changes it: with its folder, which no server may use meanwhile. Of a
/// database there may be any number of users, so the folder, where only keys are then, is left to them.
pub(crate) async fn open_existing(
    settings: &Settings,
    in_use: &str,
) -> Result<(Option<Folder>, House), Failure> {
    let folder = match &settings.database {
        Some(_) => None,
        None => {
            folder::existing_store(&settings.data_dir)?;
            Some(Folder::take_or(&settings.data_dir, in_use)?)
        }
    };
    let (place, ways) = Place::look(settings).await?;
    let Some(ways) = ways else {
        return Err(Failure::new(format!("there is nothing in the store {place} yet"))
            .todo("start the server on it once"));
    };
    Ok((folder, open_at(settings, place, Some(ways)).await?))
}

/// Opens the house; the first time, makes it. The caller has taken the folder.
pub(crate) async fn open(settings: &Settings) -> Result<House, Failure> {
    let (place, ways) = Place::look(settings).await?;
    open_at(settings, place, ways).await
}

async fn open_at(settings: &Settings, place: Place, ways: Option<Ways>) -> Result<House, Failure> {
    let file = folder::key_file_read(&settings.root_key_file)?;
    let by_file = |ways: Option<&Ways>| ways.map_or(Ok(None), |ways| by_file(settings, ways, file.as_ref()));
    let root_key = by_file(ways.as_ref())?;
    let store = place.open().await?;
    let (ways, first_token, mut root_key) = match ways {
        Some(ways) => (Some(ways), None, root_key),
        None => match install(settings, file.as_ref(), &*store).await? {
            Some((token, root_key)) => (None, Some(token), Some(root_key)),
            None => {
                let ways = Ways::of(&*store).await;
                let ways = ways.map_err(|error| Failure::new("the store cannot be read").because(error))?;
                let root_key = by_file(ways.as_ref())?;
                (ways, None, root_key)
            }
        },
    };
    let app = App::closed(store, settings.limits, Arc::new(SystemClock), Arc::new(SystemRng)).await;
    let app = app.map_err(|error| Failure::new("the store cannot be opened").because(error))?;
    let mut unanswered = Vec::new();
    if root_key.is_none() {
        (root_key, unanswered) = by_services(settings, &app).await?;
    }
    if let Some(root_key) = root_key {
        unseal(&app, root_key).await?;
        adopt(&app, ways.as_ref(), file.as_ref()).await?;
    }
    Ok(House { app, first_token, unanswered })
}

/// Gives the house its keys.
async fn unseal(app: &App, root_key: RootKey) -> Result<(), Failure> {
    strongroom_server::root_key::tell(root_key.lock_memory());
    let unsealed = app.unseal_house(root_key).await;
    unsealed.map_err(|error| Failure::new("the store cannot be opened").because(error))?;
    warn_of_lost_log_key(app).await.map_err(|error| Failure::new("the store cannot be read").because(error))
}

/// Tells loudly of a key for checkpoints that was not there.
pub(crate) async fn warn_of_lost_log_key(app: &App) -> strongroom_domain::Result<()> {
    if app.audit_key_was_lost().await? {
        tracing::warn!(
            "THE KEY OF THE AUDIT LOG'S CHECKPOINTS WAS MISSING, and another was made: somebody may have removed it; \
             checkpoints that were kept before are of the old one"
        );
    }
    Ok(())
}

/// A store of before there were key slots gets one: that of the file which holds its root key.
async fn adopt(app: &App, ways: Option<&Ways>, file: Option<&KeyFile>) -> Result<(), Failure> {
    let of_before = ways.is_some_and(|ways| ways.slots.is_empty());
    let Some(file) = file.filter(|_| of_before) else { return Ok(()) };
    let adopted = app.key_file_adopt(&file.slot_key).await;
    adopted.map_err(|error| Failure::new("the store cannot be written").because(error))
}

/// The root key that the store is under by now, by whatever opens it without a person.
pub(crate) async fn open_again(settings: &Settings, app: &App) -> Result<Option<RootKey>, Failure> {
    let unreadable = |error| Failure::new("the store cannot be read").because(error);
    let account = app.stored_account().await.map_err(unreadable)?;
    let ways = Ways { account, slots: app.slots().await.map_err(unreadable)? };
    let opened = by_file(settings, &ways, folder::key_file_read(&settings.root_key_file)?.as_ref())?;
    match opened {
        Some(root_key) => Ok(Some(root_key)),
        None => Ok(by_services(settings, app).await?.0),
    }
}

/// The root key, by the key in the file. `None` where something else may open it.
fn by_file(settings: &Settings, ways: &Ways, file: Option<&KeyFile>) -> Result<Option<RootKey>, Failure> {
    let shut = match ways.by_file(file) {
        Ok(key) => return Ok(Some(key)),
        Err(shut) => shut,
    };
    let failure = ways.failure(&shut, &settings.root_key_file);
    // Without the only file that opens it, there is nothing that a sealed server could wait for.
    if !ways.has_others() {
        return Err(failure);
    }
    if !matches!(shut, Shut::Missing) {
        tracing::warn!(%failure, "the root key file does not open the store; other key slots are tried");
    }
    Ok(None)
}

/// The root key, by the services that keep keys of slots; else the slots that they may open later. One that cannot be had is told,
/// and the next one is tried.
async fn by_services(settings: &Settings, app: &App) -> Result<(Option<RootKey>, Vec<KeySlot>), Failure> {
    let slots = app.slots().await;
    let slots = slots.map_err(|error| Failure::new("the store cannot be read").because(error))?;
    let mut unanswered = Vec::new();
    for slot in slots.into_iter().filter(|slot| Config::keeps(slot.kind)) {
        match services::open(app, &settings.server.slots, &slot).await {
            Ok(root_key) => return Ok((Some(root_key), Vec::new())),
            Err(why) => {
                tracing::warn!(slot = %slot.name, kind = slot.kind.as_str(), %why, "a key slot does not open");
                if why.may_pass() {
                    unanswered.push(slot);
                }
            }
        }
    }
    Ok((None, unanswered))
}

/// Makes the account, under a root key that is nowhere in clear: a key in a file opens it. Nothing, if another node that was given the
/// same file made it just before.
async fn install(
    settings: &Settings,
    file: Option<&KeyFile>,
    store: &dyn Store,
) -> Result<Option<(Token, RootKey)>, Failure> {
    let failed = || Failure::new("the first start failed");
    let made = match file {
        // One that was cut off before has made it, or somebody brought it.
        Some(_) => None,
        None => Some(folder::key_file_make(&settings.root_key_file)?),
    };
    let slot_key = file.map(|file| &file.slot_key).or(made.as_ref()).ok_or_else(failed)?;
    let root_key = RootKey::make(&SystemRng).map_err(|error| failed().because(error))?;
    let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let installed = App::install(&root_key, clock.clone(), rng.clone())
        .and_then(|installed| installed.with_key_file(&root_key, slot_key, clock, rng));
    let installed = installed.map_err(|error| failed().because(error))?;
    // The token is on disk before its hash is: a crash in between makes another, one after it loses nothing.
    let path = folder::first_key_path(&settings.data_dir);
    let text = zeroize::Zeroizing::new(format!("{}\n", installed.token().expose_secret()));
    folder::write_private(&path, &text).map_err(|error| failed().because(error))?;
    match installed.commit(store).await {
        Ok(token) => Ok(Some((token, root_key))),
        // Of several nodes that start for the first time together, one makes the account.
        Err(Error::Stale) => {
            forget(&path, made.is_some().then_some(&*settings.root_key_file))?;
            if made.is_none() {
                return Ok(None);
            }
            Err(Failure::new("another node has made the account in this database a moment ago").todo(
                format!(
                    "copy that node's root key file to {}, and start again",
                    settings.root_key_file.display()
                ),
            ))
        }
        Err(error) => Err(failed().because(error)),
    }
}

/// Takes back what a first start has written that came too late: it opens nothing.
fn forget(first_key: &Path, root_key: Option<&Path>) -> Result<(), Failure> {
    for path in [Some(first_key), root_key].into_iter().flatten() {
        std::fs::remove_file(path)
            .map_err(|error| Failure::new(format!("{} cannot be removed", path.display())).because(error))?;
    }
    Ok(())
}
