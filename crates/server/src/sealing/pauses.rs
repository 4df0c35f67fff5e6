//! Who has to wait before the next attempt: each address by itself, so that somebody who guesses holds up nobody else.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// The wait after the first failure; each one after it doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// How long after the end of its wait an address is as one that never failed.
const FORGIVEN: Duration = Duration::from_secs(10 * 60);
/// Addresses that are kept in mind.
const ADDRESSES: usize = 4096;

/// The failures of each address.
#[derive(Default)]
pub(super) struct Pauses(HashMap<IpAddr, Failed>);

struct Failed {
    times: u32,
    until: Instant,
}

impl Pauses {
    /// How long an address still has to wait.
    pub(super) fn left(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failed = self.0.get(&network(address))?;
        Some(failed.until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Notes a failure.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) {
        self.0.retain(|_, failed| now < failed.until + FORGIVEN);
        if self.0.len() >= ADDRESSES
            && let Some(first) =
                self.0.iter().min_by_key(|(_, failed)| failed.until).map(|(address, _)| *address)
        {
            self.0.remove(&first);
        }
        let failed = self.0.entry(network(address)).or_insert(Failed { times: 0, until: now });
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(failed.times)).min(LONGEST);
        failed.times += 1;
        failed.until = now + wait;
    }

    /// Forgets the failures of an address, which has shown that it knows what opens.
    pub(super) fn succeeded(&mut self, address: IpAddr) {
        self.0.remove(&network(address));
    }
}

/// Who has one IPv6 address commonly has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn waits_double_up_to_a_minute_and_are_forgiven() {
        let (mut pauses, mut now) = (Pauses::default(), Instant::now());
        let one = address("192.0.2.7");
        let seconds = |pauses: &Pauses, now| pauses.left(one, now).map(|left| left.as_secs());
        assert_eq!(seconds(&pauses, now), None);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            pauses.failed(one, now);
            assert_eq!(seconds(&pauses, now), Some(wait));
            now += Duration::from_secs(wait);
            assert_eq!(seconds(&pauses, now), None);
        }
        pauses.failed(one, now);
        assert_eq!(pauses.left(address("192.0.2.8"), now), None, "another one does not wait");
        pauses.succeeded(one);
        assert_eq!(seconds(&pauses, now), None);
        pauses.failed(one, now);
        pauses.failed(address("192.0.2.8"), now + FORGIVEN + Duration::from_secs(2));
        assert_eq!(pauses.0.len(), 1, "an old failure is kept in mind no longer");
    }

    #[tokio::test]
    async fn addresses_of_one_network_wait_together_and_are_bounded() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        pauses.failed(address("2001:db8::1"), now);
        assert!(pauses.left(address("2001:db8::ffff"), now).is_some());
        assert!(pauses.left(address("2001:db8:0:1::1"), now).is_none());
        for number in 0..2 * ADDRESSES as u32 {
            pauses.failed(IpAddr::from(number.to_be_bytes()), now + Duration::from_millis(u64::from(number)));
        }
        assert_eq!(pauses.0.len(), ADDRESSES);
    }
}
