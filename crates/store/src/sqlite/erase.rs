//! Leaving no copy behind of what is destroyed. What is deleted is overwritten in the database (`secure_delete`), but a copy
//! of the pages as they were stays in the write-ahead log until that is moved into the database and cut off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the writer waits for those who still read from the log. It tries again after a later batch.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long it leaves that be after a try in vain.
const REST: Duration = Duration::from_secs(1);
/// The longest that it then tries without waiting, so that changes do not wait again and again for one who reads for long.
const WAIT_REST_MAX: Duration = Duration::from_secs(30);

/// That the log could not be cut off.
#[derive(Clone, Copy)]
struct InVain {
    /// The last try.
    tried: Instant,
    /// The last try that waited.
    waited: Instant,
    /// How long from there to the next one that waits: twice as long each time.
    rest: Duration,
}

impl InVain {
    fn next(before: Option<Self>, patience: Duration) -> Self {
        let tried = Instant::now();
        match before {
            None => Self { tried, waited: tried, rest: REST },
            Some(before) if patience.is_zero() => Self { tried, ..before },
            Some(before) => Self { tried, waited: tried, rest: (before.rest * 2).min(WAIT_REST_MAX) },
        }
    }

    /// How long the next try waits; `None` if it is too early for one.
    fn patience(&self) -> Option<Duration> {
        if self.tried.elapsed() < REST {
            return None;
        }
        Some(if self.waited.elapsed() < self.rest { Duration::ZERO } else { PATIENCE })
    }
}

/// Whether the log may hold a copy of what was destroyed.
#[derive(Default)]
pub(super) struct Erase {
    due: AtomicBool,
    /// How it was last tried in vain; the writer alone looks at it.
    in_vain: Mutex<Option<InVain>>,
}

impl Erase {
    /// Notes that something was destroyed by a batch that is committed.
    pub(super) fn note(&self) {
        self.due.store(true, Ordering::Release);
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.load(Ordering::Acquire)
    }

    /// Cuts off the log, if it may hold such a copy. `cut` waits for so long at most, and says whether it could.
    pub(super) fn run(&self, cut: impl FnOnce(Duration) -> rusqlite::Result<bool>) {
        if !self.is_due() {
            return;
        }
        let mut in_vain = self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(patience) = in_vain.map_or(Some(PATIENCE), |in_vain| in_vain.patience()) else { return };
        match cut(patience) {
            Ok(true) => {
                self.due.store(false, Ordering::Release);
                *in_vain = None;
                return;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the store's log could not be cut off, and may hold what was destroyed");
            }
        }
        *in_vain = Some(InVain::next(*in_vain, patience));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_in_vain_gets_rarer() {
        let mut in_vain = InVain::next(None, PATIENCE);
        assert_eq!(in_vain.patience(), None, "too early");
        for rest in [2, 4, 8, 16, 30, 30] {
            let without = InVain::next(Some(in_vain), Duration::ZERO);
            assert_eq!((without.waited, without.rest), (in_vain.waited, in_vain.rest));
            in_vain = InVain::next(Some(in_vain), PATIENCE);
            assert_eq!(in_vain.rest, Duration::from_secs(rest));
        }
        in_vain.tried -= REST;
        assert_eq!(in_vain.patience(), Some(Duration::ZERO));
        in_vain.waited -= in_vain.rest;
        assert_eq!(in_vain.patience(), Some(PATIENCE));
    }

    #[test]
    fn a_try_that_fails_is_one_in_vain() {
        let erase = Erase::default();
        erase.run(|_| panic!("nothing was destroyed"));
        erase.note();
        erase.run(|_| Err(rusqlite::Error::InvalidQuery));
        erase.run(|_| panic!("it is too early"));
        assert!(erase.is_due());
    }
}
