//! When nothing is sent: to a target that asks for it, and while what was sent cannot be noted.

use std::collections::BTreeSet;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::harness::process::{BINARY, Process};
use crate::harness::{Server, field, make_vault, poll, private_folder, text};
use crate::target::{Does, Taken, Target};
use crate::{PRIVATE, checked, deliveries, failed, make_webhook, path};

/// Neither what failed nor what is new, and nobody's impatience, comes before its time; then all of it comes.
#[test]
fn a_target_that_asks_for_it_is_left_alone() {
    const QUIET: u32 = 4;
    let folder = private_folder();
    let server = Server::start_with(folder.path(), &[PRIVATE, "--webhooks-retry-after=10ms,10ms,10ms"]);
    let (mut client, target) = (server.client(), Target::new(Does::Refuse(QUIET)));
    let webhook = make_webhook(&mut client, &target.url("/"));
    let moment = |taken: &Taken| -> u32 { taken.header("webhook-timestamp").parse().unwrap() };
    make_vault(&mut client, "first");
    failed(&mut client, &webhook, 1, "waiting");
    target.does(Does::Answer(200));
    for number in 0..12 {
        make_vault(&mut client, &format!("v{number}"));
    }
    client.post(&format!("{}/retry", path(&webhook)), &json!({})).expect_status(200);
    let taken = poll("all are told", || Some(target.taken()).filter(|taken| taken.len() >= 14));
    let asked = moment(&taken[0]);
    assert!(taken[1..].iter().all(|taken| moment(taken) >= asked + QUIET), "{taken:?}");
    let ids: BTreeSet<_> = taken.iter().map(|taken| taken.header("webhook-id")).collect();
    assert_eq!((ids.len(), taken.len()), (13, 14), "the first one twice");

    // Of many at once, those that are not under way yet are put off, and nothing of them counts as an attempt. Another target
    // asked for nothing.
    target.does(Does::Refuse(3600));
    client.patch(&path(&webhook), &json!({"active": false})).expect_status(200);
    make_vault(&mut client, "unheard");
    client.patch(&path(&webhook), &json!({"active": true})).expect_status(200);
    for number in 20..30 {
        make_vault(&mut client, &format!("v{number}"));
    }
    poll("one is refused", || (!deliveries(&mut client, &webhook).is_empty()).then_some(()));
    let other = Target::new(Does::Answer(200));
    client.patch(&path(&webhook), &json!({"url": other.url("/")})).expect_status(200);
    client.post(&format!("{}/retry", path(&webhook)), &json!({})).expect_status(200);
    poll("the other is told all", || {
        let taken = other.taken();
        let ids: BTreeSet<_> = taken.iter().map(|taken| taken.header("webhook-id")).collect();
        (ids.len() == 10).then_some(())
    });
    assert!(target.taken().len() <= 14 + 4, "no more than were under way when it asked");
    server.stop();
}

/// Limits how large a file the server may make.
fn limit(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.process.id()).unwrap()).unwrap();
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// What became of an attempt is kept until it can be written, and is not found out a second time.
#[test]
fn a_full_disk_repeats_no_message() {
    let folder = private_folder();
    // A file that may not grow is told by a signal too, which ends a process that does not expect it.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", BINARY]);
    let args = ["serve", "--data-dir", text(folder.path()), "--listen", "127.0.0.1:0", PRIVATE];
    let more = ["--webhooks-timeout=3s", "--webhooks-retry-after=1h"];
    let process = Process::spawn_by(shell, &[&args[..], &more].concat(), &[]);
    let server = Server::wait_until_ready(folder.path(), process);
    let (mut client, target) = (server.client(), Target::new(Does::Hang));
    let webhook = make_webhook(&mut client, &target.url("/"));
    make_vault(&mut client, "one");
    poll("it is on the way", || (target.taken().len() == 1).then_some(()));
    let mut files = std::fs::read_dir(&server.data).unwrap().map(|file| file.unwrap());
    let log =
        files.find(|file| file.file_name().to_string_lossy().ends_with("-wal")).expect("the store's log");
    // What is to be written next would be beyond that.
    limit(&server, Some(log.metadata().unwrap().len()));
    client.post("/vaults", &json!({"name": "refused"})).expect_status(503);
    poll("it could not be written twice", || {
        let told = server.process.stderr();
        (told.matches("webhooks cannot be delivered to at the moment").count() == 2).then_some(())
    });
    assert_eq!((target.taken().len(), deliveries(&mut client, &webhook)), (1, Vec::new()));
    target.does(Does::Answer(200));
    limit(&server, None);
    let kept = failed(&mut client, &webhook, 1, "waiting").remove(0);
    assert_eq!(kept["attempts"], 1, "{kept}");
    make_vault(&mut client, "two");
    let taken = poll("the next one is told", || target.taken().get(1).cloned());
    assert_eq!(checked(&taken, field(&webhook, "secret"))["data"]["vault"]["name"], "two");
    assert_eq!(target.taken().len(), 2);
    server.stop();
}
