//! The data folder: who may read it, who uses it, and what is in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use strongroom_crypto::{KeyFile, SlotKey, SystemRng, parse_key_file, view_key_file};
use strongroom_slots::is_private;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The store's file in the data folder.
pub(crate) fn store_path(data_dir: &Path) -> PathBuf {
    data_dir.join("strongroom.db")
}

/// The store's file, which has to be there.
pub(crate) fn existing_store(data_dir: &Path) -> Result<PathBuf, Failure> {
    let path = store_path(data_dir);
    if path.exists() {
        return Ok(path);
    }
    Err(Failure::new(format!("there is no store in {}", data_dir.display()))
        .todo("name the data folder with --data-dir"))
}

/// The file that the first start writes its API key to.
pub(crate) fn first_key_path(data_dir: &Path) -> PathBuf {
    data_dir.join("first-api-key")
}

/// The files of the certificate that the server makes itself, and of its key.
pub(crate) fn self_signed_paths(data_dir: &Path) -> (PathBuf, PathBuf) {
    (data_dir.join("tls-cert.pem"), data_dir.join("tls-key.pem"))
}

/// Those beside the owner who may do anything with a file: the permission bits of group and others.
pub(crate) fn others(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077)
}

/// What is to be done where another process uses a data folder.
pub(crate) const IN_USE: &str = "stop that one first, or name another folder with --data-dir";

/// A data folder that this process alone uses.
pub(crate) struct Folder {
    _lock: File,
}

impl Folder {
    /// Makes the folder if there is none, refuses one that others may enter, and locks it.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Failure> {
        Self::take_or(data_dir, IN_USE)
    }

    /// The same, with what is to be done where another process uses it.
    pub(crate) fn take_or(data_dir: &Path, in_use: &str) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::new(format!("the data folder {} cannot be used", data_dir.display())).because(error)
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed)?;
        if others(data_dir).map_err(failed)? != 0 {
            return Err(Failure::new(format!(
                "the data folder {} is open to other users",
                data_dir.display()
            ))
            .todo(format!("chmod 700 {}", data_dir.display())));
        }
        let options = || OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).clone();
        let lock = options().open(data_dir.join("lock")).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Failure::new(format!("the data folder {} is in use by another Strongroom", data_dir.display()))
                .todo(in_use)
        })?;
        Ok(Self { _lock: lock })
    }
}

/// Makes a file that only its owner may read, where there is none.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}

/// Writes a file that only its owner may read, whole or not at all, and on disk when this returns.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_added_extension("part");
    let _ = fs::remove_file(&part);
    let mut file = create_private(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Reads a key file. `None` when there is no such file.
pub(crate) fn key_file_read(path: &Path) -> Result<Option<KeyFile>, Failure> {
    let failed = || Failure::new(format!("the root key file {} cannot be used", path.display()));
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed().because(error)),
    };
    let about = fs::metadata(path).map_err(|error| failed().because(error))?;
    if !is_private(&about) {
        return Err(Failure::new(format!("the root key file {} can be read by other users", path.display()))
            .todo(format!("chmod 600 {}", path.display())));
    }
    let key = parse_key_file(&text).map_err(|error| {
        failed().because(error).todo("put a copy of the file back, or unseal the store by another key slot")
    })?;
    Ok(Some(key))
}

/// Makes a slot key and its file, where there is no such file yet.
pub(crate) fn key_file_make(path: &Path) -> Result<SlotKey, Failure> {
    let failed = || Failure::new(format!("the root key file {} cannot be made", path.display()));
    let key = SlotKey::make(&SystemRng).map_err(|error| failed().because(error))?;
    write_private(path, &view_key_file(&key)).map_err(|error| failed().because(error))?;
    Ok(key)
}
