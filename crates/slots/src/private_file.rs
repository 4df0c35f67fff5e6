//! Files with what opens a key service: tokens and PINs.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::Error;

/// Bytes of such a file.
const LARGEST: u64 = 16 * 1024;

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
    if !is_private(&about) {
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

/// Whether a file is its owner's alone, or root's and handed over by its group.
#[must_use]
pub fn is_private(file: &Metadata) -> bool {
    is_private_of(file.permissions().mode() & 0o777, file.uid(), rustix::process::geteuid().as_raw())
}

fn is_private_of(mode: u32, owner: u32, user: u32) -> bool {
    // Kubernetes lays secrets out as root's, for a group to read. systemd does so with an entry for the service's user in their
    // access list; what such a list allows at most is shown where the rights of the group stand otherwise.
    let handed_over = owner == 0 && mode & 0o077 == 0o040 && (user != 0 || mode == 0o440);
    mode & 0o077 == 0 || handed_over
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_root_hands_over_by_a_group_is_private() {
        for (mode, owner, user) in [
            (0o400, 0, 0),
            (0o400, 990, 990),
            (0o600, 990, 990),
            (0o440, 0, 990),
            (0o640, 0, 990),
            (0o440, 0, 0),
        ] {
            assert!(is_private_of(mode, owner, user), "{mode:o} {owner} {user}");
        }
        for (mode, owner, user) in [(0o440, 990, 990), (0o640, 990, 0), (0o640, 0, 0), (0o460, 0, 990)] {
            assert!(!is_private_of(mode, owner, user), "{mode:o} {owner} {user}");
        }
        for mode in [0o450, 0o444, 0o404] {
            assert!(!is_private_of(mode, 0, 990), "{mode:o}");
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
