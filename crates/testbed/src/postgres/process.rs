//! The processes of a server: started, stopped, crashed, frozen.

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Postgres, Stop};
use crate::programs::program;
use crate::{PATIENCE, poll};

/// The first of a server's processes, which the others are children of.
pub(super) struct Process(Child);

impl Process {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    fn tell(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Itself and its children.
    fn all(&self) -> Vec<Pid> {
        let own = self.0.id();
        let children = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name, in brackets, may hold anything; what follows is the state and the parent.
            let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            (parent == own).then_some(pid)
        });
        let all = std::iter::once(own).chain(children);
        all.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).collect()
    }
}

impl Postgres {
    /// Starts it after it was stopped, or went down by itself, on the same port and with the same data.
    ///
    /// # Panics
    /// If it runs, or does not come up.
    pub fn start_again(&mut self) {
        assert!(!self.is_running(), "it runs");
        // What a killed server left behind ends soon, and keeps the next one from starting until then.
        poll("PostgreSQL starts", || {
            let started = self.try_to_start();
            assert!(started || !self.log().contains("could not bind"), "{}", self.log());
            started.then_some(())
        });
    }

    /// Whether it came up.
    pub fn try_to_start(&mut self) -> bool {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut server = program("postgres", self.folder.path());
        server.arg("-D").arg(&self.data).args(["-h", "127.0.0.1", "-p", &self.port.number().to_string()]);
        server.arg("-k").arg(self.folder.path());
        for flag in &self.flags {
            server.args(["-c", flag]);
        }
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = Process(server.spawn().unwrap());
        let up = poll("PostgreSQL comes up or ends", || match process.0.try_wait().unwrap() {
            Some(_) => Some(false),
            None => self.says_ready(&process).then_some(true),
        });
        self.process = up.then_some(process);
        up
    }

    /// Its file of the process says so, in the first and the last line.
    fn says_ready(&self, process: &Process) -> bool {
        let told = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = told.lines().map(str::trim);
        lines.next() == Some(&process.0.id().to_string())
            && matches!(lines.next_back(), Some("ready" | "standby"))
    }

    /// Whether its first process lives. It goes down by itself where it cannot write its log.
    pub fn is_running(&mut self) -> bool {
        if self.process.as_mut().is_some_and(|process| process.0.try_wait().unwrap().is_some()) {
            self.process = None;
        }
        self.process.is_some()
    }

    /// Stops it, and waits until it is down.
    ///
    /// # Panics
    /// If it does not run.
    pub fn stop(&mut self, how: Stop) {
        let signal = if how == Stop::Fast { Signal::INT } else { Signal::QUIT };
        let mut process = self.process.take().expect("it runs");
        process.tell(signal);
        poll("PostgreSQL stops", || process.0.try_wait().unwrap());
    }

    /// Kills all of its processes at once, as a machine that loses its power does, but that what was written is still with the system.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        // The first one first, so that it starts no others.
        for pid in process.all() {
            // One that has ended since is what is wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
        process.0.wait().unwrap();
    }

    /// Freezes it: it keeps its connections, takes new ones as far as the system does, and answers nothing.
    ///
    /// # Panics
    /// If it does not run.
    pub fn freeze(&self) {
        self.tell_all(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it does not run.
    pub fn thaw(&self) {
        self.tell_all(Signal::CONT);
    }

    fn tell_all(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        for pid in process.all() {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Nobody needs its files any more. One that is frozen gets the signal once it goes on.
        let _ = kill_process(process.pid(), Signal::QUIT);
        for pid in process.all() {
            let _ = kill_process(pid, Signal::CONT);
        }
        let begun = std::time::Instant::now();
        while matches!(process.0.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                let _ = process.0.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
