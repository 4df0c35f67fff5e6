//! Looking at a data folder from outside.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder that only its owner may enter, as a data folder has to be; removed after the test.
pub(crate) fn private_folder() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
}

/// Every file below a folder with its bytes, for "nothing was touched" and "it is found nowhere".
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.append(&mut contents(&path));
        } else if path.is_file()
            && let Ok(bytes) = fs::read(&path)
        {
            files.insert(path, bytes);
        }
    }
    files
}

/// The permission bits, without the file type.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The root key's file: its path, the key in base64 and the key's id.
pub(crate) struct RootKeyFile {
    pub(crate) path: PathBuf,
    pub(crate) key: String,
    pub(crate) id: String,
}

/// Finds the root key by what it holds, so that the tests do not depend on what the file is called.
pub(crate) fn root_key(folder: &Path) -> RootKeyFile {
    let found = contents(folder).into_iter().find_map(|(path, bytes)| {
        let text = String::from_utf8(bytes).ok()?;
        let line = text.lines().find(|line| line.starts_with("strongroom-root-key-v1 "))?;
        let mut words = line.split_whitespace().skip(1).map(str::to_owned);
        Some(RootKeyFile { path, key: words.next()?, id: words.next()? })
    });
    found.expect("a root key file")
}

/// The SQLite file, found by its magic.
pub(crate) fn database(folder: &Path) -> PathBuf {
    let found = contents(folder).into_iter().find(|(_, bytes)| bytes.starts_with(b"SQLite format 3\0"));
    found.expect("a database file").0
}
