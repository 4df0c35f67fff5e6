//! Files with what opens a key service: tokens and PINs.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::Error;

/// Bytes of such a file.
const LARGEST: u64 = 16 * 1024;

/// Whether others than this process's user may read or write a file.
///
/// A file of root's that its group may read, and no more, counts as this process's own where that is not root's: Kubernetes and systemd
/// hand secrets over like that.
#[must_use]
pub fn is_open_to_others(about: &Metadata) -> bool {
    is_open(about.permissions().mode(), about.uid(), rustix::process::geteuid().as_raw())
}

fn is_open(mode: u32, owner: u32, user: u32) -> bool {
    let handed_over = owner == 0 && user != 0 && mode & 0o077 == 0o040;
    mode & 0o077 != 0 && !handed_over
}

/// Reads the one word of visible ASCII in a file that only its owner may read.
///
/// # Errors
/// [`Error::Configuration`]. It repeats nothing of what is in the file.
pub(crate) fn read(what: &str, path: &Path) -> Result<Zeroizing<String>, Error> {
    let shown = path.display();
    let failed = |why: &dyn std::fmt::Display| {
        Error::Configuration(format!("the file {shown} with {what} cannot be used: {why}"))
    };
    let file = File::open(path).map_err(|error| failed(&error))?;
    // Of the file that was opened, whatever its name stands for by now.
    let about = file.metadata().map_err(|error| failed(&error))?;
    if !about.is_file() {
        return Err(failed(&"it is no plain file"));
    }
    if is_open_to_others(&about) {
        return Err(failed(&format!("others can read it: chmod 600 {shown}")));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
    file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    let word = str::from_utf8(bytes.trim_ascii()).unwrap_or_default();
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(failed(&"it does not hold one word of visible ASCII"));
    }
    Ok(Zeroizing::new(word.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_root_hands_to_another_user_by_a_group_is_open_to_nobody_else() {
        for mode in [0o600, 0o400] {
            assert!(!is_open(mode, 0, 0) && !is_open(mode, 1000, 1000));
        }
        assert!(!is_open(0o440, 0, 1000) && !is_open(0o640, 0, 1000));
        // Not its own, not root's reading of it, and no more than reading by a group.
        assert!(is_open(0o440, 1000, 1000) && is_open(0o440, 0, 0) && is_open(0o440, 1001, 1000));
        for mode in [0o460, 0o450, 0o444, 0o404, 0o470] {
            assert!(is_open(mode, 0, 1000), "{mode:o}");
        }
    }

    #[test]
    fn such_a_file_is_its_owners_alone_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let write = |bytes: &[u8], mode| {
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        };
        for mode in [0o640, 0o604, 0o644] {
            write(b"s.token\n", mode);
            let told = read("the token", &path).unwrap_err().to_string();
            assert!(told.contains("chmod 600"), "{told}");
        }
        write(b" s.token\n", 0o600);
        assert_eq!(*read("the token", &path).unwrap(), "s.token");
        for bad in [&b""[..], b" \n", b"canary two", b"canary\nx", b"canary\xff"] {
            write(bad, 0o600);
            let told = read("the token", &path).unwrap_err().to_string();
            assert!(!told.contains("canary"), "{told}");
        }
        assert!(read("the token", folder.path()).is_err());
        assert!(read("the token", &folder.path().join("none")).is_err());
    }
}
