//! Starting, watching and ending one `strongroom` process.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Client, database, first_key, poll, text};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");

/// A process whose output goes to files, so that a full pipe never stalls it and a test may read it at any time.
pub(crate) struct Process {
    child: Child,
    output: TempDir,
}

/// What a command that ended by itself has left.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn success(&self) -> bool {
        self.status.success()
    }

    /// Fails unless the command ended by its own decision with an error, rather than by a panic or a signal.
    pub(crate) fn expect_refusal(&self) -> &Self {
        let code = self.status.code();
        assert!(
            code.is_some_and(|code| code != 0 && code != 101),
            "ended with {}: {}",
            self.status,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

impl Process {
    pub(crate) fn spawn(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::spawn_by(Command::new(BINARY), args, env)
    }

    /// Spawns a command that becomes the binary.
    pub(crate) fn spawn_by(mut command: Command, args: &[&str], env: &[(&str, &str)]) -> Self {
        let output = TempDir::new().unwrap();
        let file = |name| Stdio::from(File::create(output.path().join(name)).unwrap());
        command.args(args).stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        forget_settings(&mut command);
        command.envs(database::settings(args));
        command.env("NO_COLOR", "1").env("HOME", output.path()).envs(env.iter().copied());
        Self { child: command.spawn().expect("the binary starts"), output }
    }

    pub(crate) fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(mut self) -> Ran {
        let status = poll("the process ends", || self.exited());
        Ran { status, stdout: self.stdout(), stderr: self.stderr() }
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// `kill -9`, and waits until the kernel has let go of its files and locks.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.signal().is_some(), "it had ended by itself with {status}: {}", self.stderr());
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output.path().join(name)).unwrap()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Settings of whoever runs the tests must not reach the server under test.
#[expect(clippy::disallowed_methods, reason = "it reads no setting, it takes them all away")]
fn forget_settings(command: &mut Command) {
    let names = std::env::vars_os().map(|(name, _)| name);
    let settings = ["RUST_LOG", "NGROK_API_KEY", "XDG_CONFIG_HOME", "HOME", "CREDENTIALS_DIRECTORY"];
    for name in names.filter(|name| {
        settings.iter().any(|setting| name == setting) || name.to_string_lossy().starts_with("STRONGROOM_")
    }) {
        command.env_remove(name);
    }
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Ran {
    Process::spawn(args, &[]).wait()
}

/// A server that listens.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) data: PathBuf,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, args: &[&str]) -> Self {
        Self::wait_until_ready(data, Self::spawn(data, args))
    }

    /// Starts the process without waiting for it: it may be killed before it listens.
    pub(crate) fn spawn(data: &Path, args: &[&str]) -> Process {
        Self::spawn_in(data, args, &[])
    }

    /// The same with variables of its environment.
    pub(crate) fn spawn_in(data: &Path, args: &[&str], env: &[(&str, &str)]) -> Process {
        let serve = ["serve", "--data-dir", text(data), "--listen", "127.0.0.1:0"];
        Process::spawn(&[&serve, args].concat(), env)
    }

    pub(crate) fn wait_until_ready(data: &Path, mut process: Process) -> Self {
        let url = poll("the server prints its URL", || {
            if let Some(status) = process.exited() {
                panic!("the server ended with {status}: {}{}", process.stdout(), process.stderr());
            }
            printed_url(&process.stdout())
        });
        Self { process, data: data.to_owned(), url }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("a plain URL")
    }

    /// A client with the admin's first key.
    pub(crate) fn client(&self) -> Client {
        self.client_with(&first_key(&self.data))
    }

    pub(crate) fn client_with(&self, token: &str) -> Client {
        Client::new(self.address(), token)
    }

    /// Ends it politely, and leaves its data.
    pub(crate) fn pause(&mut self) {
        self.process.terminate();
        let status = poll("the server ends", || self.process.exited());
        assert_eq!(status.code(), Some(0), "after SIGTERM: {}", self.process.stderr());
    }

    /// Starts it anew after a pause, at an address of the caller's choice.
    pub(crate) fn resume_at(&mut self, address: &str) {
        let args = ["serve", "--data-dir", text(&self.data), "--listen", address];
        let process = Process::spawn(&args, &[]);
        *self = Self::wait_until_ready(&self.data.clone(), process);
    }

    /// Ends it politely, as a service manager does, and fails unless it exits with 0.
    pub(crate) fn stop(self) {
        self.process.terminate();
        let ran = self.process.wait();
        assert_eq!(ran.status.code(), Some(0), "after SIGTERM: {}", ran.stderr);
    }
}

/// The URL is complete once its line is: a line may be read half written.
fn printed_url(stdout: &str) -> Option<String> {
    let whole_lines = &stdout[..stdout.rfind('\n')?];
    let line = whole_lines.lines().find(|line| line.trim_start().starts_with("URL "))?;
    line.split_whitespace().nth(1).map(|url| url.trim_end_matches('/').to_owned())
}
