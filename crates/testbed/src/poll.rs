use std::time::{Duration, Instant};

/// Long enough for a loaded machine, short enough that a hang is a failure and not a stuck build.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `probe` until it has an answer.
///
/// # Panics
/// With `what`, if none comes within [`PATIENCE`].
pub fn poll<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: nothing after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
