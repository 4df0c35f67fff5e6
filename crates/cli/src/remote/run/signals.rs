//! What happens while a program runs: signals above all, which are passed on.

use std::fs;
use std::io;
use std::process::Child;
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};
use strongroom_wire as wire;

use crate::failure::Failure;
use crate::remote::watch::Watch;

/// What the supervisor passes on to the program.
const PASSED_ON: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];
/// Those of them that say that the program is to end.
pub(super) const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// What happens while the program runs.
pub(super) enum Event {
    Signal(Origin),
    /// A stream came to its end.
    Closed,
    /// Values are others.
    Changed(Vec<wire::ResolvedSecret>),
}

/// Signals, caught from the start of the watch on.
pub(super) struct Signals {
    pub(super) sender: Sender<Event>,
    pub(super) events: Receiver<Event>,
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

/// A signal that the program gets in place of being started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told(pub(super) Signal);

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

/// Passes a signal on to the program.
pub(super) fn pass_on(child: &Child, origin: &Origin) {
    // A terminal sends these to all in its foreground, the program among them.
    let is_typed = origin.cause == Cause::Kernel && [SIGINT, SIGQUIT, SIGWINCH].contains(&origin.signal);
    if let Some(signal) = Signal::from_named_raw(origin.signal)
        && !is_typed
    {
        send(child, signal);
    }
}

/// Sends a signal to the program.
pub(super) fn send(child: &Child, signal: Signal) {
    // It may be gone by now, and is not waited for yet: its pid is no other's.
    let _ = kill_process(Pid::from_child(child), signal);
}
