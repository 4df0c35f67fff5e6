//! Values that are followed: told again when they are others.
//!
//! The feed of changes says that something may have changed, and only what it names is read anew then: each reading stands in
//! the audit log. The place in the feed is kept through lost connections and restarts of the server, so nothing is missed.

mod part;
mod reading;
mod trouble;

use std::time::{Duration, Instant};

use strongroom_client::api::{Client, Error};
use strongroom_wire as wire;

use self::part::Part;
use self::reading::Reading;
pub(crate) use self::trouble::{Rests, Trouble};
use super::Remote;
use super::values::{self, CacheOptions};
use crate::failure::Failure;

/// What the server says of a place from which the feed cannot be read on.
const GONE: [&str; 2] = ["ERR_STRONGROOM_1030", "ERR_STRONGROOM_1031"];
/// How long one request waits for a change.
const WAIT: Duration = Duration::from_secs(30);
/// A change is followed by others often enough: so long, and so often, they are waited for.
const SETTLE: (Duration, usize) = (Duration::from_millis(15), 3);
/// What is refused is told by the feed when it is there again; only what a key may is not, and is tried this often at least.
const REFUSED: Duration = Duration::from_secs(600);

const AGAIN: &str = "the values are followed again";

/// The values behind some references.
pub(crate) struct Watch {
    client: Client,
    cache: CacheOptions,
    parts: Vec<Part>,
    /// The place in the feed; none before it is known, and when it is to be begun anew.
    place: Option<String>,
    /// Whether values are others than those that were given.
    is_other: bool,
    trouble: Trouble,
    rests: Rests,
    refused: Again,
}

/// When what was refused is asked for again.
struct Again {
    at: Option<Instant>,
    rests: Rests,
    trouble: Trouble,
}

impl Watch {
    /// Reads the values, in the order asked for, all or none; from then on what changes of them is told.
    pub(crate) fn start(
        remote: &Remote,
        cache: &CacheOptions,
        references: Vec<wire::Reference>,
    ) -> Result<(Self, Vec<wire::ResolvedSecret>), Failure> {
        let client = remote.connect()?;
        // First the place, then the values: what changes in between is told twice rather than missed.
        let place = values::place(&client, cache, &references)?;
        let fetched = values::fetch_from(client.another(), cache, &references)?;
        let of_each = part::split(&references, fetched.secrets.clone());
        let parts = references.into_iter().zip(of_each);
        let mut watch = Self {
            client,
            cache: cache.clone(),
            parts: parts.map(|(reference, secrets)| Part::new(reference, secrets)).collect(),
            is_other: false,
            place,
            trouble: Trouble::default(),
            rests: Rests::new(),
            refused: Again { at: None, rests: Rests::up_to(REFUSED), trouble: Trouble::default() },
        };
        // What is cached is from before the place.
        if watch.place.is_none() || fetched.is_cached {
            watch.all_stale();
        }
        Ok((watch, fetched.secrets))
    }

    /// Waits until the values are others, and gives them. What does not work is told and tried again.
    pub(crate) fn next(&mut self) -> Vec<wire::ResolvedSecret> {
        loop {
            match self.turn() {
                Ok(()) => {
                    self.rests = Rests::new();
                    self.trouble.over(AGAIN);
                }
                // What changed since then shows in the values.
                Err(Error::Refused(refusal)) if GONE.contains(&refusal.error_code.as_str()) => {
                    self.place = None;
                    self.all_stale();
                }
                Err(error) => {
                    values::forget_if_refused(&self.client, &self.cache, &self.references(), &error);
                    self.trouble
                        .tell_of("the values are not followed, and stay as they are, for now", &error);
                    if !self.is_other {
                        self.rest();
                    }
                }
            }
            if std::mem::take(&mut self.is_other) {
                return self.known();
            }
        }
    }

    /// One look at the feed, and at the values if they may be others.
    fn turn(&mut self) -> Result<(), Error> {
        let Some(place) = self.place.clone() else {
            self.place = Some(self.client.changes(None, Duration::ZERO)?.cursor);
            return self.read();
        };
        if !self.is_stale() {
            let page = self.client.changes(Some(&place), self.wait())?;
            self.note(page);
            self.settle()?;
        }
        if self.is_stale() {
            return self.read();
        }
        if self.refused.at.is_some_and(|at| at <= Instant::now()) { self.ask_again() } else { Ok(()) }
    }

    /// How long to wait for a change.
    fn wait(&self) -> Duration {
        self.refused.at.map_or(WAIT, |at| at.saturating_duration_since(Instant::now()).min(WAIT))
    }

    /// Waits a little for what follows a change.
    fn settle(&mut self) -> Result<(), Error> {
        for _ in 0..SETTLE.1 {
            let (true, Some(place)) = (self.is_stale(), &self.place) else { break };
            let page = self.client.changes(Some(place), SETTLE.0)?;
            if page.changes.is_empty() {
                break;
            }
            self.note(page);
        }
        Ok(())
    }

    /// Notes what the feed told; says whether it concerns any of the values.
    fn note(&mut self, page: wire::ChangeList) -> bool {
        let mut is_ours = false;
        for change in &page.changes {
            for part in &mut self.parts {
                is_ours |= part.note(change);
            }
        }
        self.place = Some(page.cursor);
        is_ours
    }

    /// Reads what may be others by now.
    fn read(&mut self) -> Result<(), Error> {
        self.refused.rests = Rests::up_to(REFUSED);
        let (is_other, read) = Reading::of_stale(&mut self.parts).run(&self.client);
        self.done(is_other, read)
    }

    /// Reads what was refused.
    fn ask_again(&mut self) -> Result<(), Error> {
        let (is_other, read) = Reading::of_refused(&mut self.parts).run(&self.client);
        self.done(is_other, read)
    }

    fn done(&mut self, is_other: bool, read: Result<(), Error>) -> Result<(), Error> {
        self.is_other |= is_other;
        read?;
        let mut why: Vec<&str> =
            self.parts.iter().flat_map(|part| &part.refused).map(|refused| refused.why.as_str()).collect();
        why.sort_unstable();
        why.dedup();
        let (references, known) = (self.references(), self.known());
        if why.is_empty() {
            self.refused.at = None;
            self.refused.trouble.over(AGAIN);
            values::keep(&self.client, &self.cache, &references, &known);
        } else {
            self.refused.trouble.tell(format!("values stay as they are: {}", why.join("; ")));
            self.refused.at = Some(Instant::now() + self.refused.rests.next());
            values::forget(&self.client, &self.cache, &references);
        }
        Ok(())
    }

    fn known(&self) -> Vec<wire::ResolvedSecret> {
        self.parts.iter().flat_map(|part| part.secrets.iter().cloned()).collect()
    }

    fn references(&self) -> Vec<wire::Reference> {
        self.parts.iter().map(|part| part.reference.clone()).collect()
    }

    fn is_stale(&self) -> bool {
        self.parts.iter().any(|part| part.is_stale)
    }

    fn all_stale(&mut self) {
        self.parts.iter_mut().for_each(|part| part.is_stale = true);
    }

    /// Rests until the next try. A change may mend it before.
    fn rest(&mut self) {
        let end = Instant::now() + self.rests.next();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| left.as_millis() > 0)
        {
            let page = match &self.place {
                Some(place) if self.is_stale() => self.client.changes(Some(place), left),
                _ => return std::thread::sleep(left),
            };
            let Ok(page) = page else { return std::thread::sleep(left) };
            if self.note(page) {
                return;
            }
        }
    }
}
