use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::guard::Guard;
use crate::programs;

/// A variable that lets tests go without small disks where nothing may be mounted.
const WITHOUT: &str = "STRONGROOM_TEST_WITHOUT_MOUNTS";

/// A file system of a few megabytes in memory, that PostgreSQL may write to and that can be made full and roomy again.
pub struct SmallDisk {
    folder: TempDir,
    _guard: Guard,
}

impl SmallDisk {
    /// Mounts one, which only root may. Elsewhere a test has to be told that it may go without: `None`, with a line that says so, where
    /// `STRONGROOM_TEST_WITHOUT_MOUNTS` is set.
    ///
    /// # Panics
    /// If nothing can be mounted, and nobody said that this is fine.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "whoever runs it should know that nothing was tested here")]
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests, which have no configuration")]
    pub fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "strongroom-test"]).arg(folder.path());
        let mounted = mount.output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            programs::give(folder.path());
            let path = folder.path().to_str().unwrap();
            let guard = Guard::new("umount -l \"$1\"; rmdir \"$1\"", &[path]);
            return Some(Self { folder, _guard: guard });
        }
        assert!(
            std::env::var_os(WITHOUT).is_some(),
            "nothing can be mounted here ({mounted:?}): run this as root, or set {WITHOUT}=1 to go without"
        );
        eprintln!("NOT TESTED: nothing can be mounted here, and {WITHOUT} is set");
        None
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it up to the last byte.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 16, 1 << 9, 1] {
            while ballast.write_all(&vec![7; size]).is_ok() {}
        }
    }

    /// Takes away what [`SmallDisk::fill`] put there.
    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.folder.path().join("ballast")
    }
}
