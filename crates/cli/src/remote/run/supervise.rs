//! The supervisor of a program: passes signals on, has what is printed filtered, starts the program anew when its values
//! are others, and ends as the program ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, getpid, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::emulate_default_handler;
use signal_hook::low_level::siginfo::{Cause, Origin};
use strongroom_client::reference::Reference;
use strongroom_wire as wire;

use super::assign::{self, Assigned};
use super::pump::{Redactors, own, pump};
use super::{Run, not_started};
use crate::failure::Failure;
use crate::hygiene;
use crate::remote::run_files::Files;
use crate::remote::watch::{Trouble, Watch};

/// What the supervisor passes on to the program.
const PASSED_ON: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];
/// Those of them that say that the program is to end.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// What happens while the program runs.
enum Event {
    Signal(Origin),
    /// A stream came to its end.
    Closed,
    /// Values are others.
    Changed(Vec<wire::ResolvedSecret>),
}

/// Signals, caught from the start of the watch on.
pub(super) struct Signals {
    sender: Sender<Event>,
    events: Receiver<Event>,
}

impl Signals {
    pub(super) fn watch() -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new("signals cannot be watched").because(error);
        // What was ignored before, as by nohup, stays ignored: the program inherits it.
        let wanted = PASSED_ON.iter().filter(|&&signal| !is_ignored(signal));
        let mut signals = SignalsInfo::<WithOrigin>::new(wanted.chain(&[SIGCHLD])).map_err(failed)?;
        let (sender, events) = mpsc::channel();
        let watcher = sender.clone();
        let watch = move || {
            for origin in signals.forever() {
                if watcher.send(Event::Signal(origin)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(failed)?;
        Ok(Self { sender, events })
    }

    /// Has changes of values told among the signals.
    pub(super) fn follow(&self, mut watch: Watch) -> Result<(), Failure> {
        let sender = self.sender.clone();
        let follow = move || while sender.send(Event::Changed(watch.next())).is_ok() {};
        let spawned = thread::Builder::new().name("watch".to_owned()).spawn(follow);
        spawned.map(drop).map_err(|error| Failure::new("the values cannot be watched").because(error))
    }
}

/// Whether a signal is ignored: one bit each from the first (proc_pid_status(5)).
pub(crate) fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
    ignored & (1 << (signal - 1)) != 0
}

/// This program once more, to become the one that is to be run: only a process itself can ask to be ended with its parent.
pub(super) fn command(program: &[OsString]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("strongroom")
        .args(["run", "--supervisor"])
        .arg(getpid().to_string())
        .arg("--")
        .args(program);
    command
}

/// A signal that the program gets in place of being started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told(Signal);

impl FromStr for Told {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.to_ascii_uppercase();
        Ok(Self(match name.strip_prefix("SIG").unwrap_or(&name) {
            "HUP" => Signal::HUP,
            "INT" => Signal::INT,
            "QUIT" => Signal::QUIT,
            "TERM" => Signal::TERM,
            "USR1" => Signal::USR1,
            "USR2" => Signal::USR2,
            "WINCH" => Signal::WINCH,
            _ => return Err("expected HUP, INT, QUIT, TERM, USR1, USR2 or WINCH"),
        }))
    }
}

/// A program that runs, and what it was given.
pub(super) struct Supervisor<'a> {
    run: &'a Run,
    program: &'a str,
    assigned: Vec<Assigned>,
    files: Option<Files>,
    redactors: Option<Arc<Redactors>>,
    /// Streams of the program that are not at their end.
    open: usize,
    stage: Stage,
    trouble: Trouble,
}

/// What is to become of the program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It goes on.
    Runs,
    /// It is to end, and is killed at that time, unless it was; then it is started anew.
    Restarts { kill_at: Option<Instant> },
    /// Somebody has it end: it is not started anew.
    Ends,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        run: &'a Run,
        program: &'a str,
        assigned: Vec<Assigned>,
        files: Option<Files>,
        redactors: Option<Redactors>,
    ) -> Self {
        let redactors = redactors.map(Arc::new);
        let trouble = Trouble::default();
        Self { run, program, assigned, files, redactors, open: 0, stage: Stage::Runs, trouble }
    }

    /// Runs the program to its end, and ends as it did.
    pub(super) fn run(mut self, signals: &Signals) -> Result<ExitCode, Failure> {
        let unwaited = |error| Failure::new("the program cannot be waited for").because(error);
        hygiene::let_grow();
        self.write_files()?;
        loop {
            let mut child = match self.start(signals) {
                Ok(child) => child,
                Err(error) => return Ok(not_started(self.program, error)),
            };
            let status = self.wait(&mut child, &signals.events).map_err(unwaited)?;
            if !matches!(self.stage, Stage::Restarts { .. }) {
                drop(self.files);
                return Ok(end_as(status));
            }
            self.stage = Stage::Runs;
            if let Err(failure) = self.write_files() {
                self.trouble.tell(failure.to_string());
            }
        }
    }

    fn write_files(&self) -> Result<(), Failure> {
        let Some(files) = &self.files else { return Ok(()) };
        // The files are where they are to be.
        files.hold(self.assigned.iter().map(|one| (one.file_name(), one.expose_secret())))
    }

    fn start(&mut self, signals: &Signals) -> io::Result<Child> {
        // It holds the values, and is gone as soon as the program has them.
        let mut command = self.run.supervised(&self.assigned, self.files.as_ref());
        let Some(redactors) = &self.redactors else { return command.spawn() };
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            self.open += 2;
            pass(stdout, own(io::stdout()), redactors, &signals.sender)?;
            pass(stderr, own(io::stderr()), redactors, &signals.sender)?;
        }
        Ok(child)
    }

    /// Waits until the program has ended and, unless it is started anew, everything that it, or what it started, has printed
    /// is through.
    fn wait(&mut self, child: &mut Child, events: &Receiver<Event>) -> io::Result<ExitStatus> {
        let mut status = child.try_wait()?;
        loop {
            if let Some(status) = status
                && (self.open == 0 || matches!(self.stage, Stage::Restarts { .. }))
            {
                return Ok(status);
            }
            match self.next(events) {
                Ok(Event::Closed) => self.open -= 1,
                Ok(Event::Signal(origin)) if origin.signal == SIGCHLD => status = child.try_wait()?,
                Ok(Event::Signal(origin)) if status.is_none() => {
                    if ENDING.contains(&origin.signal) {
                        self.stage = Stage::Ends;
                    }
                    pass_on(child, &origin);
                }
                Ok(Event::Signal(origin)) if ENDING.contains(&origin.signal) => {
                    // Nobody is left to pass it on to.
                    self.files.iter().for_each(Files::remove);
                    let _ = emulate_default_handler(origin.signal);
                }
                Ok(Event::Signal(_)) => (),
                Ok(Event::Changed(secrets)) => {
                    status = child.try_wait()?;
                    if status.is_none() {
                        self.changed(child, secrets);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    send(child, Signal::KILL);
                    self.stage = Stage::Restarts { kill_at: None };
                }
                Err(RecvTimeoutError::Disconnected) => status = Some(child.wait()?),
            }
        }
    }

    fn next(&self, events: &Receiver<Event>) -> Result<Event, RecvTimeoutError> {
        match self.stage {
            Stage::Restarts { kill_at: Some(kill_at) } => {
                events.recv_timeout(kill_at.saturating_duration_since(Instant::now()))
            }
            _ => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Has the program get values that are others, if any of them is one that it was given.
    fn changed(&mut self, child: &Child, secrets: Vec<wire::ResolvedSecret>) {
        let taken = self.take(secrets);
        if taken.is_ok() {
            self.trouble = Trouble::default();
        }
        match taken {
            Ok(false) => {}
            Ok(true) => match (self.stage, self.run.signal) {
                (Stage::Runs, None) => {
                    send(child, Signal::TERM);
                    self.stage = Stage::Restarts { kill_at: Some(Instant::now() + self.run.grace.0) };
                }
                (Stage::Runs, Some(Told(signal))) => send(child, signal),
                (Stage::Restarts { .. } | Stage::Ends, _) => {}
            },
            Err(failure) => {
                let what = "values have changed, and the program keeps those from before";
                self.trouble.tell(failure.amid(what).to_string());
            }
        }
    }

    /// Takes values; says whether the program is to get them.
    fn take(&mut self, secrets: Vec<wire::ResolvedSecret>) -> Result<bool, Failure> {
        let assigned = assign::assign(self.run, secrets)?;
        let is_there = |one: &Assigned, of: &[Assigned]| of.iter().any(|other| other.is_same_as(one));
        if assigned.iter().all(|now| is_there(now, &self.assigned)) {
            let gone: Vec<_> = self
                .assigned
                .iter()
                .filter(|before| !is_there(before, &assigned))
                .map(Assigned::secret)
                .collect();
            // A program is not started anew to have less.
            return if gone.is_empty() { Ok(false) } else { Err(not_there(&gone)) };
        }
        if let Some(redactors) = &self.redactors {
            redactors.add(&assigned)?;
        }
        let before = std::mem::replace(&mut self.assigned, assigned);
        // Where the program is started anew, it finds them when it starts, and not before.
        if self.run.signal.is_some()
            && let Err(failure) = self.write_files()
        {
            self.assigned = before;
            return Err(failure);
        }
        Ok(true)
    }
}

fn not_there(gone: &[Reference]) -> Failure {
    let names: Vec<_> = gone.iter().map(ToString::to_string).collect();
    let are = if names.len() == 1 { "is" } else { "are" };
    Failure::new(format!("{} {are} not there any more", names.join(", ")))
}

/// Filters a stream of the program in a thread of its own.
fn pass(
    from: impl Read + Send + 'static,
    to: io::Result<File>,
    redactors: &Arc<Redactors>,
    closed: &Sender<Event>,
) -> io::Result<()> {
    let (redactors, closed) = (redactors.clone(), closed.clone());
    let work = move || {
        pump(from, to, &redactors);
        // Nobody listens any more once the program is not waited for.
        let _ = closed.send(Event::Closed);
    };
    thread::Builder::new().name("output".to_owned()).spawn(work).map(drop)
}

fn pass_on(child: &Child, origin: &Origin) {
    // A terminal sends these to all in its foreground, the program among them.
    let is_typed = origin.cause == Cause::Kernel && [SIGINT, SIGQUIT, SIGWINCH].contains(&origin.signal);
    if let Some(signal) = Signal::from_named_raw(origin.signal)
        && !is_typed
    {
        send(child, signal);
    }
}

fn send(child: &Child, signal: Signal) {
    // It may be gone by now, and is not waited for yet: its pid is no other's.
    let _ = kill_process(Pid::from_child(child), signal);
}

/// The exit code of the program; if a signal ended it, that signal ends this process too.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        let _ = emulate_default_handler(signal);
        // A signal that this process survives: told as shells do.
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    }
    // Of an exit code the system gives eight bits.
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
