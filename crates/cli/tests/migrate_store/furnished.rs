//! A store with something of everything in it, and what a server answers of it.

use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use strongroom_domain::store::{RotationStore, Store};
use strongroom_store::sqlite::SqliteStore;
use tempfile::TempDir;

use crate::harness::http::exchange;
use crate::harness::{
    Client, Request, Server, audit_events, field, list_all, make_vault, poll, private_folder, secret_in, text,
};
use crate::person::Person;

pub(crate) struct Furnished {
    pub(crate) data: TempDir,
    /// A key that resolves everything.
    resolver: String,
    /// The body of a create that was answered, and what was made.
    answered: (Value, Value),
    deleted_secret: Value,
    count: u32,
}

const WEBHOOKS: [&str; 2] = ["--webhooks-allow-private", "--webhooks-timeout=1s"];

impl Furnished {
    /// Builds it, with a server that is killed in the end: what it had in memory stands in its log alone.
    pub(crate) fn build() -> Self {
        let data = private_folder();
        pruned(data.path());
        let server = Server::start_with(data.path(), &WEBHOOKS);
        let mut client = server.client();
        let admin = Person::admin(&server);
        let prod = make_vault(&mut client, "prod");
        let secrets = versions(&mut client, &prod);
        let deleted_secret = deleted(&mut client, &prod, &secrets);
        people(&mut client);
        addresses(&mut client);
        webhook(&mut client);
        admin.does(&["key", "rotate", "root", "--yes"]);
        admin.does(&["key", "rotate", "vault", "prod"]);
        admin.does(&["key", "slot", "add", "recovery", "--output", "json"]);
        let answered = answered(&server);
        let resolver = client.post("/api_keys", &json!({"grants": [{"action": "resolve", "vault": "*"}]}));
        let resolver = field(&resolver.expect_status(201).json(), "token").to_owned();
        values(&server, &resolver);
        let large = field(&large(&server), "id").to_owned();
        // Killed at once, it is still under way.
        client.post(&format!("/strongroom/keys/{large}/rotate"), &json!({"kind": "data"})).expect_status(202);
        server.process.kill();
        let found = Self { data, resolver, answered, deleted_secret, count: 0 };
        assert_eq!(found.rotations(), 1, "the rotation has ended");
        found
    }

    fn rotations(&self) -> usize {
        let store = SqliteStore::open_to_read(&self.data.path().join("strongroom.db")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let account = store.account_find().await.unwrap().unwrap().id;
            store.rotation_list(account).await.unwrap().len()
        })
    }

    /// Has a server do a bit of everything with what there was.
    pub(crate) fn goes_on(&mut self, server: &Server, token: &str) {
        let (body, made) = &self.answered;
        let again = Request::new("POST", "/api_keys").token(token).json(body).header("idempotency-key", "k");
        let again = exchange(server.address(), &again).expect_status(201);
        assert!(again.header("idempotent-replayed").is_some(), "{again}");
        assert_eq!(again.json()["token"], made["token"]);
        let mut client = server.client_with(token);
        let deleted = field(&self.deleted_secret, "id");
        client.post(&format!("/strongroom/secrets/{deleted}/undelete"), &json!({})).expect_status(200);
        let found = client.get(&format!("/strongroom/secrets/{deleted}/versions")).expect_status(200).json();
        assert_eq!(found["versions"].as_array().unwrap().len(), 2, "{found}");
        self.count += 1;
        let vault = client.post("/vaults", &json!({"name": format!("later-{}", self.count)}));
        let vault = vault.expect_status(201).json();
        let secret =
            client.post("/vault_secrets", &secret_in(&vault, "new", "new")).expect_status(201).json();
        let path = format!("/vault_secrets/{}", field(&secret, "id"));
        client.patch(&path, &json!({"value": "newer"})).expect_status(200);
        let mut resolver = server.client_with(&self.resolver);
        let given =
            resolver.get(&format!("/strongroom/values?vault=later-{}", self.count)).expect_status(200).json();
        assert_eq!(given["secrets"][0]["value"], "newer");
    }
}

/// A log whose first events are gone.
fn pruned(data: &Path) {
    let server = Server::start(data);
    let mut client = server.client();
    for number in 0..40 {
        make_vault(&mut client, &format!("v{number}"));
    }
    server.stop();
    let last = audit_events(data).pop().unwrap();
    let old = field(&last, "event_timestamp").parse::<Timestamp>().unwrap() + SignedDuration::from_secs(2);
    poll("the events get old", || (now() > old).then_some(()));
    let server = Server::start_with(data, &["--keep-audit-for", "1s"]);
    poll("the log is pruned", || (audit_events(data)[0]["sequence"].as_u64().unwrap() > 1).then_some(()));
    server.stop();
}

#[expect(clippy::disallowed_methods, reason = "a test has no clock of its own")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Secrets with earlier values, ends, descriptions; more than one page of them.
fn versions(client: &mut Client, prod: &Value) -> Vec<Value> {
    let made = |number: usize| {
        let mut body = secret_in(prod, &format!("s{number}"), &format!("value {number}.1"));
        body["description"] = json!(format!("the {number}. \"one\" \u{1f511}"));
        body["metadata"] = json!("{\"owner\": \"ops\"}");
        if number.is_multiple_of(3) {
            body["expires_at"] = json!("2100-01-01T00:00:00Z");
        }
        let secret = client.post("/vault_secrets", &body).expect_status(201).json();
        for version in 2..=number % 4 {
            let path = format!("/vault_secrets/{}", field(&secret, "id"));
            client.patch(&path, &json!({"value": format!("value {number}.{version}")})).expect_status(200);
        }
        secret
    };
    (0..60).map(made).collect()
}

/// A deleted secret of a vault that stays, and a deleted vault with one.
fn deleted(client: &mut Client, prod: &Value, secrets: &[Value]) -> Value {
    client
        .patch(&format!("/strongroom/vaults/{}", field(prod, "id")), &json!({"keep_versions": 5}))
        .expect_status(200);
    client.delete(&format!("/vault_secrets/{}", field(&secrets[2], "id"))).expect_status(204);
    let gone = make_vault(client, "gone");
    let inside = client.post("/vault_secrets", &secret_in(&gone, "inside", "v")).expect_status(201).json();
    client.delete(&format!("/vault_secrets/{}", field(&inside, "id"))).expect_status(204);
    client.delete(&format!("/vaults/{}", field(&gone, "id"))).expect_status(204);
    secrets[2].clone()
}

fn people(client: &mut Client) {
    let bot = client.post("/bot_users", &json!({"name": "robot"})).expect_status(201).json();
    client.post("/bot_users", &json!({"name": "idle", "active": false})).expect_status(201);
    let key = json!({
        "owner_id": bot["id"], "description": "deploys", "expires_at": "2100-01-01T00:00:00Z",
        "grants": [{"action": "read", "vault": "prod"}, {"action": "resolve", "vault": "prod"}],
    });
    client.post("/api_keys", &key).expect_status(201);
}

fn addresses(client: &mut Client) {
    let policy = client.post("/ip_policies", &json!({"description": "office"})).expect_status(201).json();
    for cidr in ["192.0.2.0/24", "2001:db8::/32"] {
        let rule = json!({"cidr": cidr, "ip_policy_id": policy["id"], "action": "allow"});
        client.post("/ip_policy_rules", &rule).expect_status(201);
    }
    let restriction = json!({"type": "api", "ip_policy_ids": [policy["id"]], "enforced": false});
    client.post("/ip_restrictions", &restriction).expect_status(201);
}

/// A webhook that could not be told something, and is left alone from then on.
fn webhook(client: &mut Client) {
    let body = json!({"url": "http://127.0.0.1:9/in", "event_types": ["*"]});
    let webhook = client.post("/strongroom/webhooks", &body).expect_status(201).json();
    make_vault(client, "told");
    let path = format!("/strongroom/webhooks/{}", field(&webhook, "id"));
    poll("it was not told", || {
        let found = client.get(&format!("{path}/deliveries")).expect_status(200).json();
        (!found["deliveries"].as_array().unwrap().is_empty()).then_some(())
    });
    client
        .patch(
            &path,
            &json!({"active": false, "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}),
        )
        .expect_status(200);
}

fn answered(server: &Server) -> (Value, Value) {
    let token = crate::harness::first_key(&server.data);
    let body = json!({"description": "asked twice"});
    let request = Request::new("POST", "/api_keys").token(&token).json(&body).header("idempotency-key", "k");
    let made = exchange(server.address(), &request).expect_status(201).json();
    (body, made)
}

/// A vault whose data keys are not rotated in a moment.
fn large(server: &Server) -> Value {
    let vault = make_vault(&mut server.client(), "large");
    std::thread::scope(|scope| {
        for maker in 0..8 {
            let vault = &vault;
            scope.spawn(move || {
                let mut client = server.client();
                for number in 0..150 {
                    let body = secret_in(vault, &format!("l{maker}-{number}"), &"x".repeat(3000));
                    client.post("/vault_secrets", &body).expect_status(201);
                }
            });
        }
    });
    vault
}

/// All values of a vault, by a key that may have them.
fn values(server: &Server, resolver: &str) -> Value {
    let mut client = server.client_with(resolver);
    client.get("/strongroom/values?vault=prod").expect_status(200).json()
}

impl Furnished {
    fn resolver(&self) -> &str {
        &self.resolver
    }
}

/// What a server lists of everything, once no rotation is under way.
pub(crate) fn answers(furnished: &Furnished, server: &Server, token: &str) -> Value {
    let mut client = server.client_with(token);
    poll("the rotation goes on to its end", || {
        let keys = list_all(&mut client, "/strongroom/keys", "keys");
        keys.iter().all(|key| key["rotation"].is_null()).then_some(())
    });
    let mut lists: Vec<Value> = [
        ("/vaults", "vaults"),
        ("/vault_secrets", "secrets"),
        ("/api_keys", "keys"),
        ("/bot_users", "bot_users"),
        ("/ip_policies", "ip_policies"),
        ("/ip_policy_rules", "ip_policy_rules"),
        ("/ip_restrictions", "ip_restrictions"),
        ("/strongroom/secrets", "secrets"),
        ("/strongroom/webhooks", "webhooks"),
        ("/strongroom/keys", "keys"),
    ]
    .map(|(target, key)| {
        let found = list_all(&mut client, target, key);
        assert!(!found.is_empty(), "there is nothing in {target}");
        json!(found)
    })
    .to_vec();
    let webhook = field(&lists[8][0], "id").to_owned();
    for target in [
        "/strongroom/deleted".to_owned(),
        "/strongroom/key_slots".to_owned(),
        format!("/strongroom/webhooks/{webhook}/deliveries"),
        "/strongroom/changes?after=start&limit=100".to_owned(),
        "/self".to_owned(),
    ] {
        let found = client.get(&target);
        // A log whose start is pruned has no feed from there, which has to stay so.
        lists.push(if found.status == 200 { found.json() } else { json!(found.status) });
    }
    for secret in lists[1].as_array().unwrap().clone().iter().step_by(40) {
        let id = field(secret, "id");
        lists.push(client.get(&format!("/strongroom/secrets/{id}/versions")).expect_status(200).json());
    }
    lists.push(values(server, furnished.resolver()));
    let text = serde_json::to_string(&lists).unwrap().replace(&client.origin(), "");
    serde_json::from_str(&text).unwrap()
}

/// Fails unless all rows of two stores are the same, but for what a file keeps of its own: which times it has moved to their table.
pub(crate) fn assert_same_tables(one: &Path, other: &Path) {
    const DUMP: &str = "import sqlite3, sys
store = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True)
tables = [name for name, in store.execute(\"SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name\")]
for table in tables:
    columns = [row[1] for row in store.execute(f'PRAGMA table_info(\"{table}\")') if row[1] != 'resolved_upto']
    rows = store.execute('SELECT \"' + '\", \"'.join(columns) + f'\" FROM \"{table}\"')
    if table != 'resolved':
        for row in sorted(repr(row) for row in rows): print(table, row)";
    let dump = |path: &Path| {
        let output = Command::new("python3").args(["-c", DUMP, text(path)]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (one, other) = (dump(one), dump(other));
    assert!(one.lines().count() > 1000, "{one}");
    for (before, after) in one.lines().zip(other.lines()) {
        assert_eq!(before, after);
    }
    assert_eq!(one.lines().count(), other.lines().count());
}
