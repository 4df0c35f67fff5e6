//! The data folder: who may read it, who uses it, and what is in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use strongroom_crypto::{KeyId, RootKey, SystemRng, parse_root_key_file, view_root_key_file};
use strongroom_server::root_key::RootKeyPlace;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::hygiene;

/// The store's file in the data folder.
pub(crate) fn store_path(data_dir: &Path) -> PathBuf {
    data_dir.join("strongroom.db")
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

/// A data folder that this process alone uses.
pub(crate) struct Folder {
    _lock: File,
}

impl Folder {
    /// Makes the folder if there is none, refuses one that others may enter, and locks it.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Failure> {
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
                .todo("stop that one first, or name another folder with --data-dir")
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

/// The file of the root key that is to come in the place of the one in that file.
fn next_path(path: &Path) -> PathBuf {
    path.with_added_extension("next")
}

/// Reads the root key that a store is under. A rotation that was cut off may have left it in the file beside.
pub(crate) fn root_key_of(path: &Path, needed: KeyId) -> Result<Option<RootKey>, Failure> {
    // One that cannot be read was not yet in use: it is whole before it is.
    let next = root_key_read(&next_path(path)).ok().flatten();
    match next.filter(|key| key.id() == needed) {
        Some(next) => Ok(Some(next)),
        None => root_key_read(path),
    }
}

/// The root key in its file, and how it is rotated there.
pub(crate) struct RootKeyFile(pub(crate) PathBuf);

impl RootKeyFile {
    /// Ends a rotation that was cut off: the key that the store is under is then in the file, and no other one beside it.
    pub(crate) fn recover(&self, present: KeyId) -> io::Result<()> {
        let next = next_path(&self.0);
        match read_key(&next) {
            Some(key) if key.id() == present => self.replace(None).map(drop),
            // Nothing was wrapped by it.
            _ if next.exists() => destroy(&next),
            _ => Ok(()),
        }
    }

    /// Puts the next key in the place of the one before.
    fn replace(&self, keep_old: Option<KeyId>) -> io::Result<Option<String>> {
        let kept = match keep_old {
            Some(old) => {
                let kept = self.0.with_added_extension(old.to_string());
                fs::rename(&self.0, &kept)?;
                kept.file_name().map(|name| name.to_string_lossy().into_owned())
            }
            None => {
                overwrite(&self.0)?;
                None
            }
        };
        fs::rename(next_path(&self.0), &self.0)?;
        sync_folder(&self.0)?;
        Ok(kept)
    }
}

impl RootKeyPlace for RootKeyFile {
    fn next(&self, present: KeyId) -> io::Result<RootKey> {
        self.recover(present)?;
        let key = RootKey::make(&SystemRng).map_err(io::Error::other)?;
        hygiene::lock(&key);
        write_private(&next_path(&self.0), &view_root_key_file(&key))?;
        Ok(key)
    }

    fn settle(&self, present: KeyId, keep_old: Option<KeyId>) -> io::Result<Option<String>> {
        // The other way round nothing would be left that opens the store.
        if read_key(&next_path(&self.0)).is_none_or(|key| key.id() != present) {
            return Err(io::Error::other("the next root key is not in its file"));
        }
        self.replace(keep_old)
    }
}

fn read_key(path: &Path) -> Option<RootKey> {
    root_key_read(path).ok().flatten()
}

/// Writes over a key's file, as far as the disk below lets that be done.
fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(&vec![b'\n'; length])?;
    file.sync_all()
}

fn destroy(path: &Path) -> io::Result<()> {
    overwrite(path)?;
    fs::remove_file(path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Reads the root key. `None` when there is no such file.
pub(crate) fn root_key_read(path: &Path) -> Result<Option<RootKey>, Failure> {
    let failed = || Failure::new(format!("the root key file {} cannot be used", path.display()));
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed().because(error)),
    };
    if others(path).map_err(|error| failed().because(error))? != 0 {
        return Err(Failure::new(format!("the root key file {} can be read by other users", path.display()))
            .todo(format!("chmod 600 {}", path.display())));
    }
    let key = parse_root_key_file(&text).map_err(|error| {
        failed().because(error).todo("put a copy of the file back; without it no value can be read")
    })?;
    Ok(Some(key))
}

/// Makes a root key and its file.
pub(crate) fn root_key_make(path: &Path) -> Result<RootKey, Failure> {
    let failed = || Failure::new(format!("the root key file {} cannot be made", path.display()));
    let key = RootKey::make(&SystemRng).map_err(|error| failed().because(error))?;
    write_private(path, &view_root_key_file(&key)).map_err(|error| failed().because(error))?;
    Ok(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The files of a folder, each with the id of the root key in it, if there is one.
    fn files(folder: &Path) -> Vec<(String, Option<KeyId>)> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), read_key(&path).map(|key| key.id()))
            })
            .collect();
        files.sort_by(|one, other| one.0.cmp(&other.0));
        files
    }

    /// Whatever moment it is cut off in: the key that the store is under is found, and then it is the only one.
    #[test]
    fn a_rotation_that_is_cut_off_leaves_the_key_that_is_needed() {
        type Cut = fn(&RootKeyFile);
        let overwritten: Cut = |file| overwrite(&file.0).unwrap();
        let removed: Cut = |file| fs::remove_file(&file.0).unwrap();
        let half: Cut =
            |file| fs::write(file.0.with_added_extension("next.part"), "strongroom-root").unwrap();
        let cuts: [(&str, Cut, bool); 5] = [
            ("before the commit", |_| {}, false),
            ("while the next key was written", half, false),
            ("after the commit", |_| {}, true),
            ("after the old key was written over", overwritten, true),
            ("after the old key was moved away", removed, true),
        ];
        for (what, cut, committed) in cuts {
            let folder = tempfile::tempdir().unwrap();
            let file = RootKeyFile(folder.path().join("root.key"));
            let old = root_key_make(&file.0).unwrap().id();
            let next = file.next(old).unwrap().id();
            cut(&file);
            let present = if committed { next } else { old };
            let found = root_key_of(&file.0, present).unwrap().unwrap();
            assert_eq!(found.id(), present, "{what}");
            file.recover(present).unwrap();
            let left: Vec<_> =
                files(folder.path()).into_iter().filter(|(name, _)| !name.ends_with("part")).collect();
            assert_eq!(left, [("root.key".to_owned(), Some(present))], "{what}");
            file.recover(present).unwrap();
            assert_eq!(root_key_of(&file.0, present).unwrap().unwrap().id(), present, "{what}");
        }
    }

    #[test]
    fn an_old_root_key_is_kept_or_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let file = RootKeyFile(folder.path().join("root.key"));
        let old = root_key_make(&file.0).unwrap().id();
        assert!(file.settle(old, None).is_err(), "there is no next one");
        let next = file.next(old).unwrap().id();
        assert!(file.settle(old, None).is_err(), "the store is not under it yet");
        assert_eq!(file.settle(next, Some(old)).unwrap(), Some(format!("root.key.{old}")));
        let mut expected = vec![("root.key".to_owned(), Some(next)), (format!("root.key.{old}"), Some(old))];
        assert_eq!(files(folder.path()), expected);
        let last = file.next(next).unwrap().id();
        assert_eq!(file.settle(last, None).unwrap(), None);
        expected[0].1 = Some(last);
        assert_eq!(files(folder.path()), expected);
    }
}
