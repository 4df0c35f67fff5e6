//! A person with a shell: the commands that talk to a server, with an environment of their own.

#![allow(dead_code, reason = "each test binary uses the part it needs")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::process::BINARY;
use crate::harness::{Server, first_key, text};

/// Variables and a home folder that no other test shares.
pub(crate) struct Person {
    home: TempDir,
    variables: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Person {
    /// Somebody who has neither a URL nor a key.
    pub(crate) fn stranger() -> Self {
        Self { home: TempDir::new().unwrap(), variables: Vec::new() }
    }

    /// Somebody with that token of that server in their variables.
    pub(crate) fn with_key(server: &Server, token: &str) -> Self {
        Self::stranger().set("STRONGROOM_URL", &server.url).set("STRONGROOM_API_KEY", token)
    }

    /// The admin whose key the first start wrote.
    pub(crate) fn admin(server: &Server) -> Self {
        Self::with_key(server, &first_key(&server.data))
    }

    /// Sets a variable, replacing one of that name.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(there, _)| there != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What one of their variables holds.
    pub(crate) fn variable(&self, name: &str) -> &str {
        self.variables.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str()).unwrap()
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The binary in this environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env_clear().env("HOME", self.home());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.feed(args, b"")
    }

    /// Runs a command with these bytes on its standard input, which is a pipe.
    pub(crate) fn feed(&self, args: &[&str], input: &[u8]) -> Done {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that needs no input may have ended before it is written.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let done = Done {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        assert!(!done.stderr.contains("panicked"), "{args:?}: {done:?}");
        done
    }

    /// Runs a command that has to succeed, and gives what it printed.
    #[track_caller]
    pub(crate) fn does(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done.stdout
    }

    /// The same, as JSON.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let printed = self.does(args);
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{args:?}: {error} in {printed}"))
    }

    /// Runs a command that has to end with this code and a clear error, and to print nothing else.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, code, "{args:?}: {done:?}");
        assert_eq!(done.stdout, "", "{args:?}");
        assert!(done.stderr.contains("error: "), "{args:?}: {done:?}");
        done.stderr
    }

    /// A file of theirs with these bytes; its path.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.home().join(name);
        std::fs::write(&path, bytes).unwrap();
        text(&path).to_owned()
    }

    /// The same person with a new key that has these grants.
    pub(crate) fn granted(&self, server: &Server, grants: &[&str]) -> Self {
        let mut args = vec!["api-key", "create", "--output", "json"];
        args.extend(grants.iter().flat_map(|grant| ["--grant", grant]));
        let token = self.json(&args)["token"].as_str().unwrap().to_owned();
        Self::with_key(server, &token)
    }
}
