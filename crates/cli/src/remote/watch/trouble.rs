//! What does not work for now: how it is told, and how long it is left alone.

use std::time::Duration;

use strongroom_client::api::Error;
use strongroom_crypto::{Rng, SystemRng};

use crate::failure::{note, warn};

/// Rests between tries: each about twice as long as the one before, up to a longest one, and never the same for all.
pub(crate) struct Rests {
    next: Duration,
    longest: Duration,
}

impl Rests {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

    /// From the shortest on, up to half a minute.
    pub(crate) fn new() -> Self {
        Self::up_to(Self::LONGEST)
    }

    /// From the shortest on, up to this one.
    pub(crate) fn up_to(longest: Duration) -> Self {
        Self { next: Self::FIRST, longest }
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Duration {
        let most = self.next;
        self.next = (most * 2).min(self.longest);
        let mut dice = [u8::MAX];
        // Without randomness the rest is the longest.
        let _ = SystemRng.fill(&mut dice);
        most / 2 + most / 2 * u32::from(dice[0]) / u32::from(u8::MAX)
    }
}

/// Says once what does not work, and once that it works again.
#[derive(Default)]
pub(crate) struct Trouble(Option<String>);

/// What a server that is away is known as: the words differ from try to try.
const AWAY: &str = "away";

impl Trouble {
    pub(crate) fn tell(&mut self, text: String) {
        self.tell_as(text.clone(), &text);
    }

    /// Tells of a call that failed; `what` is what does not work for it.
    pub(crate) fn tell_of(&mut self, what: &str, error: &Error) {
        let mut text = format!("{what}: {error}");
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        let known_as = if error.is_unavailable() { AWAY.to_owned() } else { text.clone() };
        self.tell_as(known_as, &text);
    }

    fn tell_as(&mut self, known_as: String, text: &str) {
        if self.0.as_ref() != Some(&known_as) {
            warn(&text.replace(|c: char| c.is_control() && c != '\n', "?"));
            self.0 = Some(known_as);
        }
    }

    pub(crate) fn over(&mut self, text: &str) {
        if self.0.take().is_some() {
            note(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_end_below_half_a_minute() {
        let mut rests = Rests::new();
        for number in 0..20 {
            let rest = rests.next();
            let most = (Rests::FIRST * 2u32.pow(number.min(10))).min(Rests::LONGEST);
            assert!(rest >= most / 2 && rest <= most, "{rest:?} of {most:?}");
        }
    }
}
