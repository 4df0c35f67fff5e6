//! Values as files: a private folder in memory that lasts as long as the program.
//!
//! A folder is named after its process (`strongroom-run-<pid namespace>-<pid>-<start time>`), so that the next run tells
//! those whose process was killed, and removes them.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, getpid, getuid, test_kill_process};

use crate::failure::{Failure, Kind};

/// `f_type` of the file systems that are in memory: tmpfs and ramfs (statfs(2)).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

const PREFIX: &str = "strongroom-run-";

/// The folder in the folder where files are written first. No variable is called like that.
const NEW: &str = ".new";

/// The folder. Dropping it removes it.
pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Makes the folder in `chosen`, or in the first place that is in memory; removes those of processes that are gone.
    pub(crate) fn make(chosen: Option<&Path>) -> Result<Self, Failure> {
        let base = match chosen {
            Some(chosen) => std::path::absolute(chosen).map_err(|error| unusable(chosen, error))?,
            None => in_memory()?,
        };
        let own = Owner::own();
        remove_left_over(&base, &own);
        let folder = base.join(own.folder_name());
        DirBuilder::new().mode(0o700).create(&folder).map_err(|error| unusable(&base, error))?;
        Ok(Self { folder })
    }

    /// Where the file of that name is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Has the folder hold these values, each for its owner alone, and no others. A file is there whole or as it was.
    pub(crate) fn hold<'a>(
        &self,
        values: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<(), Failure> {
        self.stage(values.clone())?;
        self.place(values.map(|(name, _)| name))
    }

    /// Writes these values beside those that are there: to put them in place needs no room then.
    pub(crate) fn stage<'a>(&self, values: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Failure> {
        let new = self.path(NEW);
        let staged = self.unstage().and_then(|()| DirBuilder::new().mode(0o700).create(&new));
        staged.map_err(|error| unwritten(&new, error))?;
        for (name, value) in values {
            let path = new.join(name);
            let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
            if let Err(error) = opened.and_then(|mut file| file.write_all(value.as_bytes())) {
                // What is there of it takes room; the next try removes it too.
                let _ = self.unstage();
                return Err(unwritten(&self.path(name), error));
            }
        }
        Ok(())
    }

    /// Puts what was staged in place, and removes what is not among these names.
    pub(crate) fn place<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        let mut held = HashSet::new();
        for name in names {
            let path = self.path(name);
            fs::rename(self.path(NEW).join(name), &path).map_err(|error| unwritten(&path, error))?;
            held.insert(path);
        }
        self.unstage().map_err(|error| unwritten(&self.path(NEW), error))?;
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if !held.contains(&entry.path()) {
                fs::remove_file(entry.path()).map_err(|error| unwritten(&entry.path(), error))?;
            }
        }
        Ok(())
    }

    fn unstage(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.path(NEW)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the folder and what is in it.
    pub(crate) fn remove(&self) {
        // Nobody is left to tell; the next run tries again.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.remove();
    }
}

fn unwritten(path: &Path, error: io::Error) -> Failure {
    Failure::new(format!("{} cannot be written", path.display())).because(error)
}

fn unusable(base: &Path, error: io::Error) -> Failure {
    Failure::new(format!("no folder for the values can be made in {}", base.display()))
        .because(error)
        .todo("name another with --files-dir")
        .kind(Kind::Invalid)
}

/// The folder of this user's running programs (XDG Base Directory Specification), or that of shared memory.
#[expect(clippy::disallowed_methods, reason = "the folder is not a setting of this program's")]
fn in_memory() -> Result<PathBuf, Failure> {
    let of_user = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let places = of_user.into_iter().chain([PathBuf::from("/dev/shm")]);
    places.into_iter().find(|place| is_in_memory(place)).ok_or_else(|| {
        Failure::new("there is no folder in memory: neither XDG_RUNTIME_DIR nor /dev/shm is a tmpfs")
            .todo(
                "name a folder with --files-dir; on a disk, values may stay readable after they are removed",
            )
            .kind(Kind::Invalid)
    })
}

fn is_in_memory(place: &Path) -> bool {
    // The kernel's type has another sign on other machines.
    let kind = rustix::fs::statfs(place).map(|stats| u64::from(stats.f_type as u32));
    kind.is_ok_and(|kind| IN_MEMORY.contains(&kind))
        && rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_ok()
}

/// The process that a folder belongs to. A pid comes again, and means nothing in another pid namespace.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    namespace: u64,
    pid: u32,
    start: u64,
}

impl Owner {
    fn own() -> Self {
        let pid = getpid().as_raw_nonzero().get().unsigned_abs();
        Self { namespace: namespace(), pid, start: start_of(pid).unwrap_or(0) }
    }

    fn folder_name(&self) -> String {
        format!("{PREFIX}{}-{}-{}", self.namespace, self.pid, self.start)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut numbers = name.strip_prefix(PREFIX)?.split('-');
        let namespace = numbers.next()?.parse().ok()?;
        let (pid, start) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        let owner = Self { namespace, pid, start };
        (owner.folder_name() == name).then_some(owner)
    }

    fn is_gone(&self) -> bool {
        match start_of(self.pid) {
            Some(start) => start != self.start,
            // The system may hide processes (proc(5), `hidepid`), and a program under way must not lose its files.
            None => i32::try_from(self.pid)
                .ok()
                .and_then(Pid::from_raw)
                .is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH)),
        }
    }
}

/// The number of this process' pid namespace: `pid:[4026531836]` (pid_namespaces(7)).
fn namespace() -> u64 {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digits: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// When a process started, in clock ticks since boot: field 22 of proc_pid_stat(5). `None` if there is no such process.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, that may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// Removes folders of this user whose process was killed.
fn remove_left_over(base: &Path, own: &Owner) {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    for entry in entries {
        let owner = entry.file_name().to_str().and_then(Owner::parse);
        let is_left_over = owner.is_some_and(|owner| owner.namespace == own.namespace && owner.is_gone());
        let is_ours =
            || entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == getuid().as_raw());
        if is_left_over && is_ours() {
            // Another run may be removing it too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_its_owner() {
        let own = Owner::own();
        assert_eq!(Owner::parse(&own.folder_name()), Some(Owner { ..own }));
        assert!(!own.is_gone());
        for other in
            ["", "strongroom-run-", "strongroom-run-1-2", "strongroom-run-1-2-3-4", "strongroom-run-1-02-3"]
        {
            assert_eq!(Owner::parse(other), None, "{other}");
        }
    }

    #[test]
    fn folders_of_processes_that_are_gone_are_removed_and_no_others() {
        let base = tempfile::tempdir().unwrap();
        let own = Owner::own();
        let gone = Owner { start: own.start + 1, ..Owner::own() };
        let foreign = Owner { namespace: own.namespace + 1, start: 0, ..Owner::own() };
        for name in
            [gone.folder_name(), foreign.folder_name(), own.folder_name(), "strongroom-run-x".to_owned()]
        {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        fs::write(base.path().join(gone.folder_name()).join("A"), "v").unwrap();
        remove_left_over(base.path(), &own);
        assert!(!base.path().join(gone.folder_name()).exists());
        for kept in [foreign.folder_name(), own.folder_name(), "strongroom-run-x".to_owned()] {
            assert!(base.path().join(&kept).exists(), "{kept}");
        }
    }

    #[test]
    fn dropping_removes_what_was_written() {
        let base = tempfile::tempdir().unwrap();
        let files = Files::make(Some(base.path())).unwrap();
        files.hold([("A", "v"), ("B", "w")].into_iter()).unwrap();
        assert_eq!(fs::read(files.path("A")).unwrap(), b"v");
        files.stage([("A", "lost")].into_iter()).unwrap();
        assert_eq!(fs::read(files.path("A")).unwrap(), b"v");
        files.hold([("B", "x"), ("C", "")].into_iter()).unwrap();
        assert!(!files.path("A").exists() && files.path("C").exists());
        assert_eq!(fs::read(files.path("B")).unwrap(), b"x");
        assert_eq!(fs::read_dir(&files.folder).unwrap().count(), 2);
        drop(files);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
