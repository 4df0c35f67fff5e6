//! Requests per minute and account.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use strongroom_domain::ids::AccountId;
use strongroom_domain::{Error, Result};

/// The limit of every account: a bucket that holds a minute's requests and fills evenly.
pub(crate) struct Rate {
    max: NonZeroU32,
    buckets: DefaultKeyedRateLimiter<AccountId>,
}

impl Rate {
    pub(crate) fn per_minute(max: NonZeroU32) -> Self {
        Self { max, buckets: RateLimiter::keyed(Quota::per_minute(max)) }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when the bucket is empty.
    pub(crate) fn count(&self, account: AccountId) -> Result<()> {
        self.buckets.check_key(&account).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            Error::RateLimited { max: self.max.get(), retry_after: wait }
        })
    }
}
