//! What keeps keys out of dumps, and the process small.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

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

/// File descriptors that are kept for the store, the log and what else is no connection.
const STORE_FILES: u64 = 64;
/// Those that are kept for deliveries to webhooks, where there are enough.
const DELIVERY_FILES: u64 = strongroom_server::delivery::FILES as u64;

/// Raises the limit of open files as far as the system lets, and says how many connections that leaves room for.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let room = current.map_or(usize::MAX, room);
    if room < wanted {
        tracing::warn!(
            "{room} connections at most, not {wanted}: the system allows no more open files (ulimit -n)"
        );
    }
    wanted.min(room)
}

/// How many connections so many open files leave room for. Of few, deliveries do not get more than connections do.
pub(crate) fn room(files: u64) -> usize {
    let room = files.saturating_sub(STORE_FILES);
    let room = room.saturating_sub(DELIVERY_FILES).max(room / 2).max(1);
    usize::try_from(room).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_connection_finds_files_too() {
        let all = (STORE_FILES + DELIVERY_FILES) as usize;
        for (files, left) in [(0, 1), (64, 1), (100, 18), (1024, 480), (20_000, 20_000 - all)] {
            assert_eq!(room(files), left, "{files}");
        }
    }
}
