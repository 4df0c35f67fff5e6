//! The supervisor of a program: passes signals on, filters what is printed, and ends as the program ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::emulate_default_handler;
use signal_hook::low_level::siginfo::{Cause, Origin};
use strongroom_client::redact::{Redactor, Stream};
use zeroize::Zeroizing;

use super::super::run_files::Files;
use super::not_started;
use crate::failure::Failure;
use crate::hygiene;

/// What the supervisor passes on to the program.
const PASSED_ON: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];

/// What happens while the program runs.
enum Event {
    Signal(Origin),
    /// A stream came to its end.
    Closed,
}

/// Signals, caught from the start of the watch on.
pub(super) struct Signals {
    sender: Sender<Event>,
    events: Receiver<Event>,
}

impl Signals {
    pub(super) fn watch() -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new("signals cannot be watched").because(error);
        let ignored = ignored_signals();
        // What was ignored before, as by nohup, stays ignored: the program inherits it.
        let wanted = PASSED_ON.iter().filter(|&&signal| ignored & (1 << (signal - 1)) == 0);
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
}

/// The ignored signals, one bit each from the first (proc_pid_status(5)).
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
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

/// Runs the program to its end, and ends as it did.
pub(super) fn supervise(
    mut command: Command,
    program: &str,
    signals: Signals,
    redactor: Option<&Redactor>,
    files: Option<Files>,
) -> Result<ExitCode, Failure> {
    if redactor.is_some() {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    hygiene::let_grow();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(not_started(program, error)),
    };
    // It holds the values, and the program has them now.
    drop(command);
    let status = thread::scope(|scope| {
        let Signals { sender, events } = signals;
        let mut open = 0;
        if let (Some(redactor), Some(stdout), Some(stderr)) =
            (redactor, child.stdout.take(), child.stderr.take())
        {
            open = 2;
            let closed = sender.clone();
            let to = own(io::stdout());
            scope.spawn(move || {
                pump(stdout, to, redactor.stream());
                closed.send(Event::Closed)
            });
            let to = own(io::stderr());
            scope.spawn(move || {
                pump(stderr, to, redactor.stream());
                sender.send(Event::Closed)
            });
        }
        wait(&mut child, &events, open, &files)
    });
    let status = status.map_err(|error| Failure::new("the program cannot be waited for").because(error))?;
    drop(files);
    Ok(end_as(status))
}

/// Waits until the program has ended and everything that it, or what it started, has printed is through.
fn wait(
    child: &mut Child,
    events: &Receiver<Event>,
    mut open: usize,
    files: &Option<Files>,
) -> io::Result<ExitStatus> {
    let mut status = child.try_wait()?;
    loop {
        if let Some(status) = status
            && open == 0
        {
            return Ok(status);
        }
        match events.recv() {
            Ok(Event::Closed) => open -= 1,
            Ok(Event::Signal(origin)) if origin.signal == SIGCHLD => status = child.try_wait()?,
            Ok(Event::Signal(origin)) if status.is_none() => pass_on(child, &origin),
            Ok(Event::Signal(origin)) if [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&origin.signal) => {
                // Nobody is left to pass it on to.
                files.iter().for_each(Files::remove);
                let _ = emulate_default_handler(origin.signal);
            }
            Ok(Event::Signal(_)) => (),
            Err(_) => status = Some(child.wait()?),
        }
    }
}

fn pass_on(child: &Child, origin: &Origin) {
    // A terminal sends these to all in its foreground, the program among them.
    let is_typed = origin.cause == Cause::Kernel && [SIGINT, SIGQUIT, SIGWINCH].contains(&origin.signal);
    if let Some(signal) = Signal::from_named_raw(origin.signal)
        && !is_typed
    {
        // It may be gone by now, and is not waited for yet: its pid is no other's.
        let _ = kill_process(Pid::from_child(child), signal);
    }
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

/// A stream of this process without a buffer in between.
fn own(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// Filters one stream to its end. When nobody reads any more, the program is told by its own next write.
fn pump(mut from: impl Read, to: io::Result<File>, mut stream: Stream<'_>) {
    let Ok(mut to) = to else { return };
    let mut chunk = Zeroizing::new(vec![0; 64 << 10]);
    let mut out = Vec::new();
    loop {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => stream.push(&chunk[..length], &mut out),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        if write_all(&mut to, &out).is_err() {
            return;
        }
        out.clear();
    }
    stream.finish(&mut out);
    let _ = write_all(&mut to, &out);
}

/// Writes to what may have been made non-blocking by those who share it.
fn write_all(to: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(1))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
