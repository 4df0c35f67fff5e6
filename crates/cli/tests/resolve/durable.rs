//! No value leaves before its event is on disk: not when the server is killed, and not when the disk is full.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::harness::process::BINARY;
use crate::harness::rng::Rng;
use crate::harness::{
    Client, Process, Reply, Request, Server, assert_chain_holds, audit_events, field, http, make_vault,
    private_folder, run, secret_in, text,
};
use crate::{resolve, resolved_events, resolver};

const ROUNDS: usize = 50;
const LOADERS: usize = 4;

fn read(token: &str, name: &str, user_agent: &str) -> Request {
    let target = format!("/strongroom/values?vault=prod&name={name}");
    Request::new("GET", &target).token(token).header("user-agent", user_agent)
}

/// How often each client was given a value, by the name that it gave itself.
type Given = BTreeMap<String, usize>;

/// Resolves until the server is gone; the names of the clients that were given a value.
fn load(address: &str, token: &str, mark: &str, goes: &AtomicUsize) -> Vec<String> {
    let mut given = Vec::new();
    let Ok(mut stream) = http::connect(address).map(std::io::BufReader::new) else { return given };
    for number in 0.. {
        let user_agent = format!("{mark}-{number}");
        let request = read(token, "loaded", &user_agent).bytes(address);
        let sent = std::io::Write::write_all(stream.get_mut(), &request);
        let Ok(reply) = sent.and_then(|()| Reply::read(&mut stream, "GET")) else { return given };
        assert_eq!(reply.status, 200, "{reply}");
        given.push(user_agent);
        goes.fetch_add(1, Ordering::Relaxed);
    }
    given
}

#[test]
fn kill_right_after_the_answer() {
    let seed = Rng::fresh_seed();
    eprintln!("seed {seed}");
    let mut rng = Rng::new(seed);
    let data = private_folder();
    let server = Server::start(data.path());
    let mut admin = server.client();
    let vault = make_vault(&mut admin, "prod");
    let mut make = |name: &str| {
        let body = secret_in(&vault, name, &format!("the value of {name}"));
        field(&admin.post("/vault_secrets", &body).expect_status(201).json(), "id").to_owned()
    };
    let (watched, _) = (make("watched"), make("loaded"));
    let token = resolver(&mut admin, "prod");
    server.stop();

    let mut given = Given::new();
    for round in 0..ROUNDS {
        let server = Server::start(data.path());
        let (address, goes) = (server.address().to_owned(), AtomicUsize::new(0));
        let answered = format!("watched-{round}");
        thread::scope(|scope| {
            let loaders: Vec<_> = (0..LOADERS)
                .map(|loader| {
                    let (address, token, goes) = (&address, &token, &goes);
                    scope.spawn(move || load(address, token, &format!("round-{round}-{loader}"), goes))
                })
                .collect();
            while goes.load(Ordering::Relaxed) < LOADERS {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_micros(rng.below(20_000)));
            let reply = http::exchange(&address, &read(&token, "watched", &answered));
            server.process.kill();
            assert_eq!(reply.expect_status(200).json()["secrets"][0]["value"], "the value of watched");
            for loader in loaders {
                given.extend(loader.join().unwrap().into_iter().map(|mark| (mark, 1)));
            }
        });
        given.insert(answered.clone(), 1);
        let told = last_resolved(data.path(), &watched);
        assert_chain_holds(data.path());
        // The whole list takes its time as it grows; at the end it is looked at for all rounds.
        if round % 10 == 0 || round + 1 == ROUNDS {
            let events = resolved_events(data.path());
            let last = events.iter().rfind(|event| event["object"]["id"] == json!(watched)).unwrap();
            assert_eq!(last["client"]["user_agent"], json!(answered), "round {round}");
            assert_eq!(told["last_resolved_at"], last["event_timestamp"], "round {round}");
            assert_eq!(
                told["last_resolved_by"]["id"], last["principal"]["credential"]["id"],
                "round {round}"
            );
            assert_each_once(&events, &given);
        }
    }
    eprintln!("{ROUNDS} kills, {} values given", given.len());
    assert!(given.len() > 4 * ROUNDS, "the load was too small to prove anything");
}

/// What the server tells after a start of its last use.
fn last_resolved(data: &std::path::Path, id: &str) -> Value {
    let server = Server::start(data);
    let told = server.client().get(&format!("/strongroom/secrets/{id}")).expect_status(200).json();
    server.process.kill();
    told
}

/// Each value that was given has one event, and no event stands for more than what was on its way when the server died.
fn assert_each_once(events: &[Value], given: &Given) {
    let mut logged = Given::new();
    for event in events {
        *logged.entry(field(&event["client"], "user_agent").to_owned()).or_default() += 1;
    }
    let lost: Vec<_> = given.keys().filter(|mark| !logged.contains_key(*mark)).collect();
    assert!(lost.is_empty(), "values without an event: {lost:?}");
    let twice: Vec<_> = logged.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let unanswered = logged.len() - given.len();
    assert!(unanswered <= ROUNDS * LOADERS, "{unanswered} events of values that nobody was given");
}

/// Files may not grow: what is given out could not be written down, so nothing is.
#[test]
fn nothing_is_given_when_the_disk_is_full() {
    const AT_ONCE: Duration = Duration::from_secs(10);
    let folder = private_folder();
    // A file that may not grow is told by a signal too, which ends a process that does not expect it.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", BINARY]);
    let args = ["serve", "--data-dir", text(folder.path()), "--listen", "127.0.0.1:0"];
    let server = Server::wait_until_ready(folder.path(), Process::spawn_by(shell, &args, &[]));
    let mut admin = server.client();
    let vault = make_vault(&mut admin, "prod");
    admin.post("/vault_secrets", &secret_in(&vault, "a", "not to be had")).expect_status(201);
    let token = resolver(&mut admin, "prod");
    let mut client: Client = server.client_with(&token);
    let reference = json!([{"vault": "prod", "name": "a"}]);
    let first = http::exchange(server.address(), &read(&token, "a", "first")).expect_status(200);
    let tag = first.header("etag").unwrap().to_owned();

    limit(&server, Some(16));
    for _ in 0..20 {
        let begun = Instant::now();
        let refused = resolve(&mut client, &reference);
        assert!(begun.elapsed() < AT_ONCE, "an answer after {:?}", begun.elapsed());
        assert!(!String::from_utf8_lossy(&refused.wire).contains("not to be had"), "{refused}");
        assert_eq!(refused.expect_status(503).json()["error_code"], "ERR_NGROK_1501");
    }
    admin.get("/vault_secrets").expect_status(200);
    let known = http::exchange(server.address(), &read(&token, "a", "x").header("if-none-match", &tag));
    assert_eq!(known.status, 304, "what takes no event goes on: {known}");

    limit(&server, None);
    let begun = Instant::now();
    while resolve(&mut client, &reference).status != 200 {
        assert!(begun.elapsed() < AT_ONCE, "still refused, with room");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(resolved_events(folder.path()).len(), 2, "one for each time that the value was given");
    assert_chain_holds(folder.path());
    server.stop();
    assert!(run(&["audit", "verify", "--data-dir", text(folder.path())]).success());
    assert_eq!(audit_events(folder.path()).last().unwrap()["event_type"], "secret_resolved.v0");
}

/// Limits how large a file the server may make.
fn limit(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.process.id()).unwrap()).unwrap();
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}
