//! Many callers at once: one wins, nobody's change is mixed with another's, and what changes nothing leaves no trace.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::sync::Barrier;
use std::thread;

use harness::http::exchange;
use harness::{
    Client, Reply, Request, Server, assert_chain_holds, audit_events, field, first_key, list_all, make_vault,
    private_folder, secret_in,
};
use serde_json::{Value, json};

const WRITERS: usize = 8;

/// Runs `work` on as many threads as there are writers, all let go at the same moment.
fn all_at_once<T: Send>(server: &Server, work: impl Fn(usize, &mut Client) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(WRITERS);
    let mut clients: Vec<Client> = (0..WRITERS).map(|_| server.client()).collect();
    thread::scope(|scope| {
        let run = |(writer, client)| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(writer, client)
            })
        };
        let threads: Vec<_> = clients.iter_mut().enumerate().map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn make_secret(server: &Server, vault: &Value, name: &str) -> Value {
    server.client().post("/vault_secrets", &secret_in(vault, name, "v")).expect_status(201).json()
}

/// How many events of a type name this object.
fn events_of(events: &[Value], event_type: &str, id: &str) -> usize {
    events.iter().filter(|event| event["event_type"] == event_type && event["object"]["id"] == id).count()
}

#[test]
fn writers_of_one_secret_never_leave_a_mixture() {
    const ROUNDS: usize = 40;
    let data = private_folder();
    let server = Server::start(data.path());
    let vault = make_vault(&mut server.client(), "v");
    let secret = make_secret(&server, &vault, "shared");
    let path = format!("/vault_secrets/{}", field(&secret, "id"));
    let whole = |seen: &Value| {
        let mark = field(seen, "name");
        assert_eq!((field(seen, "description"), field(seen, "metadata")), (mark, mark), "a mixture: {seen}");
    };

    server.client().patch(&path, &json!({"description": "shared", "metadata": "shared"})).expect_status(200);
    all_at_once(&server, |writer, client| {
        for round in 0..ROUNDS {
            let mark = format!("w{writer}-r{round}");
            let body = json!({"name": mark, "description": mark, "metadata": mark, "value": mark});
            let answer = client.patch(&path, &body).expect_status(200).json();
            assert_eq!(field(&answer, "name"), mark, "another's change in my answer: {answer}");
            whole(&answer);
            whole(&client.get(&path).expect_status(200).json());
        }
    });
    let events = audit_events(data.path());
    let changes = events_of(&events, "secret_updated.v0", field(&secret, "id"));
    assert_eq!(changes, WRITERS * ROUNDS + 1, "changes and events differ");
    for event in events.iter().filter(|event| event["event_type"] == "secret_updated.v0") {
        whole(&event["object"]);
    }
    assert_chain_holds(data.path());
    server.stop();
}

#[test]
fn one_of_many_creates_of_a_name_wins() {
    let data = private_folder();
    let server = Server::start(data.path());
    let vault = make_vault(&mut server.client(), "v");
    let collections = [
        ("/vaults", json!({"name": "same"}), "ERR_NGROK_23004"),
        ("/vault_secrets", secret_in(&vault, "same", "v"), "ERR_NGROK_24005"),
        ("/bot_users", json!({"name": "same"}), "ERR_NGROK_4112"),
    ];
    for (target, body, code) in collections {
        let replies = all_at_once(&server, |_, client| client.post(target, &body));
        let won = replies.iter().filter(|reply| reply.status == 201).count();
        assert_eq!(won, 1, "{target}: {:?}", replies.iter().map(|reply| reply.status).collect::<Vec<_>>());
        for lost in replies.iter().filter(|reply| reply.status != 201) {
            assert_eq!((lost.status, &lost.json()["error_code"]), (400, &json!(code)), "{lost}");
        }
    }
    server.stop();
}

/// Fifty at once under one Idempotency-Key: one makes the thing, and all get the one answer.
#[test]
fn one_of_many_repeats_makes_something() {
    const ASKED: usize = 50;
    let data = private_folder();
    let server = Server::start(data.path());
    let vault = make_vault(&mut server.client(), "v");
    let token = first_key(data.path());
    for (target, key, body) in [
        ("/vault_secrets", "secret", secret_in(&vault, "same", "v")),
        ("/api_keys", "key", json!({"description": "same"})),
        ("/vaults", "vault", json!({"name": "same"})),
        ("/service_users", "user", json!({"name": "same"})),
    ] {
        let before = audit_events(data.path()).len();
        let request = Request::new("POST", target).token(&token).json(&body).header("idempotency-key", key);
        let start = Barrier::new(ASKED);
        let replies: Vec<Reply> = thread::scope(|scope| {
            let ask = || {
                start.wait();
                exchange(server.address(), &request)
            };
            let threads: Vec<_> = (0..ASKED).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let first = replies[0].json();
        for reply in &replies {
            assert_eq!((reply.status, reply.json()), (201, first.clone()), "{target}");
        }
        let replayed = replies.iter().filter(|reply| reply.header("idempotent-replayed") == Some("true"));
        assert_eq!(replayed.count(), ASKED - 1, "{target}");
        assert_eq!(audit_events(data.path()).len(), before + 1, "{target}: one event");
    }
    let secrets = list_all(&mut server.client(), "/vault_secrets", "secrets");
    assert_eq!(secrets.len(), 1);
    assert_chain_holds(data.path());
    server.stop();
}

#[test]
fn one_of_many_deletes_wins() {
    let data = private_folder();
    let server = Server::start(data.path());
    let vault = make_vault(&mut server.client(), "v");
    let secret = make_secret(&server, &vault, "s");
    let path = format!("/vault_secrets/{}", field(&secret, "id"));
    let mut statuses = all_at_once(&server, |_, client| client.delete(&path).status);
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [204, 404], "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    assert_eq!(events_of(&audit_events(data.path()), "secret_deleted.v0", field(&secret, "id")), 1);
    server.stop();
}

/// A vault that is being emptied and filled at once is either gone or holds what was acknowledged.
#[test]
fn no_secret_outlives_its_vault() {
    let data = private_folder();
    let server = Server::start(data.path());
    for round in 0..20 {
        let vault = make_vault(&mut server.client(), &format!("v{round}"));
        let path = format!("/vaults/{}", field(&vault, "id"));
        let statuses = all_at_once(&server, |writer, client| match writer {
            0 => client.delete(&path).status,
            _ => client.post("/vault_secrets", &secret_in(&vault, &format!("s{writer}"), "v")).status,
        });
        let (deleted, created) =
            (statuses[0] == 204, statuses[1..].iter().filter(|status| **status == 201).count());
        assert!(
            !deleted || created == 0,
            "round {round}: deleted with {created} secrets in it: {statuses:?}"
        );
        if !deleted {
            let kept = list_all(&mut server.client(), &format!("{path}/secrets"), "secrets");
            assert_eq!(kept.len(), created, "round {round}: {statuses:?}");
        }
    }
    server.stop();
}

#[test]
fn a_change_that_changes_nothing_leaves_no_trace() {
    let data = private_folder();
    let server = Server::start(data.path());
    let vault = make_vault(&mut server.client(), "v");
    let secret = make_secret(&server, &vault, "s");
    let bot = server.client().post("/bot_users", &json!({"name": "robot"})).expect_status(201).json();
    let key = server.client().post("/api_keys", &json!({"description": "d"})).expect_status(201).json();
    // The clock of the wire has whole seconds: only after the next one could a new `updated_at` show.
    thread::sleep(std::time::Duration::from_millis(1100));

    let events = audit_events(data.path()).len();
    let mut client = server.client();
    let cases = [
        ("/vaults", &vault, json!({})),
        ("/vaults", &vault, json!({"id": vault["id"], "name": null, "metadata": null, "description": null})),
        ("/vaults", &vault, json!({"name": "v", "metadata": "", "description": ""})),
        ("/vault_secrets", &secret, json!({})),
        ("/vault_secrets", &secret, json!({"name": "s", "description": "", "metadata": ""})),
        ("/vault_secrets", &secret, json!({"value": null})),
        ("/vault_secrets", &secret, json!({"value": "v"})),
        ("/bot_users", &bot, json!({"name": "robot", "active": true})),
        ("/api_keys", &key, json!({"description": "d", "metadata": null})),
    ];
    for (collection, before, body) in cases {
        let path = format!("{collection}/{}", field(before, "id"));
        let expected = client.get(&path).expect_status(200).json();
        let answer = client.patch(&path, &body).expect_status(200).json();
        assert_eq!(answer, expected, "{path} {body}");
        assert_eq!(client.get(&path).expect_status(200).json(), expected, "{path} {body}");
    }
    assert_eq!(audit_events(data.path()).len(), events, "an event of nothing");

    let path = format!("/vault_secrets/{}", field(&secret, "id"));
    let changed = client.patch(&path, &json!({"value": "w"})).expect_status(200).json();
    assert_ne!(changed["updated_at"], secret["updated_at"], "a new value is a change");
    assert_eq!(audit_events(data.path()).len(), events + 1);
    server.stop();
}
