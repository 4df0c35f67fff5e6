//! `render --watch` and `run --watch`: a new value arrives, once, soon, and nothing else makes a difference.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
mod prod;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Process, audit_events, field, make_vault, poll, run, secret_in, text};
use person::Person;
use prod::Prod;
use rustix::process::Signal;
use serde_json::{Value, json};

/// The secret of that name in the vault `prod`.
fn id_of(prod: &mut Prod, name: &str) -> String {
    let secrets = harness::list_all(&mut prod.client, "/vault_secrets", "secrets");
    let is_it = |secret: &&Value| (field(secret, "vault_name"), field(secret, "name")) == ("prod", name);
    let found = secrets.iter().find(is_it);
    field(found.expect(name), "id").to_owned()
}

fn change(prod: &mut Prod, name: &str, body: Value) {
    let target = format!("/vault_secrets/{}", id_of(prod, name));
    prod.client.patch(&target, &body).expect_status(200);
}

fn set(prod: &mut Prod, name: &str, value: &str) {
    change(prod, name, json!({"value": value}));
}

/// A file that is rendered of the secret `db-password`, and kept up.
struct Rendered {
    process: Process,
    file: PathBuf,
}

impl Rendered {
    fn start(prod: &Prod) -> Self {
        let (template, file) = (prod.path("app.conf.tmpl"), prod.path("app.conf"));
        fs::write(&template, "password=${secrets.get('prod', 'db-password')}\n").unwrap();
        let args = ["render", text(&template), "-o", text(&file), "--watch"];
        let process = Process::spawn_by(prod.reader.command(&[]), &args, &[]);
        Self { process, file }
    }

    fn holds(&self, value: &str) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| text == format!("password={value}\n"))
    }

    #[track_caller]
    fn waits_for(&self, value: &str) {
        poll(&format!("the file holds {value}, {}", self.process.stderr()), || {
            self.holds(value).then_some(())
        });
    }

    fn written(&self) -> usize {
        self.process.stdout().matches("1 file is written").count()
    }
}

/// How often a value was given out.
fn resolved(data: &Path) -> usize {
    audit_events(data).iter().filter(|event| event["event_type"] == "secret_resolved.v0").count()
}

/// How many changes the server has told.
fn told(prod: &mut Prod) -> u64 {
    let text = String::from_utf8(prod.client.get("/metrics").expect_status(200).body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("strongroom_feed_changes_total "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_file_is_written_anew_when_its_value_changes_and_only_then() {
    let mut prod = Prod::with(&[("db-password", "first"), ("other", "x")]);
    let rendered = Rendered::start(&prod);
    rendered.waits_for("first");
    let before = fs::metadata(&rendered.file).unwrap();
    assert_eq!(before.mode() & 0o777, 0o600);

    change(&mut prod, "db-password", json!({"description": "the database"}));
    set(&mut prod, "db-password", "first");
    set(&mut prod, "other", "y");
    let dev = make_vault(&mut prod.client, "dev");
    prod.client.post("/vault_secrets", &secret_in(&dev, "db-password", "z")).expect_status(201);
    // The value again is no change, and what is in dev is not for this key.
    poll("two changes are told", || (told(&mut prod) == 2).then_some(()));
    let after = fs::metadata(&rendered.file).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));

    set(&mut prod, "db-password", "second");
    rendered.waits_for("second");
    assert_ne!(fs::metadata(&rendered.file).unwrap().ino(), before.ino(), "it took the place of the other");
    poll("it says so", || (rendered.written() == 2).then_some(()));
    assert_eq!(resolved(&prod.server.data), 2, "values are read when they may be others, and only then");

    // Moved away and back: it is the same value by then, or it was told to be gone.
    change(&mut prod, "db-password", json!({"name": "db-password-2"}));
    change(&mut prod, "other", json!({"name": "db-password"}));
    rendered.waits_for("y");
    assert!(!rendered.process.stderr().contains("second"), "{}", rendered.process.stderr());
    rendered.process.terminate();
    let ran = rendered.process.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ran.status), Some(Signal::TERM.as_raw()));
    let left: Vec<_> = fs::read_dir(prod.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".part")), "{left:?}");
    prod.server.stop();
}

/// From the answer to a change until the file holds it. The figure is printed; only an absurd one fails.
#[test]
fn a_new_value_is_in_the_file_soon() {
    const CHANGES: usize = 200;
    let mut prod = Prod::with(&[("db-password", "first")]);
    let rendered = Rendered::start(&prod);
    rendered.waits_for("first");
    let target = format!("/vault_secrets/{}", id_of(&mut prod, "db-password"));
    let mut took: Vec<Duration> = (0..CHANGES)
        .map(|number| {
            let value = format!("value {number}");
            prod.client.patch(&target, &json!({"value": value})).expect_status(200);
            let start = Instant::now();
            rendered.waits_for(&value);
            start.elapsed()
        })
        .collect();
    took.sort();
    let (half, p99, most) = (took[CHANGES / 2], took[CHANGES * 99 / 100 - 1], took[CHANGES - 1]);
    println!("from the commit to the new file: p50 {half:?}, p99 {p99:?}, longest {most:?} of {CHANGES}");
    assert!(p99 < Duration::from_secs(5), "{p99:?}");
    prod.server.stop();
}

/// Starts the server anew, elsewhere first, where a change is made that nobody is told of there.
fn while_away(prod: &mut Prod, what: impl FnOnce(&mut Prod)) {
    let address = prod.server.address().to_owned();
    prod.server.pause();
    prod.server.resume_at("127.0.0.1:0");
    prod.client = prod.server.client();
    what(prod);
    prod.server.pause();
    prod.server.resume_at(&address);
    prod.client = prod.server.client();
}

#[test]
fn a_restart_of_the_server_is_not_missed() {
    let mut prod = Prod::with(&[("db-password", "canary1")]);
    let rendered = Rendered::start(&prod);
    rendered.waits_for("canary1");
    while_away(&mut prod, |prod| set(prod, "db-password", "canary2"));
    rendered.waits_for("canary2");
    let told = rendered.process.stderr();
    assert_eq!(told.matches("warning: ").count(), 1, "it is told once: {told}");
    poll("it says that it goes on", || rendered.process.stderr().contains("followed again").then_some(()));
    assert!(!told.contains("canary"), "{told}");
    prod.server.stop();
}

/// Its feed is another one, which is begun anew; what differs shows in the values.
#[test]
fn after_a_restore_the_value_is_that_of_the_backup() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    let rendered = Rendered::start(&prod);
    rendered.waits_for("first");
    let (data, away, file) = (prod.server.data.clone(), prod.path("away"), prod.path("backup.db"));
    assert!(run(&["backup", text(&file), "--data-dir", text(&data)]).success());
    set(&mut prod, "db-password", "second");
    rendered.waits_for("second");
    let address = prod.server.address().to_owned();
    prod.server.pause();
    fs::rename(&data, &away).unwrap();
    let key = harness::files::root_key(&away).path;
    let args = ["restore", text(&file), "--data-dir", text(&data), "--root-key-file", text(&key)];
    assert!(run(&args).success());
    for kept in [key.as_path(), &away.join("first-api-key")] {
        fs::copy(kept, data.join(kept.file_name().unwrap())).unwrap();
    }
    prod.server.resume_at(&address);
    rendered.waits_for("first");
    prod.client = prod.server.client();
    set(&mut prod, "db-password", "third");
    rendered.waits_for("third");
    prod.server.stop();
}

#[test]
fn a_value_that_is_gone_is_told_and_the_file_stays() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    let rendered = Rendered::start(&prod);
    rendered.waits_for("first");
    let id = id_of(&mut prod, "db-password");
    prod.client.delete(&format!("/vault_secrets/{id}")).expect_status(204);
    poll("it is told", || rendered.process.stderr().contains("prod:db-password").then_some(()));
    assert!(rendered.holds("first"));
    prod.client.post(&format!("/strongroom/secrets/{id}/undelete"), &json!({})).expect_status(200);
    poll("it is there again", || rendered.process.stderr().contains("followed again").then_some(()));
    assert_eq!(rendered.written(), 1, "it is the same value");
    prod.client.patch(&format!("/vault_secrets/{id}"), &json!({"value": "second"})).expect_status(200);
    rendered.waits_for("second");
    prod.server.stop();
}

#[test]
fn a_key_that_is_gone_is_told_and_the_file_stays() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    let rendered = Rendered::start(&prod);
    rendered.waits_for("first");
    let keys = harness::list_all(&mut prod.client, "/api_keys", "keys");
    let key = keys.iter().find(|key| key["grants"].is_array()).unwrap();
    prod.client.delete(&format!("/api_keys/{}", field(key, "id"))).expect_status(204);
    poll("it is told", || rendered.process.stderr().contains("ERR_NGROK_203").then_some(()));
    set(&mut prod, "db-password", "second");
    assert!(rendered.holds("first"));
    assert_eq!(rendered.process.stderr().matches("warning: ").count(), 1, "{}", rendered.process.stderr());
    prod.server.stop();
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let prod = Prod::with(&[("db-password", "first")]);
    let template = prod.path("a.tmpl");
    fs::write(&template, "${secrets.get('prod', 'db-password')}").unwrap();
    let plain = prod.path("b.tmpl");
    fs::write(&plain, "nothing").unwrap();
    let out = prod.path("out");
    for (code, args) in [
        (2, &["render", text(&template), "--watch"][..]),
        (2, &["render", text(&template), "--watch", "--check"]),
        (6, &["render", text(&plain), "--watch", "-o", text(&out)]),
        (2, &["run", "--vault", "prod", "--grace", "1s", "--", "true"]),
        (2, &["run", "--vault", "prod", "--signal", "HUP", "--", "true"]),
        (2, &["run", "--vault", "prod", "--watch", "--signal", "KILL", "--", "true"]),
        (2, &["run", "--vault", "prod", "--watch", "--signal", "HUP", "--grace", "1s", "--", "true"]),
        (3, &["run", "--vault", "nowhere", "--watch", "--", "true"]),
    ] {
        prod.reader.fails(code, args);
    }
    assert!(!out.exists());
    prod.server.stop();
}

/// Prints `started`, its value and its pid, and goes on until it is to end. Two at a time are told.
const PROGRAM: &str = "for pid in $(cat pids 2>/dev/null); do kill -0 $pid 2>/dev/null && echo two; done; echo $$ >> pids; \
                       [ \"$DB_PASSWORD\" = last ] && exit 7; echo \"started $DB_PASSWORD\"; while :; do sleep 0.02; done";

fn program(prod: &Prod, before: &str, options: &[&str]) -> Process {
    let script = format!("cd {}; {before} {PROGRAM}", text(&prod.path("")));
    prod.spawn(&[&["--vault", "prod", "--watch"], options, &["--", "sh", "-c", &script]].concat())
}

#[track_caller]
fn prints(process: &Process, line: &str) {
    poll(&format!("it prints {line}: {}{}", process.stdout(), process.stderr()), || {
        process.stdout().lines().any(|printed| printed == line).then_some(())
    });
}

#[test]
fn a_program_is_started_anew_with_its_new_value() {
    for way in [&[][..], &["--files"], &["--redact"]] {
        let mut prod = Prod::with(&[("db-password", "first"), ("other", "x")]);
        let value = |value: &str| match way {
            ["--files"] => "started ".to_owned(),
            ["--redact"] => "started [redacted]".to_owned(),
            _ => format!("started {value}"),
        };
        let before = if way == ["--files"] { "cat $DB_PASSWORD_FILE; echo;" } else { "" };
        let process = program(&prod, before, way);
        prints(&process, &value("first"));
        change(&mut prod, "db-password", json!({"description": "the database"}));
        for (number, next) in ["second", "third"].into_iter().enumerate() {
            set(&mut prod, "db-password", next);
            let started = number + 2;
            poll("it is started anew", || {
                (process.stdout().matches("started").count() == started).then_some(())
            });
            if way == ["--files"] {
                prints(&process, next);
            } else {
                prints(&process, &value(next));
            }
        }
        if way == ["--files"] {
            process.terminate();
            let ran = process.wait();
            assert_eq!(ran.status.code(), None, "{}", ran.stderr);
        } else {
            set(&mut prod, "db-password", "last");
            let ran = process.wait();
            assert_eq!(ran.status.code(), Some(7), "{way:?}: {}", ran.stderr);
            assert!(
                !ran.stdout.contains("two") && ran.stdout.matches("started").count() == 3,
                "{}",
                ran.stdout
            );
            assert!(way != ["--redact"] || !ran.stdout.contains("first") && !ran.stdout.contains("third"));
        }
        prod.server.stop();
    }
}

#[test]
fn a_program_that_does_not_end_is_killed_after_the_grace_time() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    let process = program(&prod, "trap '' TERM;", &["--grace", "300ms"]);
    prints(&process, "started first");
    let start = Instant::now();
    set(&mut prod, "db-password", "second");
    prints(&process, "started second");
    assert!(start.elapsed() >= Duration::from_millis(300), "it had its time");
    set(&mut prod, "db-password", "last");
    let ran = process.wait();
    assert_eq!(ran.status.code(), Some(7), "{}", ran.stderr);
    assert!(!ran.stdout.contains("two"), "{}", ran.stdout);
    prod.server.stop();
}

#[test]
fn a_signal_in_place_of_a_new_start() {
    for redact in [&[][..], &["--redact"]] {
        let mut prod = Prod::with(&[("db-password", "first")]);
        let told = "trap 'printf \"told \"; cat $DB_PASSWORD_FILE; echo' USR1;";
        let options = [&["--files", "--signal", "usr1"], redact].concat();
        let process = program(&prod, told, &options);
        prints(&process, "started ");
        for value in ["second", "third"] {
            set(&mut prod, "db-password", value);
            if redact.is_empty() {
                prints(&process, &format!("told {value}"));
            }
            poll("it is told", || process.stdout().contains("told ").then_some(()));
        }
        if !redact.is_empty() {
            poll("it is told twice", || {
                (process.stdout().matches("told [redacted]").count() == 2).then_some(())
            });
        }
        assert_eq!(process.stdout().matches("started").count(), 1);
        process.terminate();
        process.wait();
        prod.server.stop();
    }
}

#[test]
fn what_the_program_does_not_get_makes_no_difference() {
    let mut prod = Prod::with(&[("db-password", "first"), ("other", "x")]);
    let process = program(&prod, "", &["--only", "DB_PASSWORD"]);
    prints(&process, "started first");
    set(&mut prod, "other", "y");
    poll("the values are read anew", || (resolved(&prod.server.data) == 4).then_some(()));
    set(&mut prod, "db-password", "second");
    prints(&process, "started second");
    assert_eq!(process.stdout().matches("started").count(), 2, "{}", process.stdout());
    process.terminate();
    process.wait();
    prod.server.stop();
}

#[test]
fn a_program_is_not_started_anew_to_have_less() {
    let mut prod = Prod::with(&[("db-password", "first"), ("other", "x")]);
    let process = program(&prod, "echo \"other $OTHER\";", &[]);
    prints(&process, "started first");
    let other = id_of(&mut prod, "other");
    prod.client.delete(&format!("/vault_secrets/{other}")).expect_status(204);
    poll("it is told", || {
        process.stderr().contains("keeps those from before: prod:other is not there any more").then_some(())
    });
    set(&mut prod, "db-password", "second");
    prints(&process, "started second");
    assert_eq!(process.stdout(), "other x\nstarted first\nother \nstarted second\n");
    assert_eq!(process.stderr().matches("warning: ").count(), 1, "{}", process.stderr());
    process.terminate();
    process.wait();
    prod.server.stop();
}

#[test]
fn a_program_that_is_to_end_is_not_started_anew() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    let process = program(&prod, "trap 'echo asked' TERM;", &["--grace", "100ms"]);
    prints(&process, "started first");
    process.terminate();
    prints(&process, "asked");
    set(&mut prod, "db-password", "second");
    poll("the change is told", || (told(&mut prod) == 1).then_some(()));
    assert_eq!(process.stdout().matches("started").count(), 1);
    let pid = fs::read_to_string(prod.path("pids")).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let ran = process.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ran.status), Some(Signal::KILL.as_raw()));
    assert_eq!(ran.stdout.matches("started").count(), 1, "{}", ran.stdout);
    prod.server.stop();
}

#[test]
fn the_program_goes_on_while_the_server_is_away() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    let process = program(&prod, "", &[]);
    prints(&process, "started first");
    while_away(&mut prod, |prod| set(prod, "db-password", "second"));
    prints(&process, "started second");
    assert!(!process.stdout().contains("two"));
    assert_eq!(process.stderr().matches("warning: ").count(), 1, "{}", process.stderr());
    process.terminate();
    process.wait();
    prod.server.stop();
}

/// The cache gives the first values, and the server those that it has once it is there.
#[test]
fn a_server_that_comes_later_is_believed() {
    let mut prod = Prod::with(&[("db-password", "first")]);
    let address = prod.server.address().to_owned();
    let cache = prod.path("cache");
    prod.reader = std::mem::replace(&mut prod.reader, Person::stranger()).set("XDG_CACHE_HOME", text(&cache));
    assert_eq!(prod.run(&["--vault", "prod", "--offline", "--", "true"]).code, 0);
    set(&mut prod, "db-password", "second");
    prod.server.pause();
    let process = program(&prod, "", &["--offline"]);
    prints(&process, "started first");
    prod.server.resume_at(&address);
    prod.client = prod.server.client();
    prints(&process, "started second");
    set(&mut prod, "db-password", "last");
    assert_eq!(process.wait().status.code(), Some(7));
    prod.server.stop();
}
