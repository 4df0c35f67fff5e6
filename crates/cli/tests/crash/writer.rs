//! One writer and its memory: what the server has acknowledged, and the one request it may not have answered.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::rng::Rng;
use crate::harness::{Client, field};

const CREATED: &str = "secret_created.v0";
const UPDATED: &str = "secret_updated.v0";
const DELETED: &str = "secret_deleted.v0";
const UNDELETED: &str = "secret_undeleted.v0";
const PURGED: &str = "secret_purged.v0";

/// Versions of a secret that the server keeps.
const KEPT: usize = 10;

/// More than this and a writer deletes rather than creates, so that a list stays a page or two.
const MOST_SECRETS: usize = 40;

/// A request on its way. When the server dies, it has either happened as a whole or not at all.
#[derive(Debug)]
enum Pending {
    MakeVault,
    Create { mark: String },
    Update { id: String, mark: String },
    Delete { id: String },
    Undelete { id: String },
    Purge { id: String },
}

impl Pending {
    /// The Idempotency-Key that it is sent under.
    fn key(&self) -> Option<&str> {
        match self {
            Self::Create { mark } => Some(mark),
            _ => None,
        }
    }
}

/// Writes to a vault of its own, so that its memory is the whole truth about that vault.
pub(crate) struct Writer {
    pub(crate) vault_name: String,
    /// The event types each secret must have, in order, deleted ones included.
    pub(crate) history: BTreeMap<String, Vec<&'static str>>,
    pub(crate) acknowledged: u64,
    vault_id: Option<String>,
    /// The mark last written to each secret that exists.
    secrets: BTreeMap<String, String>,
    /// The same of each that is deleted and can be brought back.
    deleted: BTreeMap<String, String>,
    pending: Option<Pending>,
    marks_made: u64,
    rng: Rng,
}

/// All fields of a secret are written with one mark: two marks in one secret are a change half applied.
pub(crate) fn mark_of(secret: &Value) -> String {
    let mark = field(secret, "name");
    assert_eq!(
        (field(secret, "description"), field(secret, "metadata")),
        (mark, mark),
        "half applied: {secret}"
    );
    mark.to_owned()
}

impl Writer {
    pub(crate) fn new(number: u64, seed: u64) -> Self {
        Self {
            vault_name: format!("writer-{number}"),
            history: BTreeMap::new(),
            acknowledged: 0,
            vault_id: None,
            secrets: BTreeMap::new(),
            deleted: BTreeMap::new(),
            pending: None,
            marks_made: 0,
            rng: Rng::new(seed),
        }
    }

    /// Ids and marks of the secrets that exist.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (&str, &String)> {
        self.secrets.iter().map(|(id, mark)| (id.as_str(), mark))
    }

    /// Sends one change after the other. An error means that the server is gone, and with it what was on its way.
    pub(crate) fn write_until_the_server_dies(&mut self, address: &str, token: &str) {
        let mut client = Client::new(address, token);
        loop {
            let pending = self.choose();
            let (method, target, body) = self.request(&pending);
            let key = pending.key().map(str::to_owned);
            self.pending = Some(pending);
            let Ok(reply) = client.try_call_under(key.as_deref(), method, &target, body.as_ref()) else {
                return;
            };
            assert!(matches!(reply.status, 200 | 201 | 204), "{method} {target} {body:?}: {reply}");
            let id = (reply.status == 201).then(|| field(&reply.json(), "id").to_owned());
            let pending = self.pending.take().unwrap();
            self.apply(pending, id);
            self.acknowledged += 1;
        }
    }

    /// After a crash: asks again for the secret that was on its way, under the key that it was asked for before. It is made now,
    /// or it was made then and told again; never is it half made, or made twice.
    pub(crate) fn repeat(&mut self, client: &mut Client) {
        if !matches!(self.pending, Some(Pending::Create { .. })) {
            return;
        }
        let pending = self.pending.take().unwrap();
        let (method, target, body) = self.request(&pending);
        let reply = client.try_call_under(pending.key(), method, &target, body.as_ref()).unwrap();
        let id = field(&reply.expect_status(201).json(), "id").to_owned();
        self.apply(pending, Some(id));
    }

    /// After a crash: everything acknowledged is there, and what was on its way happened as a whole or not at all.
    pub(crate) fn settle(&mut self, vault: Option<&Value>, found: Vec<Value>, deleted: Vec<Value>) {
        let marked = |secrets: Vec<Value>| -> BTreeMap<String, String> {
            secrets.iter().map(|secret| (field(secret, "id").to_owned(), mark_of(secret))).collect()
        };
        let (found, deleted) = (marked(found), marked(deleted));
        if let Some(pending) = self.pending.take()
            && let Some(id) = self.happened(&pending, vault, (&found, &deleted))
        {
            self.apply(pending, Some(id));
        }
        assert_eq!(
            vault.map(|vault| field(vault, "id").to_owned()),
            self.vault_id,
            "{}: its vault",
            self.vault_name
        );
        assert_eq!(found, self.secrets, "{}: what was found, and what was acknowledged", self.vault_name);
        assert_eq!(deleted, self.deleted, "{}: what is deleted, and what was acknowledged", self.vault_name);
    }

    /// The id it happened to, if the unanswered request has happened.
    fn happened(
        &self,
        pending: &Pending,
        vault: Option<&Value>,
        (found, deleted): (&BTreeMap<String, String>, &BTreeMap<String, String>),
    ) -> Option<String> {
        match pending {
            Pending::MakeVault => vault.map(|vault| field(vault, "id").to_owned()),
            Pending::Create { mark } => {
                found.iter().find(|(_, seen)| *seen == mark).map(|(id, _)| id.clone())
            }
            Pending::Update { id, mark } => (found.get(id) == Some(mark)).then(|| id.clone()),
            Pending::Delete { id } => (!found.contains_key(id)).then(|| id.clone()),
            Pending::Undelete { id } => found.contains_key(id).then(|| id.clone()),
            Pending::Purge { id } => (!deleted.contains_key(id)).then(|| id.clone()),
        }
    }

    /// Each value that was written is a version of its own, and the last of them are kept; looked at for a few secrets.
    pub(crate) fn check_versions(&self, client: &mut Client) {
        for id in self.secrets.keys().take(3) {
            let written =
                self.history[id].iter().filter(|change| [CREATED, UPDATED].contains(change)).count();
            let list = client.get(&format!("/strongroom/secrets/{id}/versions")).expect_status(200).json();
            let found =
                list["versions"].as_array().unwrap().iter().map(|version| version["version"].as_u64());
            let expected = (1..=written).rev().take(KEPT).map(|number| Some(number as u64));
            assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "versions of {id}");
        }
    }

    fn choose(&mut self) -> Pending {
        if self.vault_id.is_none() {
            return Pending::MakeVault;
        }
        let mark = format!("{}-{}", self.vault_name, self.marks_made);
        self.marks_made += 1;
        let any = self.rng.below(self.secrets.len().max(1) as u64) as usize;
        let any_deleted = self.rng.below(self.deleted.len().max(1) as u64) as usize;
        let (full, chance) = (self.secrets.len() >= MOST_SECRETS, self.rng.below(14));
        if let Some(id) = self.deleted.keys().nth(any_deleted).cloned() {
            match chance {
                10..=11 if !full => return Pending::Undelete { id },
                12..=13 => return Pending::Purge { id },
                _ if self.deleted.len() >= MOST_SECRETS => return Pending::Purge { id },
                _ => {}
            }
        }
        match (self.secrets.keys().nth(any).cloned(), chance) {
            (Some(id), 0..=4) => Pending::Update { id, mark },
            (Some(id), 5..=6) => Pending::Delete { id },
            (Some(id), _) if full => Pending::Delete { id },
            _ => Pending::Create { mark },
        }
    }

    fn request(&self, pending: &Pending) -> (&'static str, String, Option<Value>) {
        let fields = |mark: &str| json!({"name": mark, "description": mark, "metadata": mark, "value": mark});
        match pending {
            Pending::MakeVault => ("POST", "/vaults".to_owned(), Some(json!({"name": self.vault_name}))),
            Pending::Create { mark } => {
                let mut body = fields(mark);
                body["vault_id"] = json!(self.vault_id);
                ("POST", "/vault_secrets".to_owned(), Some(body))
            }
            Pending::Update { id, mark } => ("PATCH", format!("/vault_secrets/{id}"), Some(fields(mark))),
            Pending::Delete { id } => ("DELETE", format!("/vault_secrets/{id}"), None),
            Pending::Undelete { id } => {
                ("POST", format!("/strongroom/secrets/{id}/undelete"), Some(json!({})))
            }
            Pending::Purge { id } => ("POST", format!("/strongroom/secrets/{id}/purge"), None),
        }
    }

    /// Remembers a change that has happened. `new_id` is the id of what was made.
    fn apply(&mut self, pending: Pending, new_id: Option<String>) {
        let (id, change) = match pending {
            Pending::MakeVault => {
                self.vault_id = new_id;
                return;
            }
            Pending::Create { mark } => {
                let id = new_id.unwrap();
                self.secrets.insert(id.clone(), mark);
                (id, CREATED)
            }
            Pending::Update { id, mark } => {
                self.secrets.insert(id.clone(), mark);
                (id, UPDATED)
            }
            Pending::Delete { id } => {
                let mark = self.secrets.remove(&id).unwrap();
                self.deleted.insert(id.clone(), mark);
                (id, DELETED)
            }
            Pending::Undelete { id } => {
                let mark = self.deleted.remove(&id).unwrap();
                self.secrets.insert(id.clone(), mark);
                (id, UNDELETED)
            }
            Pending::Purge { id } => {
                self.deleted.remove(&id);
                (id, PURGED)
            }
        };
        self.history.entry(id).or_default().push(change);
    }
}
