//! What keeps keys out of dumps, and the process small.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use strongroom_crypto::{MemoryLock, RootKey};

/// Keeps the system from backing the heap with huge pages: a server that holds five megabytes would take fifteen.
pub(crate) fn stay_small() {
    // A system without them has nothing to refuse.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
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
