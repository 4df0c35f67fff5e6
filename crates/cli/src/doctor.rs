//! `strongroom doctor`: looks an installation over and says how to mend what it finds.

use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Resource, getrlimit};
use strongroom_crypto::KeyId;
use strongroom_domain::app::audit;
use strongroom_domain::store::Store;
use strongroom_server::listen::Tls;
use strongroom_store::sqlite::SqliteStore;

use crate::audit::block_on;
use crate::failure::Failure;
use crate::folder::{self, others};
use crate::settings::Settings;

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
    if !settings.data_dir.exists() {
        return Err(Failure::new(format!("there is no data folder {}", settings.data_dir.display()))
            .todo("name it with --data-dir; strongroom serve makes a new one"));
    }
    let mut findings = vec![folder_access(&settings.data_dir)];
    let (key_id, root_key) = root_key(&settings.root_key_file);
    findings.push(root_key);
    findings.extend(block_on(async { Ok(store(settings, key_id).await) })?);
    findings.push(first_key(&settings.data_dir));
    findings.push(free_space(&settings.data_dir));
    findings.push(locked_memory());
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
    text += &if bad == 0 { "Nothing is wrong.\n".to_owned() } else { format!("{bad} to mend.\n") };
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

fn root_key(path: &Path) -> (Option<KeyId>, Finding) {
    let shown = path.display();
    match folder::root_key_read(path) {
        Ok(Some(key)) => (Some(key.id()), Good(format!("the root key file {shown} holds key {}", key.id()))),
        Ok(None) => {
            let todo = "put a copy of the file back, or name it with --root-key-file";
            (None, Bad(format!("there is no root key file {shown}"), todo.into()))
        }
        Err(failure) => {
            let told = failure.to_string();
            let (what, todo) = told.split_once("\n  ").unwrap_or((&told, "see above"));
            (None, Bad(what.to_owned(), todo.to_owned()))
        }
    }
}

async fn store(settings: &Settings, key: Option<KeyId>) -> Vec<Finding> {
    let path = folder::store_path(&settings.data_dir);
    let from_backup = || "restore a backup: strongroom restore FILE --data-dir EMPTY-FOLDER".to_owned();
    if !path.exists() {
        return vec![Bad(
            format!("there is no store {}", path.display()),
            "strongroom serve makes one".into(),
        )];
    }
    let store = match SqliteStore::open_to_read(&path) {
        Ok(store) => store,
        Err(error) => return vec![Bad(Failure::new("the store").because(error).to_string(), from_backup())],
    };
    let mut findings = vec![match store.check().await {
        Ok(None) => Good(format!("the store {} is undamaged", path.display())),
        Ok(Some(damage)) => Bad(format!("the store is damaged: {damage}"), from_backup()),
        Err(error) => Bad(Failure::new("the store cannot be read").because(error).to_string(), from_backup()),
    }];
    findings.push(match (store.account_find().await, key) {
        (Ok(Some(account)), Some(key)) if account.root_key == key => {
            Good("the root key is the store's".into())
        }
        (Ok(Some(account)), Some(key)) => Bad(
            format!("the root key is not the store's: expected key {}, found key {key}", account.root_key),
            "name the right file with --root-key-file".into(),
        ),
        (Ok(Some(account)), None) => Bad(
            format!("the store needs root key {}", account.root_key),
            "see the root key file above".into(),
        ),
        (Ok(None), _) => {
            Warning("the store is empty".into(), "strongroom serve makes the first API key".into())
        }
        (Err(error), _) => {
            Bad(Failure::new("the store cannot be read").because(error).to_string(), from_backup())
        }
    });
    findings.push(match audit::verify(&store, |_| ()).await {
        Ok(Ok(head)) => Good(format!("the audit log of {} events is intact", head.sequence)),
        Ok(Err(broken)) => Bad(
            format!("the audit log was tampered with or damaged: {broken}"),
            "compare with a backup: strongroom audit verify tells when it was still whole".into(),
        ),
        Err(error) => {
            Bad(Failure::new("the audit log cannot be read").because(error).to_string(), from_backup())
        }
    });
    findings
}

fn first_key(data_dir: &Path) -> Finding {
    let path = folder::first_key_path(data_dir);
    if !path.exists() {
        return Good("the first API key's file was removed".into());
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
    let Some((cert, key)) = &settings.tls else { return Vec::new() };
    let mut findings = vec![match Tls::load(cert, key) {
        Ok(_) => Good(format!("the certificate {} and its key go together", cert.display())),
        Err(error) => {
            Bad(error.to_string(), "name a PEM chain with --tls-cert and its key with --tls-key".into())
        }
    }];
    if others(key).is_ok_and(|others| others != 0) {
        let shown = key.display();
        findings.push(Warning(format!("{shown} can be read by other users"), format!("chmod 600 {shown}")));
    }
    findings
}
