//! Vaults full of known values, and those who read and write them while keys are rotated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_domain::page::{Page, PageLimit, Query};

use crate::harness::{Client, Server, database, field, make_vault};

/// Versions that each secret has.
const VERSIONS: usize = 3;

/// What is in some vaults: the values of each secret, newest last.
pub(crate) struct Values {
    vaults: Vec<String>,
    secrets: BTreeMap<(usize, String), Vec<String>>,
    token: String,
    /// Changes that were sent and not answered: made or not.
    pending: Vec<((usize, String), String)>,
    marks: u64,
}

pub(crate) fn key_of(client: &mut Client, vault: &str) -> Value {
    client.get(&format!("/strongroom/keys/{vault}")).expect_status(200).json()
}

/// Begins a rotation, unless one is under way.
pub(crate) fn start_rotation(client: &mut Client, vault: &str, kind: &str) {
    let reply = client.post(&format!("/strongroom/keys/{vault}/rotate"), &json!({"kind": kind}));
    assert!(matches!(reply.status, 202 | 409), "{reply}");
}

impl Values {
    pub(crate) fn make(client: &mut Client, vaults: usize, secrets: usize) -> Self {
        let mut made = Self {
            vaults: Vec::new(),
            secrets: BTreeMap::new(),
            token: String::new(),
            pending: Vec::new(),
            marks: 0,
        };
        for vault in 0..vaults {
            let name = format!("v{vault}");
            made.vaults.push(field(&make_vault(client, &name), "id").to_owned());
            for number in 0..secrets {
                let (secret, mut values) = (format!("s{number}"), Vec::new());
                for version in 1..=VERSIONS {
                    let value = format!("{name}:{secret}@{version} {}", "x".repeat(number * 37 % 700));
                    if version == 1 {
                        let body = json!({"vault_name": name, "name": secret, "value": value});
                        client.post("/vault_secrets", &body).expect_status(201);
                    } else {
                        made.change(client, vault, &secret, &value).expect("the server is there");
                    }
                    values.push(value);
                }
                made.secrets.insert((vault, secret), values);
            }
        }
        let grants = json!([{"action": "resolve", "vault": "*"}]);
        let key = client.post("/api_keys", &json!({"grants": grants})).expect_status(201).json();
        field(&key, "token").clone_into(&mut made.token);
        made
    }

    pub(crate) fn vault(&self, at: usize) -> &str {
        &self.vaults[at]
    }

    /// The ids of the vaults' keys.
    pub(crate) fn keys(&self, client: &mut Client) -> Vec<Value> {
        self.vaults.iter().map(|vault| key_of(client, vault)["id"].clone()).collect()
    }

    fn change(&self, client: &mut Client, vault: usize, secret: &str, value: &str) -> std::io::Result<()> {
        let filter = format!("/vaults/{}/secrets?filter=obj.name%20==%20%22{secret}%22", self.vaults[vault]);
        let found = client.try_call("GET", &filter, None)?.expect_status(200).json();
        let path = format!("/vault_secrets/{}", field(&found["secrets"][0], "id"));
        let reply = client.try_call("PATCH", &path, Some(&json!({"value": value})))?;
        assert_eq!(reply.status, 200, "{reply}");
        Ok(())
    }

    fn read(
        &self,
        client: &mut Client,
        (vault, secret): &(usize, String),
        version: usize,
    ) -> std::io::Result<Value> {
        let target = format!("/strongroom/values?vault=v{vault}&name={secret}&version={version}");
        let reply = client.try_call("GET", &target, None)?;
        assert_eq!(reply.status, 200, "{reply}");
        Ok(reply.json()["secrets"][0]["value"].clone())
    }

    /// Every value, the earlier ones too, is what was written.
    pub(crate) fn assert_all_resolve(&self, server: &Server) {
        let mut client = server.client_with(&self.token);
        for (name, values) in &self.secrets {
            // No more than these are kept.
            let oldest = values.len().saturating_sub(10);
            for (at, value) in values.iter().enumerate().skip(oldest) {
                assert_eq!(
                    self.read(&mut client, name, at + 1).unwrap(),
                    json!(value),
                    "{name:?} {}",
                    at + 1
                );
            }
        }
    }

    /// Has values read and changed until the server is gone.
    pub(crate) fn while_read_and_written(&mut self, server: &Server, kill: impl FnOnce()) {
        self.settle(&mut server.client());
        let (names, marks): (Vec<_>, _) = (self.secrets.keys().cloned().collect(), self.marks);
        let written = Mutex::new(Vec::new());
        let pending = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let this = &*self;
            let names = &names;
            // What nobody writes is read: each value must be the known one.
            for reader in 0..2 {
                let mut client = server.client_with(&self.token);
                scope.spawn(move || {
                    for name in names.iter().skip(reader).step_by(3).cycle() {
                        let values = &this.secrets[name];
                        let version = values.len().saturating_sub(reader).max(1);
                        let Ok(value) = this.read(&mut client, name, version) else { return };
                        assert_eq!(value, json!(values[version - 1]), "{name:?}");
                    }
                });
            }
            let (written, pending) = (&written, &pending);
            let mut client = server.client();
            scope.spawn(move || {
                for (at, name) in names.iter().skip(2).step_by(3).cycle().enumerate() {
                    let value = format!("changed {} {name:?}", marks + at as u64);
                    if this.change(&mut client, name.0, &name.1, &value).is_err() {
                        pending.lock().unwrap().push((name.clone(), value));
                        return;
                    }
                    written.lock().unwrap().push((name.clone(), value));
                }
            });
            kill();
        });
        let written = written.into_inner().unwrap();
        self.marks += written.len() as u64 + 1;
        for (name, value) in written {
            self.secrets.get_mut(&name).unwrap().push(value);
        }
        self.pending = pending.into_inner().unwrap();
    }

    /// Finds out about what was sent and not answered.
    pub(crate) fn settle(&mut self, client: &mut Client) {
        for ((vault, secret), value) in std::mem::take(&mut self.pending) {
            let filter =
                format!("/vaults/{}/secrets?filter=obj.name%20==%20%22{secret}%22", self.vaults[vault]);
            let found = client.get(&filter).expect_status(200).json();
            let id = field(&found["secrets"][0], "id").to_owned();
            let detail = client.get(&format!("/strongroom/secrets/{id}")).expect_status(200).json();
            let values = self.secrets.get_mut(&(vault, secret)).unwrap();
            let version = detail["version"].as_u64().unwrap() as usize;
            assert!(version == values.len() || version == values.len() + 1, "{detail}");
            if version > values.len() {
                values.push(value);
            }
        }
    }
}

/// The root key as it is sealed to each slot.
pub(crate) fn sealed_root_keys(data: &Path) -> Vec<Vec<u8>> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = database::open_to_read(data).await;
        let account = store.account_find().await.unwrap().unwrap().id;
        let slots = store.key_slot_list(account).await.unwrap();
        slots.into_iter().map(|slot| slot.sealed.message).collect()
    })
}

/// In the store itself: no vault has a second key, no rotation is left, and the versions of a vault are all under one key.
pub(crate) fn assert_no_old_key(data: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = database::open_to_read(data).await;
        let account = store.account_find().await.unwrap().unwrap().id;
        assert_eq!(store.rotation_list(account).await.unwrap(), []);
        let mut before = None;
        loop {
            let query = Query { page: Page { before, limit: PageLimit::MAX }, filter: None, scope: None };
            let page = store.vault_list(account, query.clone()).await.unwrap();
            for vault in &page.items {
                assert_eq!(vault.previous_key, None);
                let query = Query { page: Page { before: None, limit: PageLimit::MAX }, ..query.clone() };
                let mut keys = BTreeSet::new();
                for secret in &store.secret_list(account, Some(vault.id), query).await.unwrap().items {
                    for kept in store.version_kept(account, secret.id).await.unwrap() {
                        let version =
                            store.version_find(account, secret.id, kept.number).await.unwrap().unwrap();
                        keys.insert(version.sealed.wrapped_key.wrapped_by().unwrap().to_string());
                    }
                }
                assert_eq!(keys.len(), 1, "one key for all versions of {}", vault.name);
            }
            before = page.items.last().map(|vault| vault.id.ksuid());
            if !page.more {
                return;
            }
        }
    });
}

/// The 99th percentile of how long a read of metadata takes while something is done.
pub(crate) fn p99(address: &str, token: &str, work: impl FnOnce()) -> Duration {
    let done = AtomicBool::new(false);
    let times = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let (done_too, times) = (&done, &times);
        scope.spawn(move || {
            let mut client = Client::new(address, token);
            let page = client.get("/vault_secrets?limit=1").expect_status(200).json();
            let path = format!("/vault_secrets/{}", field(&page["secrets"][0], "id"));
            // Once in any case: the work may be done before the page was read.
            loop {
                let begun = Instant::now();
                client.get(&path).expect_status(200);
                times.lock().unwrap().push(begun.elapsed());
                if done_too.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        work();
        done.store(true, Ordering::Relaxed);
    });
    let mut times = times.into_inner().unwrap();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}
