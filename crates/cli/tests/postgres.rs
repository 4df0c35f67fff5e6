//! From nothing to a program that uses a secret: a server, a vault, a secret, and `psql`, which reaches a real PostgreSQL
//! with the password that `run` gives it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use harness::{Server, poll, private_folder, text};
use person::Person;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PASSWORD: &str = "correct horse; '\"$battery\" \\ staple ü";
const WRONG: &str = "another";

/// A PostgreSQL server of our own, on a free port of this machine, that wants passwords.
struct Postgres {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Postgres {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let data = folder.path().join("data");
        let owned = |program: &str| {
            let mut command = Command::new(programs().join(program));
            // A server of PostgreSQL does not start as root.
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command.current_dir(folder.path()).env_clear().env("LC_ALL", "C.UTF-8");
            command
        };
        let trusting =
            ["--auth-local=trust", "--auth-host=scram-sha-256", "--username=postgres", "--no-sync"];
        let made = owned("initdb").arg("--pgdata").arg(&data).args(trusting).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = owned("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", text(folder.path())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postgres = Self { child, port, folder };
        poll("PostgreSQL answers", || postgres.sql("SELECT 1").then_some(()));
        postgres
    }

    /// Runs a statement as the superuser, who needs no password on the local socket.
    fn sql(&self, statement: &str) -> bool {
        let port = self.port.to_string();
        let socket = ["-h", text(self.folder.path()), "-p", &port, "-U", "postgres", "-d", "postgres"];
        let mut psql = Command::new(programs().join("psql"));
        psql.args(socket).args(["-q", "-c", statement]).stdout(Stdio::null()).stderr(Stdio::null());
        psql.status().unwrap().success()
    }

    fn set_password(&self, password: &str) {
        let quoted = password.replace('\'', "''");
        assert!(self.sql(&format!("ALTER ROLE app PASSWORD '{quoted}'")));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is its fast shutdown: it ends its own processes too.
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let _ = self.child.wait();
    }
}

/// Where Debian puts PostgreSQL's programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let versions = versions.expect("PostgreSQL is not installed: cargo xtask setup does that");
    versions.map(|version| version.unwrap().path().join("bin")).max().expect("a version of PostgreSQL")
}

/// Whom to run as instead of root: the user that the package makes.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, "postgres"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().expect("the user postgres")
    };
    Some((id("-u"), id("-g")))
}

#[test]
fn a_program_reaches_its_database_with_the_password_it_is_given() {
    let postgres = Postgres::start();
    assert!(postgres.sql("CREATE ROLE app LOGIN"));
    postgres.set_password(PASSWORD);

    let folder = private_folder();
    let server = Server::start(folder.path());
    let admin = Person::admin(&server);
    let set = |value: &str| {
        let set = admin.feed(&["secret", "set", "prod:db-password", "--create-vault"], value.as_bytes());
        assert_eq!(set.code, 0, "{}", set.stderr);
    };
    set(PASSWORD);
    let made = admin.run(&["api-key", "create", "--grant", "resolve prod:db-*", "--output", "json"]);
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let app = Person::with_key(&server, harness::field(&made, "token"));

    let port = postgres.port.to_string();
    let psql = programs().join("psql");
    let who = "SELECT current_user || ' over ' || host(inet_server_addr())";
    let program =
        [text(&psql), "-h", "127.0.0.1", "-p", &port, "-U", "app", "-d", "postgres", "-Atw", "-c", who];
    let run = |options: &[&str]| app.run(&[&["run"], options, &["--"], &program].concat());
    let mapped = ["--map", "PGPASSWORD=prod:db-password"];
    let reached = run(&mapped);
    assert_eq!((reached.code, reached.stdout.as_str()), (0, "app over 127.0.0.1\n"), "{}", reached.stderr);

    // The password is what opens it: with another one it does not, and psql's own code is what `run` ends with.
    set(WRONG);
    let refused = run(&mapped);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("password authentication failed"), "{}", refused.stderr);
    postgres.set_password(WRONG);
    assert_eq!(run(&mapped).code, 0);

    // Without the mapping the program gets the secret under its own name, which psql does not look at.
    let unnamed = run(&["--vault", "prod"]);
    assert_eq!(unnamed.code, 2, "{}", unnamed.stderr);
    let given = harness::audit_events(&server.data);
    let resolved = given.iter().filter(|event| event["event_type"] == "secret_resolved.v0");
    assert_eq!(resolved.count(), 4);
    server.stop();
}
