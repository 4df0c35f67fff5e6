//! What a program started and left behind when it ended, such as the server of `sh -c 'server & wait'`: it is ended too
//! before the program is started anew, which would meet it otherwise.
//!
//! A process group would be taken from the terminal's foreground, and a program may leave it; children of a process that
//! ended come to the nearest subreaper above them, whatever they have done.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

/// Has processes that are left behind become children of this one.
pub(super) fn adopt() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Lets those go that have ended, of all but the program itself.
pub(super) fn reap(program: Pid) {
    for pid in children().into_iter().filter(|pid| *pid != program) {
        is_there(pid);
    }
}

/// What is left behind of a program that has ended.
#[derive(Default)]
pub(super) struct Left {
    told: Vec<Pid>,
}

impl Left {
    /// Has what is left end, or kills it; says whether nothing is left.
    pub(super) fn end(&mut self, kill: bool) -> bool {
        let there: Vec<Pid> = children().into_iter().filter(|pid| is_there(*pid)).collect();
        let mut is_left = false;
        for pid in there {
            let is_told = self.told.contains(&pid);
            if !is_told {
                self.told.push(pid);
            }
            is_left |= match (kill, is_told) {
                // Another user's, as of a setuid program, is not for this process to end.
                (true, _) => kill_process(pid, Signal::KILL) != Err(Errno::PERM),
                (false, false) => kill_process(pid, Signal::TERM) != Err(Errno::PERM),
                (false, true) => true,
            };
        }
        !is_left
    }
}

/// Whether a child has not ended. One that has is let go.
fn is_there(pid: Pid) -> bool {
    matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

/// The children of this process, also those that have ended and were not waited for.
fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().get();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(own)).filter_map(Pid::from_raw).collect()
}

/// Field 4 of proc_pid_stat(5), behind a name in parentheses that may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}
