//! Files that are written together: all are on the disk under other names before the first takes its place.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Files that are to take their places. Dropped before that, they leave nothing behind.
#[derive(Default)]
pub(crate) struct NewFiles {
    ready: Vec<(PathBuf, NamedTempFile)>,
    unchanged: usize,
}

impl NewFiles {
    /// Writes a file beside its place, with mode 0600. One that holds the same already is left alone. A link is followed:
    /// what it leads to is replaced, and only if that is a file.
    pub(crate) fn add(&mut self, path: &Path, text: &str) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            Failure::new(format!("{} cannot be written; no file was changed", path.display())).because(error)
        };
        let path = match fs::symlink_metadata(path) {
            Ok(_) => path.canonicalize().map_err(failed)?,
            Err(_) => path.to_owned(),
        };
        // Put in place of a device, a file would take it from everybody else.
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            let what = format!("{} is there and is no file; no file was changed", path.display());
            return Err(Failure::new(what).todo("leave --output out to write to standard output"));
        }
        if holds(&path, text) {
            self.unchanged += 1;
            return Ok(());
        }
        // The library makes it with mode 0600, under a name that nobody can guess.
        let part = Builder::new().prefix(".strongroom-").suffix(".part").tempfile_in(folder_of(&path));
        let mut part = part.map_err(failed)?;
        part.write_all(text.as_bytes()).and_then(|()| part.as_file().sync_all()).map_err(failed)?;
        self.ready.push((path, part));
        Ok(())
    }

    /// Puts all files in place. Says how many, and how many were left alone.
    pub(crate) fn commit(self) -> Result<(usize, usize), Failure> {
        let mut done: Vec<PathBuf> = Vec::new();
        for (path, part) in self.ready {
            let placed = part.persist(&path).map_err(|error| error.error);
            let placed = placed.and_then(|_| File::open(folder_of(&path))?.sync_all());
            if let Err(error) = placed {
                let failure = Failure::new(format!("{} cannot be written", path.display())).because(error);
                let done: Vec<_> = done.iter().map(|path| path.display().to_string()).collect();
                return Err(match done.as_slice() {
                    [] => failure.todo("no other file was changed"),
                    done => failure.todo(format!("replaced already: {}", done.join(", "))),
                });
            }
            done.push(path);
        }
        Ok((done.len(), self.unchanged))
    }
}

/// Makes the folder of a file, for its owner alone, where there is none.
pub(crate) fn make_folder(path: &Path) -> Result<(), Failure> {
    let folder = folder_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
        let what = format!("the folder {} cannot be made; no file was changed", folder.display());
        Failure::new(what).because(error)
    })
}

/// Whether a file of the owner's alone holds that text.
fn holds(path: &Path, text: &str) -> bool {
    let is_such = fs::metadata(path)
        .is_ok_and(|file| file.len() == text.len() as u64 && file.permissions().mode() & 0o777 == 0o600);
    is_such && fs::read(path).map(Zeroizing::new).is_ok_and(|bytes| bytes.as_slice() == text.as_bytes())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
