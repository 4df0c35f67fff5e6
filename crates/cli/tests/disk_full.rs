//! A full disk: writes are refused in bounded time and reads go on; once there is room again, so do writes, and nothing
//! that was acknowledged is lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use harness::process::{BINARY, Process};
use harness::{
    Client, Reply, Server, assert_chain_holds, audit_events, field, list_all, make_vault, private_folder,
    text,
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use tempfile::TempDir;

/// Long for one write, short for somebody who waits for it.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A place that can be made full and roomy again.
enum Disk {
    /// A file system of 4 MiB.
    Small(Mounted),
    /// Files of the server may not grow beyond a size.
    Limited(TempDir),
}

struct Mounted(TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

impl Disk {
    /// Where nothing may be mounted there is the limit: it never passes without having been full.
    #[expect(clippy::print_stderr, reason = "whoever runs it should know that the test is another one here")]
    fn small() -> Self {
        let folder = private_folder();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "strongroom-test", text(folder.path())])
            .output();
        match mounted {
            Ok(output) if output.status.success() => Self::Small(Mounted(folder)),
            other => {
                eprintln!(
                    "nothing can be mounted here ({other:?}): a limit on files stands in for a small disk"
                );
                Self::Limited(folder)
            }
        }
    }

    fn limited() -> Self {
        Self::Limited(private_folder())
    }

    fn data(&self) -> PathBuf {
        let (Self::Small(Mounted(folder)) | Self::Limited(folder)) = self;
        let data = folder.path().join("data");
        if !data.exists() {
            std::fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
        }
        data
    }

    fn start(&self) -> Server {
        self.start_with(&[])
    }

    fn start_with(&self, more: &[&str]) -> Server {
        let data = self.data();
        // A file that may not grow is told by a signal too, which ends a process that does not expect it.
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", BINARY]);
        let args = ["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0"];
        Server::wait_until_ready(&data, Process::spawn_by(shell, &[&args, more].concat(), &[]))
    }

    /// Leaves room for a few hundred kilobytes.
    fn fill(&self, server: &Server) {
        match self {
            Self::Small(Mounted(folder)) => {
                std::fs::write(folder.path().join("ballast"), vec![7; 3 << 20]).unwrap();
            }
            Self::Limited(_) => {
                let files = std::fs::read_dir(&server.data).unwrap();
                let largest = files.map(|file| file.unwrap().metadata().unwrap().size()).max().unwrap();
                limit(server, Some(largest + (300 << 10)));
            }
        }
    }

    fn make_room(&self, server: &Server) {
        match self {
            Self::Small(Mounted(folder)) => std::fs::remove_file(folder.path().join("ballast")).unwrap(),
            Self::Limited(_) => limit(server, None),
        }
    }
}

/// Limits how large a file the server may make.
fn limit(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.process.id()).unwrap()).unwrap();
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(pid), Resource::Fsize, limit).unwrap();
}

/// What was acknowledged: the secrets and their values, and how many changes there were.
#[derive(Default)]
struct Told {
    secrets: BTreeMap<String, (String, String)>,
    changes: usize,
    refused: usize,
}

impl Told {
    /// Notes a change that was acknowledged; anything else is 503, with a body that says so, and in time.
    fn note(&mut self, begun: Instant, reply: &Reply) -> bool {
        assert!(begun.elapsed() < AT_ONCE, "an answer after {:?}: {reply}", begun.elapsed());
        if (200..300).contains(&reply.status) {
            self.changes += 1;
            return true;
        }
        assert_eq!(reply.status, 503, "{reply}");
        let body = reply.json();
        assert_eq!((field(&body, "error_code"), &body["status_code"]), ("ERR_NGROK_1501", &json!(503)));
        assert!(reply.header("ngrok-operation-id").is_some());
        self.refused += 1;
        false
    }

    fn create(&mut self, client: &mut Client, name: &str, value: String) -> bool {
        let body = json!({"name": name, "value": value, "vault_name": "vault"});
        let begun = Instant::now();
        let reply = client.post("/vault_secrets", &body);
        let acknowledged = self.note(begun, &reply);
        if acknowledged {
            self.secrets.insert(name.to_owned(), (field(&reply.json(), "id").to_owned(), value));
        }
        acknowledged
    }

    /// A value of another length each time: some fit where others do not.
    fn fill_up(&mut self, client: &mut Client) {
        for number in 0..400_usize {
            let value = "v".repeat(1 + number * 7919 % 40_000);
            // A name that was never tried.
            let name = format!("fill-{}-{}", self.changes, self.refused);
            if !self.create(client, &name, value) {
                return;
            }
        }
        panic!("the disk is never full");
    }

    /// Every kind of change, on what is there.
    fn try_everything(&mut self, client: &mut Client, round: usize) {
        let (name, (id, _)) = self.secrets.iter().nth(round).expect("a secret");
        let (name, path) = (name.clone(), format!("/vault_secrets/{id}"));
        let value = format!("{round}-{}", "w".repeat(20_000));
        let begun = Instant::now();
        let reply = client.patch(&path, &json!({"value": value}));
        if self.note(begun, &reply) {
            self.secrets.get_mut(&name).unwrap().1 = value;
        }
        let begun = Instant::now();
        let reply = client.delete(&path);
        if self.note(begun, &reply) {
            self.secrets.remove(&name);
        }
        for (target, body) in [
            ("/vaults", json!({"name": format!("more-{round}"), "metadata": "m".repeat(4000)})),
            ("/api_keys", json!({"metadata": "m".repeat(4000)})),
            ("/bot_users", json!({"name": format!("robot-{round}")})),
        ] {
            let begun = Instant::now();
            let reply = client.post(target, &body);
            self.note(begun, &reply);
        }
        self.create(client, &format!("more-{round}"), "x".repeat(30_000));
    }

    /// All that was acknowledged is there and nothing else, in the lists, in the values and in the log.
    fn assert_kept(&self, client: &mut Client, data: &Path) {
        let listed = list_all(client, "/vault_secrets", "secrets");
        let shown: BTreeMap<&str, &str> =
            listed.iter().map(|secret| (field(secret, "name"), field(secret, "id"))).collect();
        let kept: BTreeMap<&str, &str> =
            self.secrets.iter().map(|(name, (id, _))| (name.as_str(), id.as_str())).collect();
        assert_eq!(shown, kept);
        for (id, _) in self.secrets.values() {
            client.get(&format!("/vault_secrets/{id}")).expect_status(200);
        }
        assert_chain_holds(data);
        // The first start has one event.
        assert_eq!(audit_events(data).len(), self.changes + 1, "events and changes differ");
    }

    /// Writing the value that is there changes nothing, which shows that it opens and is that one.
    fn assert_values(&self, client: &mut Client) {
        for (id, value) in self.secrets.values() {
            let path = format!("/vault_secrets/{id}");
            let before = client.get(&path).expect_status(200).json();
            let after = client.patch(&path, &json!({"value": value})).expect_status(200).json();
            assert_eq!(before, after, "another value was kept");
        }
    }
}

fn survives(disk: &Disk) {
    let mut told = Told::default();
    let server = disk.start();
    let mut client = server.client();
    make_vault(&mut client, "vault");
    told.changes += 1;
    assert!(told.create(&mut client, "before", "value".to_owned()));

    disk.fill(&server);
    told.fill_up(&mut client);
    for round in 0..6 {
        told.try_everything(&mut client, round);
        told.fill_up(&mut client);
        told.assert_kept(&mut client, &server.data);
    }
    assert!(told.refused > 10, "only {} writes were refused", told.refused);
    client.get("/healthz").expect_status(200);
    client.get("/vault_secrets?filter=obj.name%20%3D%3D%20%22before%22").expect_status(200);

    disk.make_room(&server);
    let (refused, data) = (told.refused, server.data.clone());
    assert!(told.create(&mut client, "after", "v".repeat(40_000)), "still refused, with room");
    told.try_everything(&mut client, 6);
    assert_eq!(told.refused, refused, "still refused, with room");
    told.assert_kept(&mut client, &data);
    told.assert_values(&mut client);
    server.process.kill();

    let server = disk.start();
    let mut client = server.client();
    told.assert_kept(&mut client, &data);
    told.assert_values(&mut client);
    server.stop();
}

#[test]
fn a_full_disk() {
    survives(&Disk::small());
}

#[test]
fn a_file_that_may_not_grow() {
    survives(&Disk::limited());
}

/// A server that is killed when the disk is full to the last byte comes up again on it and reads.
#[test]
fn a_start_on_a_full_disk() {
    let disk = Disk::small();
    let mut told = Told::default();
    let server = disk.start();
    let mut client = server.client();
    make_vault(&mut client, "vault");
    told.changes += 1;
    disk.fill(&server);
    told.fill_up(&mut client);
    if let Disk::Small(Mounted(folder)) = &disk {
        let mut rest = std::fs::File::create(folder.path().join("rest")).unwrap();
        while rest.write_all(&[7; 512]).is_ok() {}
    }
    let data = server.data.clone();
    server.process.kill();

    // A limit on files went with the process; what a start on a limit does is that of a start without one.
    let server = disk.start();
    let mut client = server.client();
    told.assert_kept(&mut client, &data);
    if let Disk::Small(Mounted(folder)) = &disk {
        assert!(!told.create(&mut client, "full", "v".repeat(40_000)), "there is no room for this");
        std::fs::remove_file(folder.path().join("rest")).unwrap();
        disk.make_room(&server);
    }
    assert!(told.create(&mut client, "after", "v".repeat(40_000)), "still refused, with room");
    told.assert_kept(&mut client, &data);
    told.assert_values(&mut client);
    server.stop();
}

/// Changes that wait for one another are committed together: those that did not fit take none along that was acknowledged.
#[test]
fn many_large_values_at_once_on_a_full_disk() {
    const WRITERS: usize = 32;
    let disk = Disk::small();
    let more = ["--max-value", "1MiB"];
    let server = disk.start_with(&more);
    let mut client = server.client();
    let mut told = Told::default();
    make_vault(&mut client, "vault");
    told.changes += 1;
    disk.fill(&server);
    for round in 0..3 {
        let start = Barrier::new(WRITERS);
        let write = |number: usize| {
            let (name, value) = (format!("{round}-{number}"), "v".repeat((1 << 20) - number));
            let mut client = server.client();
            start.wait();
            let begun = Instant::now();
            let reply =
                client.post("/vault_secrets", &json!({"name": name, "value": value, "vault_name": "vault"}));
            (begun, reply, name, value)
        };
        let answers: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS)
                .map(|number| {
                    let write = &write;
                    scope.spawn(move || write(number))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (begun, reply, name, value) in answers {
            if told.note(begun, &reply) {
                told.secrets.insert(name, (field(&reply.json(), "id").to_owned(), value));
            }
        }
        told.assert_kept(&mut client, &server.data);
    }
    assert!(told.refused > WRITERS, "only {} writes were refused", told.refused);
    disk.make_room(&server);
    assert!(told.create(&mut client, "after", "v".repeat(40_000)), "still refused, with room");
    told.assert_kept(&mut client, &server.data);
    told.assert_values(&mut client);
    server.stop();
}
