//! Ids and creation times, from one reading of the clock.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use strongroom_crypto::{CryptoError, Rng};

use crate::clock::Clock;
use crate::ids::Ksuid;

/// How far a clock may step back before its new time is believed. Below this, ids keep to the later time, so that newest
/// stays first.
const TOLERATED_STEP_BACK: i64 = 10;

/// A number, and the whole second it was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The number for the id.
    pub ksuid: Ksuid,
    /// The time for `created_at` or `updated_at`; the very second that is in the number.
    pub at: Timestamp,
}

/// Makes stamps: each greater than the one before, also within one second.
pub struct Stamper {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    last: Mutex<(i64, u128)>,
}

impl Stamper {
    /// A stamper over that clock and randomness.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { clock, rng, last: Mutex::new((i64::MIN, 0)) }
    }

    /// The next stamp.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn stamp(&self) -> Result<Stamp, CryptoError> {
        let now = self.clock.now().as_second();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, payload) = *last;
        if now > second || now < second.saturating_sub(TOLERATED_STEP_BACK) {
            let mut random = [0; 16];
            self.rng.fill(&mut random)?;
            // The top bit stays clear: there is always room to count up for the rest of the second.
            *last = (now, u128::from_be_bytes(random) >> 1);
        } else {
            *last = (second, payload + 1);
        }
        let at = Timestamp::from_second(last.0).unwrap_or(Timestamp::MAX);
        Ok(Stamp { ksuid: Ksuid::from_parts(at, last.1), at })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};
    use strongroom_crypto::SystemRng;

    struct Set(AtomicI64);

    impl Clock for Set {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
        }
    }

    #[test]
    fn stamps_ascend_within_a_second_and_when_the_clock_slips_back() {
        let clock = Arc::new(Set(AtomicI64::new(1_700_000_000)));
        let stamper = Stamper::new(clock.clone(), Arc::new(SystemRng));
        let mut last = stamper.stamp().unwrap();
        for step in 0..10_000 {
            if step % 1000 == 0 {
                clock.0.fetch_add(if step % 2000 == 0 { 2 } else { -1 }, Ordering::Relaxed);
            }
            let stamp = stamper.stamp().unwrap();
            assert!(stamp.ksuid > last.ksuid && stamp.at >= last.at);
            last = stamp;
        }
    }

    #[test]
    fn a_clock_set_back_for_good_is_believed() {
        let clock = Arc::new(Set(AtomicI64::new(1_700_000_000)));
        let stamper = Stamper::new(clock.clone(), Arc::new(SystemRng));
        stamper.stamp().unwrap();
        clock.0.fetch_sub(3600, Ordering::Relaxed);
        assert_eq!(stamper.stamp().unwrap().at, clock.now());
    }
}
