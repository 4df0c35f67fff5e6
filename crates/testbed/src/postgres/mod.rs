//! A real PostgreSQL server.

mod certificate;
mod options;
mod process;
mod replica;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::SmallDisk;
use crate::guard::Guard;
use crate::port::Port;
use crate::programs::{self, bounded, done, program};

pub use options::Options;
use process::Process;
pub use replica::Replication;

/// Who owns the databases, and logs in with a password: no superuser.
pub const ROLE: &str = "strongroom";

/// What a URL has to escape is in it, so that whoever takes it apart wrongly fails.
const PASSWORD: &str = "p@ss:w/ord %41 ü";

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It ends all connections, undoes what was not committed, and writes what waits.
    Fast,
    /// It drops everything, and has to recover at its next start.
    Immediate,
}

/// A server of our own, on a port of loopback that it keeps. It ends, and its files go, when this value is dropped, or else
/// when the process ends.
pub struct Postgres {
    process: Option<Process>,
    port: Port,
    tls: bool,
    /// The options of the server program.
    flags: Vec<String>,
    folder: TempDir,
    data: PathBuf,
    _disk: Option<SmallDisk>,
    _guard: Guard,
}

impl Postgres {
    /// Makes and starts one, with the role [`ROLE`] and no database but those that each server has. It takes a second or two: let the
    /// tests of a binary share one (`OnceLock`) where none of them breaks it.
    ///
    /// # Panics
    /// If PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let folder = own_folder();
        let data = options.disk.as_ref().map_or(folder.path(), SmallDisk::path).join("data");
        let mut make = program("initdb", folder.path());
        make.arg("--pgdata").arg(&data).args(["--no-sync", "--username=postgres"]);
        make.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
        let mut flags = vec!["shared_buffers=32MB".to_owned()];
        if options.disk.is_some() {
            make.arg("--wal-segsize=1");
            flags.extend(["min_wal_size=4MB", "max_wal_size=8MB"].map(str::to_owned));
        }
        done(&mut make);
        if options.careless {
            flags.push("fsync=off".to_owned());
        }
        if options.tls {
            certificate::make(folder.path());
            let file = |name: &str| folder.path().join(name).display().to_string();
            flags.push("ssl=on".to_owned());
            flags.push(format!("ssl_cert_file={}", file(certificate::CERTIFICATE)));
            flags.push(format!("ssl_key_file={}", file(certificate::KEY)));
        }
        flags.extend(options.settings);
        write_private(&folder.path().join("password"), PASSWORD);
        let mut made = Self::over(folder, data, flags, options.tls, options.disk);
        made.start_again();
        made.run("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"));
        made
    }

    /// What was made, and does not run yet.
    fn over(folder: TempDir, data: PathBuf, flags: Vec<String>, tls: bool, disk: Option<SmallDisk>) -> Self {
        // Its pid is looked at again: another process may have the number by now.
        let end = "pid=$(head -n 1 \"$1/postmaster.pid\"); case $(readlink \"/proc/$pid/exe\") in \
                   */postgres) kill -QUIT \"$pid\"; kill -CONT \"$pid\"; \
                   while [ -e \"/proc/$pid\" ]; do sleep 0.05; done;; esac; rm -rf \"$2\"";
        let guard = Guard::new(end, &[data.to_str().unwrap(), folder.path().to_str().unwrap()]);
        Self { process: None, port: Port::reserve(), tls, flags, folder, data, _disk: disk, _guard: guard }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The URL of a database, without the password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.address(), database)
    }

    /// The same by way of another address, such as a [`crate::Proxy`]'s.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr, database: &str) -> String {
        let mode = if self.tls { "verify-full" } else { "disable" };
        format!("postgres://{ROLE}@{address}/{database}?sslmode={mode}")
    }

    /// The password of [`ROLE`].
    #[must_use]
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A file with it, which others may not read.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// The authority of its certificate, PEM.
    ///
    /// # Panics
    /// If it was not started with TLS.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        assert!(self.tls, "it was started without TLS");
        self.folder.path().join(certificate::AUTHORITY)
    }

    /// Makes a database, which [`ROLE`] owns.
    pub fn create_database(&self, name: &str) {
        self.run("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}"));
    }

    /// Makes an empty schema in a database: a place for one store among others. Its URL is [`Self::schema_url`].
    pub fn create_schema(&self, database: &str, name: &str) {
        self.run(database, &format!("CREATE SCHEMA {name} AUTHORIZATION {ROLE}"));
    }

    /// The URL of a database whose tables are looked for in a schema, without the password.
    #[must_use]
    pub fn schema_url(&self, database: &str, schema: &str) -> String {
        format!("{}&options=-csearch_path%3D{schema}", self.url(database))
    }

    /// Makes one whose tables are on a small disk, while all else, the log too, is not: a full disk is then an error of a statement.
    pub fn create_database_on(&self, disk: &SmallDisk, name: &str) {
        self.run("postgres", &format!("CREATE TABLESPACE {name}_place LOCATION '{}'", disk.path().display()));
        self.run("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE} TABLESPACE {name}_place"));
    }

    /// Runs statements as the superuser, who needs no password on the local socket, each by itself. The rows, one a line, with `|` between columns.
    ///
    /// # Panics
    /// If one fails.
    pub fn run(&self, database: &str, statements: &str) -> String {
        self.try_run(database, statements)
            .unwrap_or_else(|said| panic!("{statements}: {said}\n{}", self.log()))
    }

    /// The same, where it may fail.
    ///
    /// # Errors
    /// What the server, or `psql`, said.
    pub fn try_run(&self, database: &str, statements: &str) -> Result<String, String> {
        // What waits for a replica that is away waits for ever.
        let mut psql = bounded("psql", self.folder.path());
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        psql.arg("-h").arg(self.folder.path()).args([
            "-p",
            &self.port.number().to_string(),
            "-c",
            statements,
        ]);
        let output = psql.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Where its files are.
    #[must_use]
    pub fn data_folder(&self) -> &Path {
        &self.data
    }

    /// What it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// A folder that the server may use.
fn own_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    programs::give(folder.path());
    folder
}

fn write_private(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
