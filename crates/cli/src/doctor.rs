//! `strongroom doctor`: looks an installation over and says how to mend what it finds.

mod database;

use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Resource, getrlimit};
use strongroom_crypto::KeyFile;
use strongroom_domain::app::{audit, keys};
use strongroom_domain::clock::{Clock, SystemClock};
use strongroom_domain::store::Store;
use strongroom_server::listen::{Certificate, Tls};
use strongroom_store::sqlite::SqliteStore;

use crate::audit::{block_on, events};
use crate::failure::Failure;
use crate::folder::{self, others};
use crate::hygiene;
use crate::root_key::{Shut, Ways};
use crate::self_signed::ends_soon;
use crate::settings::{Settings, TlsSetting};

/// Below this much free space the store will soon be unable to grow.
const FREE_MIN: u64 = 256 << 20;

/// What a check found.
enum Finding {
    Good(String),
    /// It works, and could be better.
    Warning(String, String),
    /// It does not work, or is not safe.
    Bad(String, String),
}

use Finding::{Bad, Good, Warning};

pub(crate) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    hygiene::harden();
    if !settings.data_dir.exists() {
        return Err(Failure::new(format!("there is no data folder {}", settings.data_dir.display()))
            .todo("name it with --data-dir; strongroom serve makes a new one"));
    }
    let mut findings = vec![folder_access(&settings.data_dir)];
    let file = folder::key_file_read(&settings.root_key_file).unwrap_or_else(|failure| {
        findings.push(bad(&failure));
        None
    });
    findings.extend(block_on(async { Ok(store(settings, file.as_ref()).await) })?);
    findings.push(first_key(&settings.data_dir));
    findings.push(free_space(&settings.data_dir));
    findings.push(locked_memory());
    findings.push(open_files(settings));
    findings.extend(tls(settings));
    tell(&findings)
}

fn tell(findings: &[Finding]) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    for finding in findings {
        text += &match finding {
            Good(what) => format!("ok    {what}\n"),
            Warning(what, todo) => format!("warn  {what}\n      {todo}\n"),
            Bad(what, todo) => format!("bad   {what}\n      {todo}\n"),
        };
    }
    let bad = findings.iter().filter(|finding| matches!(finding, Bad(..))).count();
    let warnings = findings.iter().filter(|finding| matches!(finding, Warning(..))).count();
    text += &match (bad, warnings) {
        (0, 0) => "Nothing is wrong.\n".to_owned(),
        (0, _) => format!("Nothing is wrong; {warnings} to look at.\n"),
        _ => format!("{bad} to mend.\n"),
    };
    crate::out(&text)?;
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn folder_access(path: &Path) -> Finding {
    let shown = path.display();
    match others(path) {
        Ok(0) => Good(format!("the data folder {shown} is its owner's alone")),
        Ok(_) => Bad(format!("the data folder {shown} is open to other users"), format!("chmod 700 {shown}")),
        Err(error) => Bad(
            format!("the data folder {shown} cannot be read: {error}"),
            "run this as the server's user".into(),
        ),
    }
}

async fn store(settings: &Settings, file: Option<&KeyFile>) -> Vec<Finding> {
    if let Some(database) = &settings.database {
        let (store, mut findings) = database::look(database).await;
        if let Some(store) = store {
            findings.extend(content(&store, settings, file).await);
        }
        return findings;
    }
    let path = folder::store_path(&settings.data_dir);
    if !path.exists() {
        return vec![Bad(
            format!("there is no store {}", path.display()),
            "strongroom serve makes one".into(),
        )];
    }
    let store = match SqliteStore::open_current_to_read(&path) {
        Ok(store) => store,
        Err(error) => return vec![unreadable("the store", error)],
    };
    let undamaged = match store.check().await {
        Ok(None) => Good(format!("the store {} is undamaged", path.display())),
        Ok(Some(damage)) => Bad(format!("the store is damaged: {damage}"), FROM_BACKUP.into()),
        Err(error) => unreadable("the store", error),
    };
    let mut findings = vec![undamaged];
    findings.extend(content(&store, settings, file).await);
    findings
}

/// What is in a store, wherever that is.
async fn content(store: &dyn Store, settings: &Settings, file: Option<&KeyFile>) -> Vec<Finding> {
    let mut findings = keys(store, settings, file).await;
    findings.push(log(store).await);
    findings.extend(log_key(store).await);
    findings
}

/// Tells of a key for checkpoints that was lost: none that was kept before can then be compared with the log.
async fn log_key(store: &dyn Store) -> Option<Finding> {
    let account = store.account_find().await.ok()??;
    let there = store.log_key_find(account.id).await;
    match (there, store.log_keys_made().await) {
        (Ok(_), Ok(0)) | (Ok(Some(_)), Ok(1)) => None,
        (Ok(Some(_)), Ok(_)) => Some(Warning(
            "the key of the audit log's checkpoints was missing at a start, and another was made".into(),
            "compare the log with a backup: checkpoints from before are of the old key, and do not fit"
                .into(),
        )),
        (Ok(None), Ok(_)) => Some(Bad(
            "the key of the audit log's checkpoints is missing: somebody removed it".into(),
            FROM_BACKUP.into(),
        )),
        (Err(error), _) | (_, Err(error)) => {
            Some(unreadable("the key of the audit log's checkpoints", error))
        }
    }
}

const FROM_BACKUP: &str =
    "restore a backup: strongroom restore FILE --data-dir EMPTY-FOLDER, or pg_restore for a database";

fn unreadable(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Finding {
    let told = Failure::new(format!("{what} cannot be read")).because(error).to_string();
    Bad(told, "run this as the server's user; if it still cannot be read, restore a backup".into())
}

/// Opens every key in the store, not only compares their names, and tells of the slots.
async fn keys(store: &dyn Store, settings: &Settings, file: Option<&KeyFile>) -> Vec<Finding> {
    let ways = match Ways::of(store).await {
        Ok(Some(ways)) => ways,
        Ok(None) => {
            return vec![Warning(
                "the store is empty".into(),
                "strongroom serve makes the first API key".into(),
            )];
        }
        Err(error) => return vec![unreadable("the store", error)],
    };
    let key = match ways.by_file(file) {
        Ok(key) => key,
        Err(shut) => return vec![not_opened(&ways, &shut, &settings.root_key_file)],
    };
    let shown = settings.root_key_file.display();
    let mut findings =
        vec![Good(format!("the key in {shown} opens the root key {}", key.id())), slots(&ways)];
    findings.push(match keys::check(store, &ways.account, &key).await {
        Ok(Ok(vaults)) => {
            Good(format!("the root key opens the store's keys, those of {vaults} vaults among them"))
        }
        Ok(Err(broken)) => Bad(broken.to_string(), FROM_BACKUP.into()),
        Err(error) => unreadable("the store", error),
    });
    findings
}

/// The key file does not open the store, which may be meant.
fn not_opened(ways: &Ways, shut: &Shut, file: &Path) -> Finding {
    let shown = file.display();
    match shut {
        Shut::Missing if ways.has_others() => Warning(
            format!("there is no key file {shown}: the keys in the store were not looked at"),
            "that is as it should be if the server is unsealed by another key slot".into(),
        ),
        Shut::Other(_) if ways.has_others() => Warning(
            format!("the key in {shown} is that of no key slot: the keys in the store were not looked at"),
            format!("if the server is unsealed by another key slot: rm {shown}"),
        ),
        _ => bad(&ways.failure(shut, file)),
    }
}

/// A failure as a finding.
fn bad(failure: &Failure) -> Finding {
    let told = failure.to_string();
    let (what, todo) = told.split_once("\n  ").unwrap_or((&told, "see above"));
    Bad(what.to_owned(), todo.to_owned())
}

/// Whether one thing that is lost loses all.
fn slots(ways: &Ways) -> Finding {
    match &ways.slots[..] {
        [] => Warning(
            "the store has no key slots yet".into(),
            "the next start of this version makes one of the root key file".into(),
        ),
        [one] => Warning(
            format!("there is one key slot, '{}': whoever loses it loses every value", one.name),
            "add another one: strongroom key slot add recovery".into(),
        ),
        several => {
            let names: Vec<&str> = several.iter().map(|slot| slot.name.as_str()).collect();
            Good(format!("any of {} key slots opens the root key: {}", several.len(), names.join(", ")))
        }
    }
}

async fn log(store: &dyn Store) -> Finding {
    let pruned = match store.audit_pruned().await {
        Ok(pruned) => pruned,
        Err(error) => return unreadable("the audit log", error),
    };
    match audit::verify(store, |_| ()).await {
        Ok(Ok(head)) => Good(format!("the audit log is whole: {}", events(pruned, head.sequence))),
        Ok(Err(broken)) => Bad(
            format!("the audit log was tampered with or damaged: {broken}"),
            "compare with a backup: strongroom audit verify tells when it was still whole".into(),
        ),
        Err(error) => unreadable("the audit log", error),
    }
}

fn first_key(data_dir: &Path) -> Finding {
    let path = folder::first_key_path(data_dir);
    if !path.exists() {
        return Good("no API key stands in a file".into());
    }
    let shown = path.display();
    match others(&path) {
        Ok(0) => Warning(
            format!("the first API key still stands in {shown}"),
            format!("once you have it in a safe place: rm {shown}"),
        ),
        _ => Bad(format!("{shown} can be read by other users"), format!("chmod 600 {shown}")),
    }
}

fn free_space(data_dir: &Path) -> Finding {
    match rustix::fs::statvfs(data_dir) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            let told = format!("{} MiB are free on the disk", free >> 20);
            if free >= FREE_MIN {
                Good(told)
            } else {
                Warning(told, "make room: a full disk refuses every change".into())
            }
        }
        Err(error) => Warning(format!("the free space is unknown: {error}"), "look with df".into()),
    }
}

fn open_files(settings: &Settings) -> Finding {
    let wanted = settings.connections.connections;
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if hygiene::room(limit) < wanted => Warning(
            format!(
                "the system allows {limit} open files, which leaves room for {} connections, and {wanted} are set",
                hygiene::room(limit)
            ),
            "raise it: ulimit -Hn, or LimitNOFILE in a systemd unit; or lower --max-connections".into(),
        ),
        _ => Good(format!("{wanted} connections can be open")),
    }
}

fn locked_memory() -> Finding {
    const PAGE: u64 = 4096;
    match getrlimit(Resource::Memlock).current {
        Some(limit) if limit < PAGE => Warning(
            "the system allows no locked memory: the root key may be swapped to disk".into(),
            "raise it: ulimit -l 64, or LimitMEMLOCK=64K in a systemd unit".into(),
        ),
        _ => Good("memory can be locked for the root key".into()),
    }
}

fn tls(settings: &Settings) -> Vec<Finding> {
    let Some(TlsSetting { files, self_signed }) = &settings.tls else { return Vec::new() };
    let shown = files.certificate.display();
    if *self_signed && !files.certificate.exists() {
        return vec![Good("a self-signed certificate is made at the start".into())];
    }
    let mut findings = match Tls::load(files) {
        Ok(tls) => {
            let together = Good(format!("the certificate {shown} and its key go together"));
            vec![
                together,
                certificate_end(&tls.certificate(), &format!("the certificate {shown}"), *self_signed),
            ]
        }
        Err(error) => {
            let todo = "name a PEM chain with --tls-cert, its key with --tls-key, and clients' authorities with --tls-client-ca";
            vec![Bad(error.to_string(), todo.into())]
        }
    };
    if others(&files.key).is_ok_and(|others| others != 0) {
        let shown = files.key.display();
        findings.push(Warning(format!("{shown} can be read by other users"), format!("chmod 600 {shown}")));
    }
    findings
}

fn certificate_end(certificate: &Certificate, what: &str, self_signed: bool) -> Finding {
    let now = SystemClock.now();
    let Some(end) = certificate.ends_at() else {
        return Warning(format!("{what} does not say when it ends"), "look with openssl x509 -text".into());
    };
    let todo = if self_signed {
        "start the server anew, or send it SIGHUP: it makes another, which clients have to be given"
    } else {
        "get another one, and have the server read it with SIGHUP"
    };
    match (end < now, ends_soon(certificate, now)) {
        (true, _) => Bad(format!("{what} ended at {end}"), todo.into()),
        (false, true) => Warning(format!("{what} ends at {end}"), todo.into()),
        (false, false) => Good(format!("{what} ends at {end}")),
    }
}
