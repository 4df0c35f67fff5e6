//! `render --watch` and `run --watch` when something does not work: what else is followed goes on, and nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
mod prod;
mod watching;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{Process, field, files, poll, text};
use jiff::{SignedDuration, Timestamp};
use person::Person;
use prod::Prod;
use rustix::process::Signal;
use serde_json::json;
use strongroom_domain::clock::{Clock, SystemClock};
use watching::{PROGRAM, change, id_of, prints, program, resolved, set, while_away};

/// A server that tells a place in the feed, and is gone with the next request.
fn tell_place_and_leave(listener: &TcpListener, cursor: &str) {
    let request = |stream: &mut TcpStream| {
        let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
        while !read.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = stream.read(&mut chunk).unwrap();
            assert!(count > 0, "a request ends");
            read.extend_from_slice(&chunk[..count]);
        }
        String::from_utf8(read).unwrap()
    };
    // A client that does not come is told, rather than waited for.
    listener.set_nonblocking(true).unwrap();
    let accept = || {
        let (stream, _) = poll("somebody asks", || listener.accept().ok());
        stream.set_nonblocking(false).unwrap();
        stream
    };
    let mut stream = accept();
    assert!(request(&mut stream).starts_with("GET /strongroom/changes"));
    let body = json!({"changes": [], "cursor": cursor, "more": false}).to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    drop(stream);
    let mut stream = accept();
    assert!(request(&mut stream).starts_with("POST /strongroom/resolve"));
}

fn with_cache(prod: &mut Prod) {
    let cache = prod.path("cache");
    prod.reader = std::mem::replace(&mut prod.reader, Person::stranger()).set("XDG_CACHE_HOME", text(&cache));
}

#[test]
fn a_cached_value_is_read_anew_though_the_place_is_known() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    let address = prod.server.address().to_owned();
    with_cache(&mut prod);
    assert_eq!(prod.run(&["--vault", "prod", "--offline", "--", "true"]).code, 0);
    set(&mut prod, "db-password", "second");
    // The place is behind that change: nothing of it is told from there on.
    let page = prod.client.get("/strongroom/changes").expect_status(200).json();
    prod.server.pause();
    let listener = TcpListener::bind(&address).unwrap();
    let process = program(&prod, "", &["--offline"]);
    tell_place_and_leave(&listener, field(&page, "cursor"));
    prints(&process, "started first");
    drop(listener);
    prod.server.resume_at(&address);
    prod.client = prod.server.client();
    prints(&process, "started second");
    process.terminate();
    process.wait();
    prod.server.stop();
}

#[test]
fn what_a_refused_key_was_given_leaves_the_cache() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    with_cache(&mut prod);
    let process = program(&prod, "", &["--offline"]);
    prints(&process, "started first");
    assert_eq!(files::contents(&prod.path("cache")).len(), 1);
    let keys = harness::list_all(&mut prod.client, "/api_keys", "keys");
    let key = keys.iter().find(|key| key["grants"].is_array()).unwrap();
    prod.client.delete(&format!("/api_keys/{}", field(key, "id"))).expect_status(204);
    poll("the cache is empty", || files::contents(&prod.path("cache")).is_empty().then_some(()));
    process.terminate();
    process.wait();
    prod.server.stop();
}

/// A file of the secrets `a` and `b`, that is kept up.
fn render_two(prod: &Prod) -> Process {
    let (template, file) = (prod.path("two.tmpl"), prod.path("two"));
    fs::write(&template, "${secrets.get('prod', 'a')} ${secrets.get('prod', 'b')}").unwrap();
    let args = ["render", text(&template), "-o", text(&file), "--watch"];
    let process = Process::spawn_by(prod.reader.command(&[]), &args, &[]);
    holds(prod, &process, "a1 b1");
    process
}

#[track_caller]
fn holds(prod: &Prod, process: &Process, expected: &str) {
    poll(&format!("the file holds {expected}, {}", process.stderr()), || {
        fs::read_to_string(prod.path("two")).is_ok_and(|text| text == expected).then_some(())
    });
}

#[test]
fn a_secret_that_is_gone_holds_up_no_other() {
    let mut prod = Prod::with(&[("a", "a1"), ("b", "b1")]);
    let process = render_two(&prod);
    let id = id_of(&mut prod, "a");
    prod.client.delete(&format!("/vault_secrets/{id}")).expect_status(204);
    poll("it is told", || process.stderr().contains("prod:a").then_some(()));
    for value in ["b2", "b3"] {
        set(&mut prod, "b", value);
        holds(&prod, &process, &format!("a1 {value}"));
    }
    assert_eq!(process.stderr().matches("warning: ").count(), 1, "{}", process.stderr());
    assert_eq!(
        resolved(&prod.server.data),
        4,
        "each value is read when it may be another one, and only then"
    );
    prod.client.post(&format!("/strongroom/secrets/{id}/undelete"), &json!({})).expect_status(200);
    poll("it is there again", || process.stderr().contains("followed again").then_some(()));
    set(&mut prod, "a", "a2");
    holds(&prod, &process, "a2 b3");
    prod.server.stop();
}

/// Has the secret `a` end in a few seconds.
fn end_soon(prod: &mut Prod) {
    let at = SystemClock.now().checked_add(SignedDuration::from_secs(4)).unwrap();
    let at = Timestamp::from_second(at.as_second()).unwrap().to_string();
    change(prod, "a", json!({"expires_at": at}));
}

fn wait_for_end(prod: &Prod) {
    poll("it ends", || (prod.reader.run(&["secret", "get", "prod:a"]).code != 0).then_some(()));
}

#[test]
fn a_secret_past_its_end_holds_up_no_other() {
    let mut prod = Prod::with(&[("a", "a1"), ("b", "b1")]);
    end_soon(&mut prod);
    let file = render_two(&prod);
    // Of all in the vault the same is true.
    let script =
        format!("cd {}; echo \"started $A $B\"; while [ -e two ]; do sleep 0.02; done", text(&prod.path("")));
    let program = prod.spawn(&["--vault", "prod", "--watch", "--", "sh", "-c", &script]);
    prints(&program, "started a1 b1");
    wait_for_end(&prod);
    set(&mut prod, "b", "b2");
    holds(&prod, &file, "a1 b2");
    prints(&program, "started a1 b2");
    poll("it is told", || program.stderr().contains("have expired: prod:a").then_some(()));
    set(&mut prod, "b", "b3");
    prints(&program, "started a1 b3");
    change(&mut prod, "a", json!({"value": "a2", "expires_at": ""}));
    holds(&prod, &file, "a2 b3");
    prints(&program, "started a2 b3");
    assert_eq!(program.stderr().matches("warning: ").count(), 1, "{}", program.stderr());
    program.terminate();
    program.wait();
    prod.server.stop();
}

#[test]
fn a_named_variable_whose_secret_is_gone_holds_up_no_other() {
    let mut prod = Prod::with(&[("db-password", "first"), ("other", "x")]);
    let process = program(&prod, "echo \"other $OTHER\";", &["--only", "DB_PASSWORD,OTHER"]);
    prints(&process, "started first");
    let other = id_of(&mut prod, "other");
    prod.client.delete(&format!("/vault_secrets/{other}")).expect_status(204);
    poll("it is told", || process.stderr().contains("prod:other is not there any more").then_some(()));
    set(&mut prod, "db-password", "second");
    prints(&process, "started second");
    assert_eq!(process.stdout(), "other x\nstarted first\nother x\nstarted second\n");
    assert_eq!(process.stderr().matches("warning: ").count(), 1, "{}", process.stderr());
    process.terminate();
    process.wait();
    prod.server.stop();
}

/// All that is told of a file goes to a full disk, and the file is what counts.
#[test]
fn nobody_who_can_be_told_is_no_reason_to_end() {
    let mut prod = Prod::with(&[("a", "a1"), ("b", "b1")]);
    let (template, file) = (prod.path("two.tmpl"), prod.path("two"));
    fs::write(&template, "${secrets.get('prod', 'a')} ${secrets.get('prod', 'b')}").unwrap();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let mut command = prod.reader.command(&["render", text(&template), "-o", text(&file), "--watch"]);
    let mut child = command.stdin(Stdio::null()).stdout(full()).stderr(full()).spawn().unwrap();
    let mut holds = |expected: &str| {
        poll(&format!("the file holds {expected}"), || {
            assert_eq!(child.try_wait().unwrap(), None, "it goes on");
            fs::read_to_string(&file).is_ok_and(|text| text == expected).then_some(())
        });
    };
    holds("a1 b1");
    while_away(&mut prod, |prod| set(prod, "a", "a2"));
    holds("a2 b1");
    let id = id_of(&mut prod, "a");
    prod.client.delete(&format!("/vault_secrets/{id}")).expect_status(204);
    set(&mut prod, "b", "b2");
    holds("a2 b2");
    child.kill().unwrap();
    child.wait().unwrap();
    prod.server.stop();
}

#[test]
fn files_that_cannot_be_written_are_tried_again() {
    for way in [&[][..], &["--signal", "usr1"]] {
        let mut prod = Prod::with(&[("db-password", "first")]);
        let base = prod.path("files");
        fs::create_dir(&base).unwrap();
        let options = [&["--files", "--files-dir", text(&base)], way].concat();
        let show = "trap 'cat $DB_PASSWORD_FILE; echo' USR1; cat $DB_PASSWORD_FILE; echo;";
        let process = program(&prod, show, &options);
        prints(&process, "first");
        let folder = fs::read_dir(&base).unwrap().next().unwrap().unwrap().path();
        // A file is where the new ones are to be written.
        fs::write(folder.join(".new"), "").unwrap();
        for value in ["second", "third"] {
            set(&mut prod, "db-password", value);
        }
        poll("it is told", || process.stderr().contains("cannot be written").then_some(()));
        assert_eq!(fs::read(folder.join("DB_PASSWORD")).unwrap(), b"first");
        assert_eq!(process.stdout().matches("started").count(), 1, "the program goes on meanwhile");
        fs::remove_file(folder.join(".new")).unwrap();
        prints(&process, "third");
        assert!(!folder.join(".new").exists());
        process.terminate();
        assert_eq!(process.wait().status.signal(), Some(Signal::TERM.as_raw()));
        prod.server.stop();
    }
}

/// Two at a time would be told.
#[test]
fn what_a_program_leaves_behind_is_ended_before_it_is_started_anew() {
    for (options, before, grace) in [
        (&[][..], "", Duration::ZERO),
        (&["--redact"], "", Duration::ZERO),
        (&["--grace", "400ms"], "trap '' TERM;", Duration::from_millis(400)),
        (&["--redact", "--grace", "400ms"], "trap '' TERM;", Duration::from_millis(400)),
    ] {
        let mut prod = Prod::with(&[("db-password", "first")]);
        fs::write(prod.path("server.sh"), format!("{before} {PROGRAM}")).unwrap();
        // One in the group of the program, and one that has left it.
        let other = "while [ -e server.sh ]; do sleep 0.02; done";
        let folder = prod.path("");
        let script =
            format!("cd {}; setsid -f sh -c '{other}' >/dev/null 2>&1; sh server.sh & wait", text(&folder));
        let process =
            prod.spawn(&[&["--vault", "prod", "--watch"], options, &["--", "sh", "-c", &script]].concat());
        for (number, value) in ["second", "third"].into_iter().enumerate() {
            let started = |count: usize| {
                poll("it is started", || {
                    (process.stdout().matches("started").count() == count).then_some(())
                });
            };
            started(number + 1);
            let start = Instant::now();
            set(&mut prod, "db-password", value);
            started(number + 2);
            assert!(start.elapsed() >= grace, "it had its time");
        }
        let left = children_of(process.id());
        assert_eq!(left.len(), 2, "the program, and what left its group: {left:?}");
        set(&mut prod, "db-password", "last");
        let ran = process.wait();
        assert!(!ran.stdout.contains("two"), "{options:?}: {}", ran.stdout);
        prod.server.stop();
    }
}

/// The pids of the children of a process.
fn children_of(parent: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all: String = tasks.map(|task| of(task.unwrap())).collect();
    all.split_whitespace().map(str::to_owned).collect()
}
