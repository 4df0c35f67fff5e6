//! `strongroom run`: a program with values in its environment, or in files of its own.
//!
//! Plainly, this process becomes the program: pid, signals and exit code are the program's own. With `--files` or
//! `--redact` there is something left to do, and it stays as a supervisor.

mod assign;
mod left;
mod pump;
mod signals;
mod supervise;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use strongroom_client::env_name;

use super::Remote;
use super::run_files::Files;
use super::values::{self, CacheOptions};
use super::watch::Watch;
use crate::failure::{self, Failure, Kind, warn};
use crate::hygiene;
use crate::units::Time;
use assign::{Assigned, Mapping};
use pump::Redactors;
pub(crate) use signals::is_ignored;
use signals::{Signals, Told};
use supervise::Supervisor;

/// What stands below the flags. A line here is a paragraph there: it is wrapped to the terminal.
pub(crate) const HELP: &str = "\
Examples:
  strongroom run --vault prod -- ./server
  strongroom run --vault prod --only db-password,api-token -- ./migrate
  strongroom run --map PGPASSWORD=prod:db-password -- psql -h db.example.com
  strongroom run --vault prod --files --redact -- ./server
  strongroom run --vault prod --watch -- ./server
  strongroom run --vault prod --files --watch --signal HUP -- ./server

The secret db-password becomes the variable DB_PASSWORD: upper case, and _ for what is no letter or digit. Two secrets of \
one variable are refused, and so are names that change how programs run, such as PATH or LD_PRELOAD, unless --map says \
them. Nothing is started when a value is missing.

Strongroom becomes the program: its pid, signals and exit code are the program's own. With --files or --redact it stays, \
passes signals on and ends as the program does; if it is killed, the program gets SIGTERM, and the next run removes the \
files. With --redact it waits for all who write to the program's output.

With --watch it stays too, and starts the program anew when a value that it was given has changed: SIGTERM, after --grace SIGKILL, \
to it and then to what it has left behind, then the program with the new values. Once SIGTERM, SIGINT, SIGQUIT or SIGHUP was passed on, nothing is started any more. When \
the server cannot be reached, that is told once, and the program goes on as it is. A value that is not there any more is told once and \
stays as it was, while the others are followed.

Exit codes: the program's own; 127 it is not there, 126 it cannot be executed; before it is started, those of all commands.";

#[derive(Args)]
pub(crate) struct Run {
    /// Give the program every secret of this vault, as db-password in DB_PASSWORD; may be repeated
    #[arg(long, value_name = "VAULT", required_unless_present_any = ["map", "supervisor"])]
    vault: Vec<String>,
    /// Of the vaults only these: names of secrets, or of the variables they become
    ///
    /// Names in lower case, of one vault, are asked for alone. Otherwise all of the vaults is read, and the rest dropped.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "vault")]
    only: Vec<String>,
    /// Put this before each variable's name
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true, requires = "vault", value_parser = prefix)]
    prefix: String,
    /// One more secret, under a name of your choice; may be repeated
    #[arg(long, value_name = "NAME=VAULT:SECRET")]
    map: Vec<Mapping>,
    /// Give values as files in a private folder in memory, and their paths as NAME_FILE
    #[arg(long)]
    files: bool,
    /// Where to make that folder, also if it is on a disk [default: $XDG_RUNTIME_DIR or /dev/shm]
    #[arg(long, value_name = "DIR", requires = "files")]
    files_dir: Option<PathBuf>,
    /// Take values out of what the program prints
    ///
    /// In place of the values, each of their lines, and their base64, URL-escaped and JSON-escaped forms stands "redacted". The program
    /// sees a pipe in place of a terminal: some print without colours then, or in larger portions.
    #[arg(long)]
    redact: bool,
    /// Start the program anew as soon as a value that it was given has changed
    #[arg(long)]
    watch: bool,
    /// How long the program has to end when it is to be started anew; then it is killed
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "watch", value_parser = grace)]
    grace: Time,
    /// Rather send the program this signal, such as HUP or USR1: with --files, once the new values are in them
    #[arg(long, value_name = "SIGNAL", requires = "watch", conflicts_with = "grace")]
    signal: Option<Told>,
    /// Leave STRONGROOM_API_KEY and NGROK_API_KEY in the program's environment
    #[arg(long)]
    keep_key: bool,
    #[command(flatten)]
    cache: CacheOptions,
    #[command(flatten)]
    remote: Remote,
    /// The process that waits for the program: which is ended when that process is gone
    #[arg(long, hide = true, value_name = "PID")]
    supervisor: Option<i32>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The variables that a key comes in. The program gets values, and not what opens them.
const KEYS: [&str; 2] = ["STRONGROOM_API_KEY", "NGROK_API_KEY"];

impl Run {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let program = self.command[0].to_string_lossy().into_owned();
        if program.is_empty() {
            return Err(Failure::new("the command is empty")
                .todo("write it after --: strongroom run --vault prod -- COMMAND")
                .kind(Kind::Usage));
        }
        if let Some(supervisor) = self.supervisor {
            end_with(supervisor)?;
            return Ok(become_program(self.program(), &program));
        }
        hygiene::hide();
        let references = assign::references(&self.vault, &self.only, &self.map);
        if self.watch {
            let (watch, secrets) = Watch::start(&self.remote, &self.cache, references)?;
            let assigned = assign::assign(&self, secrets)?;
            return self.supervise(&program, assigned, Some(watch));
        }
        let secrets = values::fetch(&self.remote, &self.cache, &references)?;
        let assigned = assign::assign(&self, secrets)?;
        if self.files || self.redact {
            return self.supervise(&program, assigned, None);
        }
        let mut command = self.program();
        // To give them to the program is what they were fetched for.
        command.envs(assigned.iter().map(|one| (&one.variable, one.expose_secret())));
        // Zeroed here; the copies that the command holds go with all of this process' memory when it becomes the program.
        drop(assigned);
        Ok(become_program(command, &program))
    }

    fn program(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        self.without_keys(&mut command);
        command
    }

    fn without_keys(&self, command: &mut Command) {
        // What is started by a supervisor has been given its environment already.
        if !self.keep_key && self.supervisor.is_none() {
            for key in KEYS {
                command.env_remove(key);
            }
        }
    }

    fn supervise(
        &self,
        program: &str,
        assigned: Vec<Assigned>,
        watch: Option<Watch>,
    ) -> Result<ExitCode, Failure> {
        let redactors = if self.redact { Some(Redactors::new(&assigned)?) } else { None };
        // From here on no signal ends this process before the files are gone.
        let signals = Signals::watch()?;
        let files = if self.files { Some(Files::make(self.files_dir.as_deref())?) } else { None };
        if let Some(watch) = watch {
            signals.follow(watch)?;
        }
        Supervisor::new(self, program, assigned, files, redactors).run(&signals)
    }

    /// The program with its values, as one that is started by a supervisor.
    fn supervised(&self, assigned: &[Assigned], files: Option<&Files>) -> Command {
        let mut command = supervise::command(&self.command);
        self.without_keys(&mut command);
        for one in assigned {
            // To give them to the program is what they were fetched for.
            match files {
                Some(files) => command.env(&one.variable, files.path(one.file_name())),
                None => command.env(&one.variable, one.expose_secret()),
            };
        }
        command
    }
}

/// Has this process end when its parent does, as nobody would wait for the program or filter what it prints.
fn end_with(supervisor: i32) -> Result<(), Failure> {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        warn(&format!("the program will go on when strongroom is killed: {error}"));
    }
    // The parent may have ended before that was asked.
    if getppid() == Pid::from_raw(supervisor) {
        Ok(())
    } else {
        Err(Failure::new("strongroom ended before the program was started"))
    }
}

/// Becomes the program; what is returned is the exit code for when that failed.
fn become_program(mut command: Command, program: &str) -> ExitCode {
    hygiene::let_grow();
    let error = command.exec();
    not_started(program, error)
}

/// Tells why a program could not be started. The exit codes are those of shells (POSIX, Shell & Utilities 2.8.2).
fn not_started(program: &str, error: io::Error) -> ExitCode {
    let (code, failure) = match error.kind() {
        io::ErrorKind::NotFound => (
            127,
            Failure::new(format!("the command '{program}' is not there"))
                .todo("check its name, and PATH; of a script also the interpreter in its first line"),
        ),
        io::ErrorKind::ArgumentListTooLong => (
            126,
            Failure::new(format!(
                "'{program}' cannot be started: its environment is larger than the system takes"
            ))
            .todo("give it fewer values with --only, or give them with --files"),
        ),
        _ => (126, Failure::new(format!("the command '{program}' cannot be executed")).because(error)),
    };
    failure::tell(&failure);
    ExitCode::from(code)
}

fn prefix(text: &str) -> Result<String, env_name::Error> {
    env_name::check_prefix(text).map(|()| text.to_owned())
}

fn grace(text: &str) -> Result<Time, String> {
    const LONGEST: Duration = Duration::from_secs(60 * 60);
    let time: Time = text.parse()?;
    if time.0 > LONGEST { Err("expected a time of no more than 1h".to_owned()) } else { Ok(time) }
}
