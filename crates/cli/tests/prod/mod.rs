//! A server with a vault `prod`, and somebody who may read what is in it.

#![allow(dead_code, reason = "each test binary uses the part it needs")]

use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::{Client, Process, Server, make_vault, private_folder, secret_in};
use crate::person::{Done, Person};

/// The server, its data and somebody with `resolve prod:*`.
pub(crate) struct Prod {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) reader: Person,
    folder: TempDir,
}

impl Prod {
    pub(crate) fn with(secrets: &[(&str, &str)]) -> Self {
        let folder = private_folder();
        let server = Server::start(&folder.path().join("data"));
        let mut client = server.client();
        let vault = make_vault(&mut client, "prod");
        for (name, value) in secrets {
            client.post("/vault_secrets", &secret_in(&vault, name, value)).expect_status(201);
        }
        let reader = Person::admin(&server).granted(&server, &["resolve prod:*"]);
        let reader = reader.set("PATH", "/usr/local/bin:/usr/bin:/bin");
        Self { server, client, reader, folder }
    }

    /// A path that nothing else uses.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `strongroom run` with these arguments.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.reader.run(&[&["run"], args].concat())
    }

    /// The same, expecting it to start nothing: the program would make the file.
    #[track_caller]
    pub(crate) fn refuses(&self, code: i32, args: &[&str]) -> String {
        let mark = self.path("started");
        let done = self.run(&[args, &["--", "touch", mark.to_str().unwrap()]].concat());
        assert_eq!(done.code, code, "{done:?}");
        assert!(!mark.exists(), "{done:?}");
        done.stderr
    }

    /// The same, left to run.
    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        Process::spawn_by(self.reader.command(&[]), &[&["run"], args].concat(), &[])
    }
}
