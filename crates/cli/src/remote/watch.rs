//! Values that are followed: told again when they are others.
//!
//! The feed of changes says that something may have changed, and the values are read anew only then: each reading stands in
//! the audit log. The place in the feed is kept through lost connections and restarts of the server, so nothing is missed.

use std::time::{Duration, Instant};

use strongroom_client::api::{Client, Error};
use strongroom_crypto::{Rng, SystemRng};
use strongroom_wire as wire;

use super::Remote;
use super::values::{self, CacheOptions, note};
use crate::failure::{Failure, warn};

/// What the server says of a place from which the feed cannot be read on.
const GONE: [&str; 2] = ["ERR_STRONGROOM_1030", "ERR_STRONGROOM_1031"];
/// How long one request waits for a change.
const WAIT: Duration = Duration::from_secs(30);
/// A change is followed by others often enough: so long, and so often, they are waited for.
const SETTLE: (Duration, usize) = (Duration::from_millis(15), 3);

/// Rests between tries: each about twice as long as the one before, up to half a minute, and never the same for all.
pub(crate) struct Rests(Duration);

impl Rests {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

    /// From the shortest on.
    pub(crate) fn new() -> Self {
        Self(Self::FIRST)
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Duration {
        let most = self.0;
        self.0 = (most * 2).min(Self::LONGEST);
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

/// The values behind some references.
pub(crate) struct Watch {
    client: Client,
    cache: CacheOptions,
    references: Vec<wire::Reference>,
    known: Vec<wire::ResolvedSecret>,
    /// The place in the feed; none before it is known, and when it is to be begun anew.
    place: Option<String>,
    /// Whether the values may be others than those that are known.
    is_stale: bool,
    trouble: Trouble,
    rests: Rests,
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
        let place = match client.changes(None, Duration::ZERO) {
            Ok(page) => Some(page.cursor),
            Err(error) if cache.may_do_without() && error.is_unavailable() => None,
            Err(error) => return Err(error.into()),
        };
        let secrets = values::fetch_from(client.another(), cache, &references)?;
        let watch = Self {
            client,
            cache: cache.clone(),
            references,
            known: secrets.clone(),
            is_stale: place.is_none(),
            place,
            trouble: Trouble::default(),
            rests: Rests::new(),
        };
        Ok((watch, secrets))
    }

    /// Waits until the values are others, and gives them. What does not work is told and tried again.
    pub(crate) fn next(&mut self) -> Vec<wire::ResolvedSecret> {
        loop {
            match self.turn() {
                Ok(is_other) => {
                    self.rests = Rests::new();
                    self.trouble.over("the values are followed again");
                    if is_other {
                        return self.known.clone();
                    }
                }
                // What changed since then shows in the values.
                Err(Error::Refused(refusal)) if GONE.contains(&refusal.error_code.as_str()) => {
                    (self.place, self.is_stale) = (None, true);
                }
                Err(error) => {
                    self.trouble
                        .tell_of("the values are not followed, and stay as they are, for now", &error);
                    self.rest();
                }
            }
        }
    }

    /// One look at the feed, and at the values if they may be others; says whether they are.
    fn turn(&mut self) -> Result<bool, Error> {
        let Some(place) = &self.place else {
            self.place = Some(self.client.changes(None, Duration::ZERO)?.cursor);
            return self.read();
        };
        if self.is_stale {
            return self.read();
        }
        let page = self.client.changes(Some(place), WAIT)?;
        self.note(page);
        for _ in 0..SETTLE.1 {
            let (true, Some(place)) = (self.is_stale, &self.place) else { break };
            let page = self.client.changes(Some(place), SETTLE.0)?;
            if page.changes.is_empty() {
                break;
            }
            self.note(page);
        }
        if self.is_stale { self.read() } else { Ok(false) }
    }

    fn note(&mut self, page: wire::ChangeList) {
        self.is_stale |= page.changes.iter().any(|change| concerns(change, &self.references, &self.known));
        self.place = Some(page.cursor);
    }

    fn read(&mut self) -> Result<bool, Error> {
        let secrets = self.client.resolve(&self.references)?;
        self.is_stale = false;
        values::keep(&self.client, &self.cache, &self.references, &secrets);
        let told = |secret: &wire::ResolvedSecret| (secret.vault.clone(), secret.name.clone());
        let is_other = !secrets.iter().map(told).eq(self.known.iter().map(told))
            || secrets.iter().zip(&self.known).any(|(new, old)| new.value != old.value);
        self.known = secrets;
        Ok(is_other)
    }

    /// Rests until the next try. A change may mend it before, such as a secret that is brought back.
    fn rest(&mut self) {
        let end = Instant::now() + self.rests.next();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| left.as_millis() > 0)
        {
            let page = match &self.place {
                Some(place) if self.is_stale => self.client.changes(Some(place), left),
                _ => return std::thread::sleep(left),
            };
            let Ok(page) = page else { return std::thread::sleep(left) };
            let is_ours = page.changes.iter().any(|change| concerns(change, &self.references, &[]));
            self.place = Some(page.cursor);
            if is_ours {
                return;
            }
        }
    }
}

/// Whether a change may be one of the values behind the references. The version tells those apart that are none of the value.
fn concerns(change: &wire::Change, references: &[wire::Reference], known: &[wire::ResolvedSecret]) -> bool {
    let named = |vault: &str, name: Option<&str>| {
        references.iter().any(|reference| {
            let is_name = || reference.name.is_none() || name.is_none() || reference.name.as_deref() == name;
            reference.vault.as_deref() == Some(vault) && is_name()
        })
    };
    let previous = change.previous.as_ref();
    if let Some(secret) = &change.secret {
        let was = previous.and_then(|was| Some(named(&was.vault.as_ref()?.name, Some(&was.name))));
        let is_gone = matches!(change.kind.as_str(), "secret_deleted.v0" | "secret_purged.v0");
        let is_known = known.iter().any(|known| {
            (known.id.as_str(), known.version) == (secret.id.as_str(), secret.version)
                && (known.vault.as_str(), known.name.as_str())
                    == (secret.vault.name.as_str(), secret.name.as_str())
        });
        let now = named(&secret.vault.name, Some(&secret.name));
        return was == Some(true) || (now && (is_gone || !is_known));
    }
    // With its name, a vault gives another one to all that is in it.
    let vault = change.vault.as_ref().filter(|_| previous.is_some() || change.kind != "vault_updated.v0");
    vault.is_some_and(|vault| named(&vault.name, None))
        || previous.is_some_and(|was| change.vault.is_some() && named(&was.name, None))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(id: &str, vault: &str, name: &str, version: u32) -> serde_json::Value {
        json!({"id": id, "name": name, "version": version, "vault": {"id": "vault_1", "name": vault}})
    }

    fn change(kind: &str, what: &str, thing: serde_json::Value, previous: serde_json::Value) -> wire::Change {
        let kind = format!("{what}_{kind}.v0");
        let mut change = json!({"cursor": "1-0", "type": kind, "event_id": "", "at": "", what: thing});
        if !previous.is_null() {
            change["previous"] = previous;
        }
        serde_json::from_value(change).unwrap()
    }

    #[test]
    fn a_change_concerns_what_it_names() {
        let one = wire::Reference {
            vault: Some("prod".to_owned()),
            name: Some("a".to_owned()),
            ..wire::Reference::default()
        };
        let references = [one, wire::Reference::whole("all")];
        let known: Vec<wire::ResolvedSecret> = serde_json::from_value(json!([
            {"id": "secret_1", "vault": "prod", "name": "a", "version": 2, "value": "v", "updated_at": ""}
        ]))
        .unwrap();
        let none = serde_json::Value::Null;
        let was = |vault: &str, name: &str| json!({"name": name, "vault": {"id": "vault_1", "name": vault}});
        for (kind, thing, previous, expected) in [
            ("updated", secret("secret_1", "prod", "a", 3), none.clone(), true),
            // Its description, say.
            ("updated", secret("secret_1", "prod", "a", 2), none.clone(), false),
            ("updated", secret("secret_2", "prod", "a", 2), none.clone(), true),
            ("deleted", secret("secret_1", "prod", "a", 2), none.clone(), true),
            ("updated", secret("secret_3", "prod", "b", 3), none.clone(), false),
            ("updated", secret("secret_1", "prod", "b", 2), was("prod", "a"), true),
            ("updated", secret("secret_4", "prod", "a", 1), was("dev", "c"), true),
            ("updated", secret("secret_4", "prod", "c", 1), was("prod", "b"), false),
            ("created", secret("secret_5", "all", "any", 1), none.clone(), true),
        ] {
            let change = change(kind, "secret", thing, previous);
            assert_eq!(concerns(&change, &references, &known), expected, "{change:?}");
        }
        let vault = |name: &str| json!({"id": "vault_1", "name": name});
        for (kind, thing, previous, expected) in [
            ("updated", vault("prod"), none.clone(), false),
            ("updated", vault("prod"), json!({"name": "old"}), true),
            ("updated", vault("new"), json!({"name": "all"}), true),
            ("updated", vault("new"), json!({"name": "old"}), false),
            ("deleted", vault("prod"), none.clone(), true),
            ("created", vault("dev"), none, false),
        ] {
            let change = change(kind, "vault", thing, previous);
            assert_eq!(concerns(&change, &references, &known), expected, "{change:?}");
        }
    }

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
