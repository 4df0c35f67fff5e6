//! PostgreSQL's programs, and who runs them.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::PATIENCE;

/// Where Debian puts them.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql");
        let versions = versions.expect("PostgreSQL is not installed: cargo xtask setup does that");
        let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
        let newest = versions.map(|entry| entry.unwrap().path()).max_by_key(version);
        newest.expect("a version of PostgreSQL").join("bin")
    })
}

/// Whom to run as instead of root, as whom PostgreSQL does not start: the user that the package makes.
fn owner() -> Option<(u32, u32)> {
    static OWNER: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *OWNER.get_or_init(|| {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let id = |flag: &str| {
            let output = Command::new("id").args([flag, "postgres"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse().expect("the user postgres")
        };
        Some((id("-u"), id("-g")))
    })
}

/// One of them, in a folder, as the user who owns what they make.
pub(crate) fn program(name: &str, place: &Path) -> Command {
    as_owner(Command::new(folder().join(name)), place)
}

/// The same, ended after [`PATIENCE`].
pub(crate) fn bounded(name: &str, place: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE.as_secs().to_string()).arg(folder().join(name));
    as_owner(command, place)
}

fn as_owner(mut command: Command, place: &Path) -> Command {
    if let Some((uid, gid)) = owner() {
        command.uid(uid).gid(gid);
    }
    command.current_dir(place).env_clear().env("LC_ALL", "C.UTF-8");
    command
}

/// Gives them a file or a folder.
pub(crate) fn give(path: &Path) {
    if let Some((uid, gid)) = owner() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// Runs a command to its end; what it printed.
///
/// # Panics
/// With what it said, if it fails.
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
