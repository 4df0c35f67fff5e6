//! The feed of changes of the real binary: many who watch, streams that last, a server that stops or was restored.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::http::connect;
use harness::{
    Client, Process, Reply, Request, Server, field, first_key, make_vault, poll, private_folder, run, text,
};
use person::Person;
use serde_json::json;

const FEED: &str = "/strongroom/changes";

/// A stream of changes over a connection of its own.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(server: &Server, query: &str) -> Self {
        let request = Request::new("GET", &format!("{FEED}{query}")).token(&first_key(&server.data));
        let request = request.header("accept", "text/event-stream");
        let mut stream = connect(server.address()).unwrap();
        stream.write_all(&request.bytes(server.address())).unwrap();
        let mut stream = Self(BufReader::new(stream));
        assert_eq!(stream.line().unwrap(), "HTTP/1.1 200 OK");
        stream
    }

    /// The next line; none at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.0.read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    /// The data of the next change.
    fn change(&mut self) -> serde_json::Value {
        loop {
            let line = self.line().expect("the stream goes on");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

fn metric(client: &mut Client, name: &str) -> u64 {
    let told = String::from_utf8(client.get("/metrics").expect_status(200).body).unwrap();
    let found = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{name} in {told}")).parse().unwrap()
}

/// The time that a process has computed, in seconds (proc_pid_stat(5), fields 14 and 15).
fn computed(process: &Process) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u32 = fields[11..13].iter().map(|field| field.parse::<u32>().unwrap()).sum();
    f64::from(ticks) / 100.0
}

fn cursor(client: &mut Client) -> String {
    field(&client.get(FEED).expect_status(200).json(), "cursor").to_owned()
}

/// All of them are told each change, in order, and each record is read once for all. What it costs is printed.
#[test]
fn a_thousand_who_watch_one_feed() {
    const WATCHERS: usize = 1000;
    const CHANGES: usize = 20;
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    make_vault(&mut client, "before");
    let mut streams: Vec<_> = (0..WATCHERS).map(|_| Stream::open(&server, "")).collect();
    poll("all watch", || (metric(&mut client, "strongroom_feed_watchers") == WATCHERS as u64).then_some(()));
    let read = metric(&mut client, "strongroom_feed_records_total");
    let (start, computed_before) = (Instant::now(), computed(&server.process));
    for number in 0..CHANGES {
        make_vault(&mut client, &format!("v{number}"));
    }
    for stream in &mut streams {
        for number in 0..CHANGES {
            assert_eq!(stream.change()["vault"]["name"], format!("v{number}"));
        }
    }
    let (took, computed) = (start.elapsed(), computed(&server.process) - computed_before);
    let per = |count: usize| computed * 1e6 / count as f64;
    println!(
        "{CHANGES} changes to {WATCHERS} watchers: {took:?}, of which the server computed {computed:.2} s: {:.0} µs for a change, \
         {:.1} µs for a change and watcher",
        per(CHANGES),
        per(CHANGES * WATCHERS),
    );
    assert_eq!(
        metric(&mut client, "strongroom_feed_records_total"),
        read + CHANGES as u64,
        "each is read once"
    );
    assert_eq!(metric(&mut client, "strongroom_feed_changes_total"), (CHANGES * WATCHERS) as u64);
    drop(streams);
    poll("nobody watches", || (metric(&mut client, "strongroom_feed_watchers") == 0).then_some(()));
    let read = metric(&mut client, "strongroom_feed_records_total");
    make_vault(&mut client, "after");
    assert_eq!(metric(&mut client, "strongroom_feed_records_total"), read, "nothing is read for nobody");
    server.stop();
}

/// Half of the connections are for others.
#[test]
fn who_waits_leaves_connections_to_others() {
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--max-connections", "8"]);
    let mut client = server.client();
    let waits = format!("{FEED}?after={}&wait=30s", cursor(&mut client));
    let streams: Vec<_> = (0..4).map(|_| Stream::open(&server, "")).collect();
    let refused = client.get(&waits).expect_status(429).json();
    assert_eq!(refused["error_code"], "ERR_STRONGROOM_1015");
    make_vault(&mut client, "meanwhile");
    drop(streams);
    poll("nobody watches", || (metric(&mut client, "strongroom_feed_watchers") == 0).then_some(()));
    drop(Stream::open(&server, ""));
    server.stop();
}

/// A stream is a request that is under way: the limit of idle connections is none of its.
#[test]
fn a_stream_outlasts_the_limit_of_idle_connections() {
    const LIMIT: Duration = Duration::from_millis(200);
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--header-timeout", "200ms"]);
    let mut stream = Stream::open(&server, "");
    let mut number = 0;
    let start = Instant::now();
    while start.elapsed() < LIMIT * 6 {
        make_vault(&mut server.client(), &format!("v{number}"));
        assert_eq!(stream.change()["vault"]["name"], format!("v{number}"));
        number += 1;
        let quiet = Instant::now();
        poll("a while passes", || (quiet.elapsed() > LIMIT * 2).then_some(()));
    }
    server.stop();
}

/// Neither is the limit one of a request that waits; and whose connection is gone waits no longer.
#[test]
fn a_poll_lasts_as_long_as_it_was_asked_to() {
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--header-timeout", "200ms"]);
    let mut client = server.client();
    let after = cursor(&mut client);
    let start = Instant::now();
    server.client().get(&format!("{FEED}?after={after}&wait=700ms")).expect_status(200);
    assert!(start.elapsed() >= Duration::from_millis(700), "{:?}", start.elapsed());
    let request = Request::new("GET", &format!("{FEED}?after={after}&wait=60s"));
    let mut waiting = connect(server.address()).unwrap();
    waiting.write_all(&request.token(&first_key(data.path())).bytes(server.address())).unwrap();
    poll("it waits", || (metric(&mut server.client(), "strongroom_feed_watchers") == 1).then_some(()));
    drop(waiting);
    poll("it is gone", || (metric(&mut server.client(), "strongroom_feed_watchers") == 0).then_some(()));
    server.stop();
}

#[test]
fn who_waits_does_not_hold_up_a_stop() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    let after = cursor(&mut client);
    let mut stream = Stream::open(&server, "");
    let poll_request =
        Request::new("GET", &format!("{FEED}?after={after}&wait=60s")).token(&first_key(data.path()));
    let mut waiting = connect(server.address()).unwrap();
    waiting.write_all(&poll_request.bytes(server.address())).unwrap();
    poll("both watch", || (metric(&mut client, "strongroom_feed_watchers") == 2).then_some(()));
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(10), "the stop took {:?}", start.elapsed());
    let reply = Reply::read(&mut BufReader::new(waiting), "GET").unwrap().expect_status(200).json();
    assert_eq!(reply, json!({"changes": [], "cursor": after, "more": false}));
    while stream.line().is_some() {}
}

/// What came after a backup is not in the restored log: a cursor of then is of another log, also once that has grown as long.
#[test]
fn a_cursor_from_before_a_restore_is_refused() {
    let folder = private_folder();
    let (data, restored, file) =
        (folder.path().join("data"), folder.path().join("new"), folder.path().join("b.db"));
    let server = Server::start(&data);
    let mut client = server.client();
    make_vault(&mut client, "kept");
    let kept = cursor(&mut client);
    assert!(run(&["backup", text(&file), "--data-dir", text(&data)]).success());
    make_vault(&mut client, "lost");
    let lost = cursor(&mut client);
    server.stop();
    let key = harness::files::root_key(&data).path;
    let args = ["restore", text(&file), "--data-dir", text(&restored), "--root-key-file", text(&key)];
    assert!(run(&args).success());
    let server = Server::start_with(&restored, &["--root-key-file", text(&key)]);
    let mut client = server.client_with(&first_key(&data));
    for grown in [false, true] {
        if grown {
            make_vault(&mut client, "another");
        }
        let refused = client.get(&format!("{FEED}?after={lost}&wait=60s")).expect_status(410).json();
        assert_eq!(refused["error_code"], "ERR_STRONGROOM_1031", "{refused}");
    }
    let page = client.get(&format!("{FEED}?after={kept}")).expect_status(200).json();
    assert_eq!(page["changes"][0]["vault"]["name"], "another", "{page}");
    server.stop();
}

#[test]
fn the_command_lists_and_follows() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut client = server.client();
    make_vault(&mut client, "prod");
    let person = Person::admin(&server);
    let printed = person.does(&["changes"]);
    assert!(printed.ends_with("  vault created     prod\n") && printed.lines().count() == 1, "{printed}");
    let line: serde_json::Value =
        serde_json::from_str(&person.does(&["changes", "--output", "json"])).unwrap();
    let after = field(&line, "cursor").to_owned();
    assert_eq!(person.does(&["changes", "--after", &after]), "");
    person.fails(6, &["changes", "--after", "7"]);
    let error = person.fails(3, &["changes", "--after", "1-0000000000000000", "--follow"]);
    assert!(error.contains("ERR_STRONGROOM_1031"), "{error}");

    let args = ["changes", "--follow", "--after", &after];
    let following = Process::spawn_by(person.command(&[]), &args, &[]);
    for name in ["dev", "staging"] {
        make_vault(&mut client, name);
        poll("it is printed", || {
            following.stdout().ends_with(&format!("created     {name}\n")).then_some(())
        });
    }
    following.terminate();
    following.wait();
    server.stop();
}
