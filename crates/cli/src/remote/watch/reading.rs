//! One reading of the values behind references.
//!
//! The server answers a request in full or refuses it, and then names what it refuses. That is left out, and the rest is
//! asked for again: one secret that is gone or past its end must not hold up the others. Nothing is read twice.

use std::collections::BTreeMap;

use strongroom_client::api::{Client, Error, Refusal};
use strongroom_wire as wire;

use super::part::{Part, Refused, called, is_whole, split};

/// References in one request.
const AT_ONCE: usize = 100;

/// What is asked for, of which part.
struct Ask {
    part: usize,
    reference: wire::Reference,
    /// Why it was refused before, if it was.
    why: Option<String>,
}

/// What is under way: what is still to be asked for, and what is there already of parts that are not complete.
pub(super) struct Reading<'a> {
    parts: &'a mut [Part],
    pending: Vec<Ask>,
    there: BTreeMap<usize, Vec<wire::ResolvedSecret>>,
    /// Whether any was given.
    is_begun: bool,
    is_other: bool,
}

impl<'a> Reading<'a> {
    /// Of the parts that may be others by now.
    pub(super) fn of_stale(parts: &'a mut [Part]) -> Self {
        let mut reading = Self::of(parts);
        for index in 0..reading.parts.len() {
            let part = &mut reading.parts[index];
            if part.is_stale {
                part.refused.clear();
                let reference = part.reference.clone();
                reading.pending.push(Ask { part: index, reference, why: None });
            }
        }
        reading
    }

    /// Of what was refused, and nothing else.
    pub(super) fn of_refused(parts: &'a mut [Part]) -> Self {
        let mut reading = Self::of(parts);
        for index in 0..reading.parts.len() {
            let part = &mut reading.parts[index];
            let refused = std::mem::take(&mut part.refused);
            if refused.iter().any(|one| is_member(part, &one.reference)) {
                let is_refused =
                    |name: &String| refused.iter().any(|one| one.reference.name.as_ref() == Some(name));
                let kept = part.secrets.iter().filter(|secret| !is_refused(&secret.name)).cloned().collect();
                reading.there.insert(index, kept);
            }
            let ask = |Refused { reference, why }| Ask { part: index, reference, why: Some(why) };
            reading.pending.extend(refused.into_iter().map(ask));
        }
        reading
    }

    fn of(parts: &'a mut [Part]) -> Self {
        Self { parts, pending: Vec::new(), there: BTreeMap::new(), is_begun: false, is_other: false }
    }

    /// Asks until all is there or refused; says whether any value is another one. What was read before a failure stays.
    pub(super) fn run(mut self, client: &Client) -> (bool, Result<(), Error>) {
        while !self.pending.is_empty() {
            let count = self.pending.len().min(AT_ONCE);
            let asked: Vec<_> = self.pending[..count].iter().map(|ask| ask.reference.clone()).collect();
            match client.resolve(&asked) {
                Ok(secrets) => {
                    self.is_begun = true;
                    let of_each = split(&asked, secrets);
                    let done: Vec<Ask> = self.pending.drain(..count).collect();
                    for (ask, secrets) in done.iter().zip(of_each) {
                        self.there.entry(ask.part).or_default().extend(secrets);
                    }
                }
                Err(Error::Refused(refusal)) if self.leave_out(count, &refusal) => {}
                Err(error) => return (self.give_back(), Err(error)),
            }
            self.complete();
        }
        (self.is_other, Ok(()))
    }

    /// Leaves out what a refusal names; says whether that is anything.
    fn leave_out(&mut self, count: usize, refusal: &Refusal) -> bool {
        let named = |kind: &str| refusal.details.get(kind).map(|names| names.split(", ").collect::<Vec<_>>());
        let missing = named("missing");
        let is_missing = missing.is_some();
        let Some(names) = missing.or_else(|| named("denied")).or_else(|| named("expired")) else {
            return false;
        };
        let asked: Vec<Ask> = self.pending.drain(..count).collect();
        let (mut kept, mut is_any) = (Vec::new(), false);
        for ask in asked {
            let called = called(&ask.reference);
            let holds = |name: &&str| name.strip_prefix(&called).is_some_and(|rest| rest.starts_with(':'));
            if names.contains(&called.as_str()) {
                self.refuse(ask, is_missing, refusal);
            } else if !is_missing && is_whole(&ask.reference) && names.iter().any(holds) {
                let of_part = |reference| Ask { part: ask.part, reference, why: None };
                kept.extend(self.parts[ask.part].members().into_iter().map(of_part));
                self.there.entry(ask.part).or_default();
            } else {
                kept.push(ask);
                continue;
            }
            is_any = true;
        }
        kept.append(&mut self.pending);
        self.pending = kept;
        is_any
    }

    /// Has what is refused stay as it was. What is not in a vault any longer is no part of all of it.
    fn refuse(&mut self, ask: Ask, is_missing: bool, refusal: &Refusal) {
        let part = &mut self.parts[ask.part];
        let there = self.there.entry(ask.part).or_default();
        if !is_member(part, &ask.reference) {
            there.clone_from(&part.secrets);
        } else if is_missing {
            return;
        } else {
            let name = ask.reference.name.as_ref();
            there.extend(part.secrets.iter().find(|secret| Some(&secret.name) == name).cloned());
        }
        part.refused.push(Refused { reference: ask.reference, why: refusal.to_string() });
    }

    /// Hands over the parts of which nothing is pending.
    fn complete(&mut self) {
        let pending = &self.pending;
        let done = |part: &usize| !pending.iter().any(|ask| ask.part == *part);
        let complete: Vec<usize> = self.there.keys().copied().filter(done).collect();
        for index in complete {
            if let Some(secrets) = self.there.remove(&index) {
                self.is_other |= self.parts[index].take(secrets);
            }
        }
    }

    /// After a failure, what was not read is to be read, and nothing that was is to be read again.
    fn give_back(self) -> bool {
        for Ask { part, reference, why } in self.pending {
            let part = &mut self.parts[part];
            match why {
                Some(why) if !self.is_begun => part.refused.push(Refused { reference, why }),
                _ => part.is_stale = true,
            }
        }
        self.is_other
    }
}

/// Whether a reference is one secret of the whole vault that a part is.
fn is_member(part: &Part, reference: &wire::Reference) -> bool {
    is_whole(&part.reference) && !is_whole(reference)
}
