//! What keeps keys out of dumps, and the process small.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use strongroom_crypto::{MemoryLock, RootKey};

/// Whether it was this process that turned huge pages off, and not the one that started it.
static STAYS_SMALL: AtomicBool = AtomicBool::new(false);

/// Whether this process was made not dumpable, which also keeps it from writing core files.
static HIDDEN: AtomicBool = AtomicBool::new(false);

/// Keeps the system from backing the heap with huge pages: a server that holds five megabytes would take fifteen.
pub(crate) fn stay_small() {
    use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};
    // A system without them has nothing to refuse.
    let was_off = transparent_huge_pages_are_disabled().unwrap_or(true);
    STAYS_SMALL.store(!was_off && disable_transparent_huge_pages(true).is_ok(), Ordering::Relaxed);
}

/// Undoes [`stay_small`] before another program is started, which would inherit it.
pub(crate) fn let_grow() {
    if STAYS_SMALL.load(Ordering::Relaxed) {
        let _ = rustix::thread::disable_transparent_huge_pages(false);
    }
}

/// Lets no other process of the same user read this one's memory, and has it write no core file. A program that this
/// process starts or becomes inherits none of that (prctl(2), `PR_SET_DUMPABLE`).
pub(crate) fn hide() {
    HIDDEN.store(true, Ordering::Relaxed);
    // Where the system refuses, values are as safe as in the program that they are for.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Has a command that holds keys and values write no core file. It stays dumpable: the files of a process that is not are
/// root's, `/dev/fd/N` among them, and a shell passes those to `--value-file`.
pub(crate) fn no_core() {
    if !HIDDEN.load(Ordering::Relaxed) {
        // Where the system refuses, a core file is its owner's alone.
        let _ = setrlimit(
            Resource::Core,
            Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum },
        );
    }
}

/// Makes this process write no core file and lets no other process of the same user read its memory.
///
/// To be called before any key is in memory.
pub(crate) fn harden() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the process can be dumped by others of the same user: the system refuses to forbid it");
    }
    let limit = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    if let Err(error) = setrlimit(Resource::Core, limit) {
        tracing::warn!(%error, "a crash may write a core file with keys in it: the system refuses to forbid it");
    }
}

/// File descriptors that are kept for the store, the log and what else is not a connection.
const RESERVED_FILES: u64 = 64;

/// Raises the limit of open files as far as the system lets, and says how many connections that leaves room for.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let room = current.map_or(u64::MAX, |files| files.saturating_sub(RESERVED_FILES).max(1));
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(
            "{room} connections at most, not {wanted}: the system allows no more open files (ulimit -n)"
        );
    }
    wanted.min(room)
}

/// Keeps the root key out of swap, or says loudly that it is not.
pub(crate) fn lock(key: &RootKey) {
    if key.lock_memory() == MemoryLock::Refused {
        tracing::warn!(
            "THE ROOT KEY MAY BE SWAPPED TO DISK: the system refuses to lock memory; raise `ulimit -l` (LimitMEMLOCK)"
        );
    }
}
