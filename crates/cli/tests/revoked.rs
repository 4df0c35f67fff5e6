//! A key that is narrowed, ended, expired or whose owner is put to sleep stops working at once, on connections that are open
//! and in use: with HTTP/1.1 and with HTTP/2, while values are resolved over all of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod harness;
#[path = "revoked/http2.rs"]
mod http2;

use std::io::{BufReader, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Client, Reply, Request, Server, field, make_vault, private_folder, secret_in};
use http2::Http2;
use serde_json::{Value, json};

const CONNECTIONS: usize = 3;
const TARGET: &str = "/strongroom/values?vault=prod&name=tls-key";
const SECRET: &str = "a value that is not to be had any more";

/// The longest that a key may work after the answer that ended it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// One resolve: when it was sent, and whether the value came.
type Sent = (Instant, bool);

/// Either way of asking over one connection that stays open.
enum Connection {
    Http1(Client),
    Http2(Http2),
}

impl Connection {
    /// Whether the value came; what else comes is a refusal without it.
    fn resolve(&mut self) -> bool {
        let (status, body) = match self {
            Self::Http1(client) => {
                let reply = client.get(TARGET);
                assert_ne!(reply.header("connection"), Some("close"), "the connection is to stay open");
                (reply.status, reply.body)
            }
            Self::Http2(connection) => connection.get(TARGET),
        };
        let body = String::from_utf8(body).unwrap();
        match status {
            200 => assert!(body.contains(SECRET), "{body}"),
            403 | 404 => assert!(!body.contains(SECRET), "{body}"),
            other => panic!("{other}: {body}"),
        }
        status == 200
    }
}

/// What is there before a key is ended.
struct World {
    server: Server,
    admin: Client,
    robot: Value,
}

impl World {
    fn start(data: &std::path::Path) -> Self {
        let server = Server::start(data);
        let mut admin = server.client();
        let vault = make_vault(&mut admin, "prod");
        admin.post("/vault_secrets", &secret_in(&vault, "tls-key", SECRET)).expect_status(201);
        let robot = admin.post("/bot_users", &json!({"name": "robot"})).expect_status(201).json();
        Self { server, admin, robot }
    }

    fn make_key(&mut self, more: Value) -> Value {
        let mut body =
            json!({"owner_id": self.robot["id"], "grants": [{"action": "resolve", "vault": "prod"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.admin.post("/api_keys", &body).expect_status(201).json()
    }

    fn connections(&self, token: &str) -> Vec<Connection> {
        let address = self.server.address();
        let pair = |_| {
            [Connection::Http1(Client::new(address, token)), Connection::Http2(Http2::new(address, token))]
        };
        (0..CONNECTIONS).flat_map(pair).collect()
    }

    /// Resolves in a loop over every connection, ends the key, and goes on until each was refused: how long the key worked
    /// after the answer to `end`.
    fn end(&mut self, token: &str, end: impl FnOnce(&mut Client)) -> Duration {
        let connections = self.connections(token);
        let (over, admin) = (AtomicBool::new(false), &mut self.admin);
        let (ended, sent) = thread::scope(|scope| {
            let loops: Vec<_> = connections
                .into_iter()
                .map(|connection| scope.spawn(|| resolve_until(connection, &over)))
                .collect();
            // All of them have gone through a few times.
            thread::sleep(Duration::from_millis(150));
            end(admin);
            let ended = Instant::now();
            thread::sleep(AT_ONCE + Duration::from_millis(200));
            over.store(true, Ordering::Relaxed);
            (ended, loops.into_iter().map(|running| running.join().unwrap()).collect::<Vec<_>>())
        });
        for sent in &sent {
            assert!(sent.iter().any(|(at, came)| *came && *at < ended), "it never worked");
            assert!(sent.last().is_some_and(|(_, came)| !came), "it works still");
        }
        let came = sent.iter().flatten().filter(|(_, came)| *came).map(|(at, _)| *at);
        came.max().unwrap().saturating_duration_since(ended)
    }
}

fn resolve_until(mut connection: Connection, over: &AtomicBool) -> Vec<Sent> {
    let mut sent = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let at = Instant::now();
        sent.push((at, connection.resolve()));
    }
    sent
}

#[test]
fn a_key_that_is_ended_works_no_more() {
    let data = private_folder();
    let mut world = World::start(data.path());
    let robot = format!("/bot_users/{}", field(&world.robot, "id"));
    let other = json!({"grants": [{"action": "resolve", "vault": "dev"}]});
    let read = json!({"grants": [{"action": "read", "vault": "*"}]});
    type End<'a> = Box<dyn FnOnce(&mut Client, &str) + 'a>;
    let ways: [(&str, End<'_>); 4] = [
        (
            "other grants",
            Box::new(|admin, key| {
                admin.patch(key, &other).expect_status(200);
            }),
        ),
        (
            "lesser grants",
            Box::new(|admin, key| {
                admin.patch(key, &read).expect_status(200);
            }),
        ),
        (
            "deletion",
            Box::new(|admin, key| {
                admin.delete(key).expect_status(204);
            }),
        ),
        (
            "an owner asleep",
            Box::new(|admin, _| {
                admin.patch(&robot, &json!({"active": false})).expect_status(200);
            }),
        ),
    ];
    for (way, end) in ways {
        let key = world.make_key(json!({}));
        let path = format!("/api_keys/{}", field(&key, "id"));
        let longest = world.end(field(&key, "token"), |admin| end(admin, &path));
        eprintln!("{way}: the key worked for {longest:?} after the answer");
        // What was sent after the answer finds the key changed: there is no window at all.
        assert_eq!(longest, Duration::ZERO, "{way}");
    }
    world.server.stop();
}

#[expect(clippy::disallowed_methods, reason = "the server under test has the machine's clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// An owner who is deleted takes the keys along.
#[test]
fn a_key_whose_owner_is_deleted_works_no_more() {
    let data = private_folder();
    let mut world = World::start(data.path());
    let robot = format!("/service_users/{}", field(&world.robot, "id").replace("bot_", "service_"));
    let key = world.make_key(json!({}));
    let longest = world.end(field(&key, "token"), |admin| {
        admin.delete(&robot).expect_status(204);
    });
    assert_eq!(longest, Duration::ZERO);
    world.server.stop();
}

/// A key's time is told in whole seconds, and it is over when that second begins.
#[test]
fn a_key_that_expires_works_no_more() {
    let data = private_folder();
    let mut world = World::start(data.path());
    let end = now().as_second() + 2;
    let expires_at = jiff::Timestamp::from_second(end).unwrap();
    let key = world.make_key(json!({"expires_at": expires_at.to_string()}));
    let longest = world.end(field(&key, "token"), |_| {
        let left = expires_at.duration_since(now());
        thread::sleep(left.unsigned_abs());
    });
    eprintln!("expiry: the key worked for {longest:?} after its time");
    assert!(longest < Duration::from_millis(50), "{longest:?} after its time");
    world.server.stop();
}

/// A request that has begun is no way round: its body may come long after its head.
#[test]
fn a_key_that_ends_while_a_body_is_on_its_way_opens_nothing() {
    let data = private_folder();
    let mut world = World::start(data.path());
    let resolve = json!({"secrets": [{"vault": "prod", "name": "tls-key"}]}).to_string();
    let mint = json!({"grants": [{"action": "manage", "vault": "*"}]}).to_string();
    for (path, body, grants) in
        [("/strongroom/resolve", resolve, Value::Null), ("/api_keys", mint, json!([{"action": "admin"}]))]
    {
        let mut key = json!({"owner_id": null});
        if !grants.is_null() {
            key["grants"] = grants;
        }
        let key = match path {
            "/api_keys" => world.admin.post("/api_keys", &key).expect_status(201).json(),
            _ => world.make_key(json!({})),
        };
        let address = world.server.address().to_owned();
        let request = Request::new("POST", path).token(field(&key, "token")).body(body.as_bytes());
        let bytes = request.bytes(&address);
        let (head, body) = bytes.split_at(bytes.len() - body.len());
        let mut stream = harness::http::connect(&address).unwrap();
        stream.write_all(head).unwrap();
        // Time for the server to read the head and to look at the key; too little would only make the test weaker.
        thread::sleep(Duration::from_millis(200));
        world.admin.delete(&format!("/api_keys/{}", field(&key, "id"))).expect_status(204);
        stream.write_all(body).unwrap();
        let reply = Reply::read(&mut BufReader::new(stream), "POST").unwrap();
        assert_eq!(reply.status, 403, "{path}: {reply}");
        assert!(!String::from_utf8_lossy(&reply.wire).contains(SECRET));
    }
    let events = harness::audit_events(&world.server.data);
    assert!(events.iter().all(|event| event["event_type"] != "secret_resolved.v0"));
    world.server.stop();
}
