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
        let line = text.lines().find(|line| line.starts_with("strongroom-slot-key-v1 "))?;
        let mut words = line.split_whitespace().skip(1).map(str::to_owned);
        Some(RootKeyFile { path, key: words.next()?, id: words.next()? })
    });
    found.expect("a root key file")
}

/// Removes the key of the audit log's checkpoints from a store that nobody has open: the one row of its table.
pub(crate) fn lose_log_key(folder: &Path) {
    const PAGE: usize = 4096;
    // The length of the row, its number, and the head of a record with a blob of 69 bytes.
    const ROW: &[u8] = b"\x49\x01\x04\x00\x81\x16";
    let path = database(folder);
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - ROW.len()).filter(|at| bytes[*at..].starts_with(ROW)).collect();
    let [place] = places[..] else { panic!("the key is not found: {places:?}") };
    let page = &mut bytes[place / PAGE * PAGE..][..PAGE];
    assert_eq!(page[..5], [0x0d, 0, 0, 0, 1], "a leaf with one row");
    // No row, and none of the page in use.
    page[3..7].copy_from_slice(&[0, 0, 0x10, 0]);
    fs::write(&path, bytes).unwrap();
}

/// The SQLite file, found by its magic.
pub(crate) fn database(folder: &Path) -> PathBuf {
    let found = contents(folder).into_iter().find(|(_, bytes)| bytes.starts_with(b"SQLite format 3\0"));
    found.expect("a database file").0
}
