//! The supervisor of a program: passes signals on, has what is printed filtered, starts the program anew when its values
//! are others, and ends as the program ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid};
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level::emulate_default_handler;
use signal_hook::low_level::siginfo::Origin;
use strongroom_client::reference::Reference;
use strongroom_wire as wire;

use super::assign::{self, Assigned};
use super::left::{self, Left};
use super::pump::{Redactors, own, pump};
use super::signals::{ENDING, Event, Signals, Told, pass_on, send};
use super::{Run, not_started};
use crate::failure::{Failure, warn};
use crate::hygiene;
use crate::remote::run_files::Files;
use crate::remote::watch::{Rests, Trouble};

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
    left: Left,
    /// When the files are written again, after they could not be.
    retry: Option<(Instant, Rests)>,
    trouble: Trouble,
    /// What is kept of values that are gone.
    gone: Trouble,
}

/// What is to become of the program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It goes on.
    Runs,
    /// It is to end with all that it started, and is killed at that time, unless it was; then it is started anew.
    Restarts { kill_at: Option<Instant> },
    /// It has ended, or somebody has it end: it is not started anew.
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
        Self {
            run,
            program,
            assigned,
            files,
            redactors: redactors.map(Arc::new),
            open: 0,
            stage: Stage::Runs,
            left: Left::default(),
            retry: None,
            trouble: Trouble::default(),
            gone: Trouble::default(),
        }
    }

    /// Runs the program to its end, and ends as it did.
    pub(super) fn run(mut self, signals: &Signals) -> Result<ExitCode, Failure> {
        let unwaited = |error| Failure::new("the program cannot be waited for").because(error);
        hygiene::let_grow();
        self.write_files()?;
        if self.starts_anew()
            && let Err(error) = left::adopt()
        {
            warn(&format!("what the program leaves behind goes on when it is started anew: {error}"));
        }
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
            self.place_files(&signals.events);
            (self.stage, self.left) = (Stage::Runs, Left::default());
        }
    }

    /// Whether new values are a new start.
    fn starts_anew(&self) -> bool {
        self.run.watch && self.run.signal.is_none()
    }

    fn write_files(&self) -> Result<(), Failure> {
        let Some(files) = &self.files else { return Ok(()) };
        files.hold(self.file_values())
    }

    /// The files are where they are to be.
    fn file_values(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.assigned.iter().map(|one| (one.file_name(), one.expose_secret()))
    }

    /// Puts the files of a program that is started anew in place: before they are, it would find those from before.
    fn place_files(&mut self, events: &Receiver<Event>) {
        let mut placed = match &self.files {
            Some(files) if self.retry.is_none() => files.place(self.file_values().map(|(name, _)| name)),
            _ => self.write_files(),
        };
        let mut rests = Rests::new();
        while let Err(failure) = placed {
            self.trouble.tell(failure.amid("the program is not started anew for now").to_string());
            self.rest(events, rests.next());
            placed = self.write_files();
        }
        self.retry = None;
        self.trouble = Trouble::default();
    }

    /// Rests while there is no program.
    fn rest(&mut self, events: &Receiver<Event>, rest: Duration) {
        let end = Instant::now() + rest;
        while let Ok(event) = events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            match event {
                Event::Closed => self.open -= 1,
                Event::Signal(origin) => self.end_by(&origin),
                Event::Changed(secrets) => {
                    self.take_or_tell(secrets);
                }
            }
        }
    }

    /// Ends this process by a signal when nobody is left to pass it on to.
    fn end_by(&self, origin: &Origin) {
        if ENDING.contains(&origin.signal) {
            self.files.iter().for_each(Files::remove);
            let _ = emulate_default_handler(origin.signal);
        }
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

    /// Waits until the program has ended and everything that it, or what it started, has printed is through; where it is
    /// started anew, until nothing of it is left.
    fn wait(&mut self, child: &mut Child, events: &Receiver<Event>) -> io::Result<ExitStatus> {
        let mut status = child.try_wait()?;
        loop {
            if let Some(status) = status
                && self.is_over()
            {
                return Ok(status);
            }
            match self.next(events) {
                Ok(Event::Closed) => self.open -= 1,
                Ok(Event::Signal(origin)) if origin.signal == SIGCHLD => {
                    if status.is_none() && self.starts_anew() {
                        left::reap(Pid::from_child(child));
                    }
                    status = child.try_wait()?;
                }
                Ok(Event::Signal(origin)) if status.is_none() => {
                    if ENDING.contains(&origin.signal) {
                        self.stage = Stage::Ends;
                    }
                    pass_on(child, &origin);
                }
                Ok(Event::Signal(origin)) => self.end_by(&origin),
                Ok(Event::Changed(secrets)) => {
                    status = child.try_wait()?;
                    if !self.has_ended(status) && self.take_or_tell(secrets) {
                        self.hand_over(child);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    status = child.try_wait()?;
                    self.due(child, status);
                }
                Err(RecvTimeoutError::Disconnected) => status = Some(child.wait()?),
            }
        }
    }

    /// Whether nothing is to be waited for any more once the program has ended.
    fn is_over(&mut self) -> bool {
        match self.stage {
            Stage::Restarts { kill_at } => self.left.end(kill_at.is_none()),
            Stage::Runs | Stage::Ends => {
                self.stage = Stage::Ends;
                self.open == 0
            }
        }
    }

    /// Whether the program has ended, and is not started anew.
    fn has_ended(&self, status: Option<ExitStatus>) -> bool {
        status.is_some() && !matches!(self.stage, Stage::Restarts { .. })
    }

    fn next(&self, events: &Receiver<Event>) -> Result<Event, RecvTimeoutError> {
        let kill_at = if let Stage::Restarts { kill_at } = self.stage { kill_at } else { None };
        match kill_at.into_iter().chain(self.retry.as_ref().map(|(at, _)| *at)).min() {
            Some(at) => events.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Does what was put off until now.
    fn due(&mut self, child: &Child, status: Option<ExitStatus>) {
        let now = Instant::now();
        if matches!(self.stage, Stage::Restarts { kill_at: Some(kill_at) } if kill_at <= now) {
            if status.is_none() {
                send(child, Signal::KILL);
            }
            self.stage = Stage::Restarts { kill_at: None };
        }
        if self.has_ended(status) {
            self.retry = None;
        } else if self.retry.as_ref().is_some_and(|(at, _)| *at <= now) {
            self.hand_over(child);
        }
    }

    /// Takes values that are others; says whether the program is to get them.
    fn take_or_tell(&mut self, secrets: Vec<wire::ResolvedSecret>) -> bool {
        match self.take(secrets) {
            Ok(is_other) => {
                if self.retry.is_none() {
                    self.trouble = Trouble::default();
                }
                is_other
            }
            Err(failure) => {
                let what = "values have changed, and the program keeps those from before";
                self.trouble.tell(failure.amid(what).to_string());
                false
            }
        }
    }

    fn take(&mut self, secrets: Vec<wire::ResolvedSecret>) -> Result<bool, Failure> {
        let (assigned, kept) = assign::again(self.run, secrets, &self.assigned)?;
        if kept.is_empty() {
            self.gone = Trouble::default();
        } else {
            self.gone.tell(not_there(&kept).amid("the program keeps a value from before").to_string());
        }
        let is_there = |one: &Assigned, of: &[Assigned]| of.iter().any(|other| other.is_same_as(one));
        if assigned.iter().all(|now| is_there(now, &self.assigned)) {
            let before = self.assigned.iter();
            let gone: Vec<_> =
                before.filter(|before| !is_there(before, &assigned)).map(Assigned::secret).collect();
            // A program is not started anew to have less.
            return if gone.is_empty() { Ok(false) } else { Err(not_there(&gone)) };
        }
        if let Some(redactors) = &self.redactors {
            redactors.add(&assigned)?;
        }
        self.assigned = assigned;
        Ok(true)
    }

    /// Has the program get the values, once the files have them: a program that goes on finds them there, and one that is
    /// started anew when it starts, and not before.
    fn hand_over(&mut self, child: &Child) {
        let written = match &self.files {
            Some(files) if self.run.signal.is_none() => files.stage(self.file_values()),
            _ => self.write_files(),
        };
        if let Err(failure) = written {
            let what = "values have changed, and the program keeps those from before for now";
            self.trouble.tell(failure.amid(what).to_string());
            let mut rests = self.retry.take().map_or_else(Rests::new, |(_, rests)| rests);
            self.retry = Some((Instant::now() + rests.next(), rests));
            return;
        }
        self.retry = None;
        self.trouble = Trouble::default();
        match (self.stage, self.run.signal) {
            (Stage::Runs, None) => {
                send(child, Signal::TERM);
                self.stage = Stage::Restarts { kill_at: Some(Instant::now() + self.run.grace.0) };
            }
            (Stage::Runs, Some(Told(signal))) => send(child, signal),
            (Stage::Restarts { .. } | Stage::Ends, _) => {}
        }
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
