//! Files and programs that follow the values of a vault `prod`.

#![allow(dead_code, reason = "each test binary uses the part it needs")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{self, Process, audit_events, field, poll, text};
use crate::prod::Prod;

/// The secret of that name in the vault `prod`.
pub(crate) fn id_of(prod: &mut Prod, name: &str) -> String {
    let secrets = harness::list_all(&mut prod.client, "/vault_secrets", "secrets");
    let is_it = |secret: &&Value| (field(secret, "vault_name"), field(secret, "name")) == ("prod", name);
    let found = secrets.iter().find(is_it);
    field(found.expect(name), "id").to_owned()
}

pub(crate) fn change(prod: &mut Prod, name: &str, body: Value) {
    let target = format!("/vault_secrets/{}", id_of(prod, name));
    prod.client.patch(&target, &body).expect_status(200);
}

pub(crate) fn set(prod: &mut Prod, name: &str, value: &str) {
    change(prod, name, json!({"value": value}));
}

/// A file that is rendered of the secret `db-password`, and kept up.
pub(crate) struct Rendered {
    pub(crate) process: Process,
    pub(crate) file: PathBuf,
}

impl Rendered {
    pub(crate) fn start(prod: &Prod) -> Self {
        let (template, file) = (prod.path("app.conf.tmpl"), prod.path("app.conf"));
        fs::write(&template, "password=${secrets.get('prod', 'db-password')}\n").unwrap();
        let args = ["render", text(&template), "-o", text(&file), "--watch"];
        let process = Process::spawn_by(prod.reader.command(&[]), &args, &[]);
        Self { process, file }
    }

    pub(crate) fn holds(&self, value: &str) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| text == format!("password={value}\n"))
    }

    #[track_caller]
    pub(crate) fn waits_for(&self, value: &str) {
        poll(&format!("the file holds {value}, {}", self.process.stderr()), || {
            self.holds(value).then_some(())
        });
    }

    pub(crate) fn written(&self) -> usize {
        self.process.stdout().matches("1 file is written").count()
    }
}

/// How often a value was given out.
pub(crate) fn resolved(data: &Path) -> usize {
    audit_events(data).iter().filter(|event| event["event_type"] == "secret_resolved.v0").count()
}

/// How many changes the server has told.
pub(crate) fn told(prod: &mut Prod) -> u64 {
    let text = String::from_utf8(prod.client.get("/metrics").expect_status(200).body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("strongroom_feed_changes_total "));
    line.unwrap().parse().unwrap()
}

/// Starts the server anew, elsewhere first, where a change is made that nobody is told of there.
pub(crate) fn while_away(prod: &mut Prod, what: impl FnOnce(&mut Prod)) {
    let address = prod.server.address().to_owned();
    prod.server.pause();
    prod.server.resume_at("127.0.0.1:0");
    prod.client = prod.server.client();
    what(prod);
    prod.server.pause();
    prod.server.resume_at(&address);
    prod.client = prod.server.client();
}

/// Prints `started` and its value, writes down its pid, and goes on until it is to end, or its folder is gone. Two at a time
/// are told.
pub(crate) const PROGRAM: &str = "for pid in $(cat pids 2>/dev/null); do kill -0 $pid 2>/dev/null && echo two; done; echo $$ >> pids; \
                       [ \"$DB_PASSWORD\" = last ] && exit 7; echo \"started $DB_PASSWORD\"; while [ -e pids ]; do sleep 0.02; done";

pub(crate) fn program(prod: &Prod, before: &str, options: &[&str]) -> Process {
    let script = format!("cd {}; {before} {PROGRAM}", text(&prod.path("")));
    prod.spawn(&[&["--vault", "prod", "--watch"], options, &["--", "sh", "-c", &script]].concat())
}

#[track_caller]
pub(crate) fn prints(process: &Process, line: &str) {
    poll(&format!("it prints {line}: {}{}", process.stdout(), process.stderr()), || {
        process.stdout().lines().any(|printed| printed == line).then_some(())
    });
}
