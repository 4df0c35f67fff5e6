//! One writer and its memory: what was acknowledged, and what nobody answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{Asker, Load, Told};
use crate::harness::field;
use crate::harness::rng::Rng;

pub(crate) const CREATED: &str = "secret_created.v0";
pub(crate) const UPDATED: &str = "secret_updated.v0";
pub(crate) const DELETED: &str = "secret_deleted.v0";

/// More secrets than this and a writer deletes rather than creates, so that a list stays a page or two.
const MOST_SECRETS: usize = 20;

/// A change, as the log has it: its type, and the mark that all fields of the secret have with it.
pub(crate) type Change = (&'static str, String);

/// What a writer knows of one secret.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) changes: Vec<Change>,
    /// The last one, if it was not answered: it was done once or not at all. Nothing is changed after it.
    pub(crate) unknown: Option<Change>,
    etag: String,
}

impl Known {
    fn is_there(&self) -> bool {
        self.unknown.is_none() && self.changes.last().is_some_and(|(kind, _)| *kind != DELETED)
    }

    fn mark(&self) -> &str {
        &self.changes.last().unwrap().1
    }
}

/// Changes secrets in a vault of its own, so that its memory is the whole truth about that vault; and counts
/// with the others, in a secret that all change.
pub(crate) struct Writer {
    pub(crate) vault: String,
    vault_id: String,
    pub(crate) secrets: BTreeMap<String, Known>,
    /// Names of secrets whose creation was not answered, each asked for under an Idempotency-Key of the same name.
    pub(crate) unknown_creations: Vec<String>,
    /// What it counted, and what may have counted.
    pub(crate) counted: BTreeSet<String>,
    pub(crate) maybe_counted: BTreeSet<String>,
    /// By way of which nodes it does that.
    nodes: &'static [usize],
    marks: u64,
    rng: Rng,
}

pub(crate) fn body_of(mark: &str) -> Value {
    json!({"name": mark, "description": mark, "metadata": mark, "value": mark})
}

impl Writer {
    pub(crate) fn new(vault: &Value, nodes: &'static [usize], seed: u64) -> Self {
        Self {
            vault: field(vault, "name").to_owned(),
            vault_id: field(vault, "id").to_owned(),
            secrets: BTreeMap::new(),
            unknown_creations: Vec::new(),
            counted: BTreeSet::new(),
            maybe_counted: BTreeSet::new(),
            nodes,
            marks: 0,
            rng: Rng::new(seed),
        }
    }

    pub(crate) fn write(&mut self, load: &Load) {
        let mut askers = [0, 1].map(|node| Asker::new(load, node, &load.token));
        while load.goes_on() {
            let node = self.nodes[self.rng.below(self.nodes.len() as u64) as usize];
            let asker = &mut askers[node];
            if self.change(asker, load) {
                // A core is left for the nodes and the database.
                std::thread::sleep(Duration::from_millis(1));
            } else {
                // Nobody hammers at what is away.
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Makes one change; whether it was answered.
    fn change(&mut self, asker: &mut Asker<'_>, load: &Load) -> bool {
        let there: Vec<&String> =
            self.secrets.iter().filter(|(_, known)| known.is_there()).map(|(id, _)| id).collect();
        let any = there.get(self.rng.below(there.len().max(1) as u64) as usize).map(|id| (*id).clone());
        let (full, chance) = (there.len() >= MOST_SECRETS, self.rng.below(10));
        let mark = format!("{}-{}", self.vault, self.marks);
        self.marks += 1;
        match (any, chance) {
            (_, 0..=1) => self.count(asker, &load.counter, mark),
            (Some(id), 2..=5) => self.update(asker, &id, mark),
            (Some(id), 6) => self.delete(asker, &id),
            (Some(id), _) if full => self.delete(asker, &id),
            _ => self.create(asker, mark),
        }
    }

    fn create(&mut self, asker: &mut Asker<'_>, mark: String) -> bool {
        let Told::Done(reply) = self.ask_to_create(asker, &mark) else {
            self.unknown_creations.push(mark);
            return false;
        };
        let etag = reply.header("etag").expect("an ETag").to_owned();
        let known = Known { changes: vec![(CREATED, mark)], unknown: None, etag };
        self.secrets.insert(field(&reply.json(), "id").to_owned(), known);
        true
    }

    /// Asks for a secret, or for what became of it when it was asked for before.
    pub(crate) fn ask_to_create(&self, asker: &mut Asker<'_>, mark: &str) -> Told {
        let mut body = body_of(mark);
        body["vault_id"] = json!(self.vault_id);
        asker.change(&[("idempotency-key", mark)], "POST", "/vault_secrets", Some(&body), 201)
    }

    fn update(&mut self, asker: &mut Asker<'_>, id: &str, mark: String) -> bool {
        let known = self.secrets.get_mut(id).unwrap();
        let only_if = [("if-match", known.etag.as_str())];
        let headers = if self.rng.below(2) == 0 { &only_if[..] } else { &[] };
        let told =
            asker.change(headers, "PATCH", &format!("/vault_secrets/{id}"), Some(&body_of(&mark)), 200);
        match told {
            Told::Done(reply) => {
                assert_eq!(field(&reply.json(), "metadata"), mark, "another's change in the answer");
                reply.header("etag").expect("an ETag").clone_into(&mut known.etag);
                known.changes.push((UPDATED, mark));
                true
            }
            Told::Nothing => {
                known.unknown = Some((UPDATED, mark));
                false
            }
            Told::Stale => panic!("nobody else changes {id}"),
        }
    }

    fn delete(&mut self, asker: &mut Asker<'_>, id: &str) -> bool {
        let known = self.secrets.get_mut(id).unwrap();
        let change = (DELETED, known.mark().to_owned());
        let told = asker.change(&[], "DELETE", &format!("/vault_secrets/{id}"), None, 204);
        let done = matches!(told, Told::Done(_));
        if done {
            known.changes.push(change);
        } else {
            known.unknown = Some(change);
        }
        done
    }

    /// Adds one to the number in a secret, if nobody else was faster.
    fn count(&mut self, asker: &mut Asker<'_>, counter: &str, mark: String) -> bool {
        let target = format!("/vault_secrets/{counter}");
        let Some(reply) = asker.read(&target) else { return false };
        let number: u64 = field(&reply.json(), "metadata").parse().unwrap();
        let etag = reply.header("etag").expect("an ETag");
        let body = json!({"metadata": (number + 1).to_string(), "description": mark, "value": mark});
        match asker.change(&[("if-match", etag)], "PATCH", &target, Some(&body), 200) {
            Told::Done(_) => self.counted.insert(mark),
            Told::Stale => true,
            Told::Nothing => {
                self.maybe_counted.insert(mark);
                false
            }
        }
    }
}
