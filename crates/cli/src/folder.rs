//! The data folder: who may read it, who uses it, and what is in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, StatxAttributes, StatxFlags, flock, statx};
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
pub(crate) struct RootKeyFile {
    path: PathBuf,
    /// Held shared by all who use the key, and alone by the one who changes its file: two data folders may be under one key. None
    /// where nothing can be written beside it, and then it is not rotated either.
    lock: Option<File>,
}

impl RootKeyFile {
    /// The root key's file, which others do not change from here on.
    pub(crate) fn take(path: &Path) -> Result<Self, Failure> {
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).clone();
        let lock = lock.open(path.with_added_extension("lock")).ok();
        if let Some(lock) = &lock {
            flock(lock, FlockOperation::NonBlockingLockShared).map_err(|_| {
                Failure::new(format!(
                    "the root key file {} is being changed by another Strongroom",
                    path.display()
                ))
                .todo("try again in a moment")
            })?;
        }
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Works on the file with nobody else using it.
    fn alone<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let lock = self
            .lock
            .as_ref()
            .ok_or_else(|| io::Error::other("nothing can be written beside the root key"))?;
        flock(lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| io::Error::other("another Strongroom uses the same root key file"))?;
        let done = work();
        // Nobody is in the way of what this process holds already.
        flock(lock, FlockOperation::NonBlockingLockShared)?;
        done
    }

    /// Ends a rotation that was cut off: the key that the store is under is then in the file. The next key of one that was not
    /// committed stays for the next try: a commit that was given up may still be done.
    pub(crate) fn recover(&self, present: KeyId) -> io::Result<()> {
        match read_key(&next_path(&self.path)) {
            Some(key) if key.id() == present => self.alone(|| self.replace()),
            _ => Ok(()),
        }
    }

    /// Puts the next key in the place of the one before, and then writes over that. At no moment is there less than one of them.
    fn replace(&self) -> io::Result<()> {
        let old = OpenOptions::new().write(true).open(&self.path);
        fs::rename(next_path(&self.path), &self.path)?;
        sync_folder(&self.path)?;
        match old {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            old => overwrite(&mut old?),
        }
    }

    /// Refuses a file in whose place no other can be put, or whose bytes are somebody else's too.
    fn check(&self) -> io::Result<()> {
        let is = fs::symlink_metadata(&self.path)?;
        let about = statx(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
        let mounted = about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        if !is.is_file() || is.nlink() != 1 || mounted {
            return Err(io::Error::other("the root key file is a link, has another name too, or is mounted"));
        }
        OpenOptions::new().write(true).open(&self.path).map(drop)
    }

    fn kept_path(&self, key: KeyId) -> PathBuf {
        self.path.with_added_extension(key.to_string())
    }
}

impl RootKeyPlace for RootKeyFile {
    fn next(&self, present: KeyId, keep: bool) -> io::Result<RootKey> {
        // One that was committed when nobody waited for it any more.
        self.recover(present)?;
        self.alone(|| {
            self.check()?;
            if keep {
                let old = read_key(&self.path).filter(|key| key.id() == present);
                let old = old.ok_or_else(|| io::Error::other("the root key's file holds another key"))?;
                write_private(&self.kept_path(present), &view_root_key_file(&old))?;
            }
            let next = next_path(&self.path);
            let key = match read_key(&next) {
                Some(key) => key,
                None => {
                    let key = RootKey::make(&SystemRng).map_err(io::Error::other)?;
                    write_private(&next, &view_root_key_file(&key))?;
                    key
                }
            };
            hygiene::lock(&key);
            Ok(key)
        })
    }

    fn settle(&self, present: KeyId) -> io::Result<()> {
        // The other way round nothing would be left that opens the store.
        if read_key(&next_path(&self.path)).is_none_or(|key| key.id() != present) {
            return Err(io::Error::other("the next root key is not in its file"));
        }
        self.alone(|| self.replace())
    }

    fn kept(&self, old: KeyId) -> Option<String> {
        let kept = self.kept_path(old);
        let name = kept.file_name()?.to_string_lossy().into_owned();
        kept.exists().then_some(name)
    }
}

fn read_key(path: &Path) -> Option<RootKey> {
    root_key_read(path).ok().flatten()
}

/// Writes over a key's file, as far as the disk below lets that be done.
fn overwrite(file: &mut File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(&vec![b'\n'; length])?;
    file.sync_all()
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

    fn file_in(folder: &Path) -> RootKeyFile {
        RootKeyFile::take(&folder.join("root.key")).unwrap()
    }

    /// Whatever moment it is cut off in: the key that the store is under is found, and then it is the one in the file.
    #[test]
    fn a_rotation_that_is_cut_off_leaves_the_key_that_is_needed() {
        type Cut = fn(&Path);
        let removed: Cut = |path| fs::remove_file(path).unwrap();
        let half: Cut = |path| fs::write(path.with_added_extension("next.part"), "strongroom-root").unwrap();
        let cuts: [(&str, Cut, bool); 4] = [
            ("before the commit", |_| {}, false),
            ("while the next key was written", half, false),
            ("after the commit", |_| {}, true),
            ("after the old key was removed", removed, true),
        ];
        for (what, cut, committed) in cuts {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("root.key");
            let old = root_key_make(&path).unwrap().id();
            let file = file_in(folder.path());
            let next = file.next(old, false).unwrap().id();
            cut(&path);
            let present = if committed { next } else { old };
            for _ in 0..2 {
                let found = root_key_of(&path, present).unwrap().unwrap();
                assert_eq!(found.id(), present, "{what}");
                file.recover(present).unwrap();
            }
            let mut left = files(folder.path());
            left.retain(|(name, _)| !name.ends_with("part") && !name.ends_with("lock"));
            let mut expected = vec![("root.key".to_owned(), Some(present))];
            if !committed {
                expected.push(("root.key.next".to_owned(), Some(next)));
            }
            assert_eq!(left, expected, "{what}");
        }
    }

    /// A commit that was given up may be done later: the key that it is under must be there then.
    #[test]
    fn a_next_key_is_used_by_each_try_until_it_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let old = root_key_make(&path).unwrap().id();
        let file = file_in(folder.path());
        let next = file.next(old, false).unwrap().id();
        assert_eq!(file.next(old, false).unwrap().id(), next);
        let last = file.next(next, false).unwrap().id();
        assert!(last != next && last != old, "the one before was put in its place first");
        assert_eq!(root_key_of(&path, next).unwrap().unwrap().id(), next);
    }

    #[test]
    fn an_old_root_key_is_kept_or_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let old = root_key_make(&folder.path().join("root.key")).unwrap().id();
        let file = file_in(folder.path());
        assert!(file.settle(old).is_err(), "there is no next one");
        let next = file.next(old, true).unwrap().id();
        assert!(file.settle(old).is_err(), "the store is not under it yet");
        file.settle(next).unwrap();
        assert_eq!(file.kept(old), Some(format!("root.key.{old}")));
        let there = || files(folder.path()).into_iter().filter_map(|(_, key)| key).collect::<Vec<_>>();
        assert_eq!(there(), [next, old]);
        let last = file.next(next, false).unwrap().id();
        file.settle(last).unwrap();
        assert_eq!((file.kept(next), there()), (None, vec![last, old]));
    }

    #[test]
    fn a_root_key_that_others_use_or_that_is_no_plain_file_is_not_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let old = root_key_make(&path).unwrap().id();
        let (file, other) = (file_in(folder.path()), file_in(folder.path()));
        assert!(file.next(old, false).is_err(), "another one uses it");
        drop(other);
        fs::hard_link(&path, folder.path().join("copy")).unwrap();
        assert!(file.next(old, false).is_err(), "it has another name");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(folder.path().join("copy"), &path).unwrap();
        assert!(file.next(old, false).is_err(), "it is a link");
        fs::remove_file(&path).unwrap();
        fs::rename(folder.path().join("copy"), &path).unwrap();
        assert!(file.next(old, false).is_ok());
    }
}
