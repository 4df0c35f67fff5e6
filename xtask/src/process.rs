//! Starting other programs, and never leaving one behind.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::Result;

/// How long a program that was asked to stop may take before it is killed.
const GRACE: Duration = Duration::from_secs(20);

/// A command that ends when this program ends, however that happens.
///
/// The kernel ties a child to the *thread* that started it, so children are started from the main thread only.
/// Where `setpriv` (Debian's util-linux) is missing, a child outlives us only if we are killed outright.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let program = program.as_ref();
    let mut command = if has_setpriv() {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.stdin(Stdio::null());
    command
}

/// `cargo` with these arguments.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = command("cargo");
    command.args(args);
    command
}

/// Runs a command to its end, its output being ours.
pub(crate) fn run(command: &mut Command) -> Result {
    println!("$ {}", shown(command));
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    succeeded(command, status)
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| cannot_start(command, &error))?;
    succeeded(command, output.status)?;
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a command can be started and succeeds; nothing of it is shown.
pub(crate) fn succeeds(program: &str, args: &[&str]) -> bool {
    let quiet = Command::new(program).args(args).stdin(Stdio::null()).output();
    quiet.is_ok_and(|output| output.status.success())
}

/// A program in the background, killed when this value goes.
pub(crate) struct Running {
    child: Child,
    name: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().map_err(|error| cannot_start(command, &error))?;
        Ok(Self { child, name: shown(command) })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the program to end by itself.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Asks the program to stop, as a service manager would, and wants a clean exit.
    pub(crate) fn stop(mut self) -> Result {
        run_quietly("sh", &["-c", &format!("kill -TERM {}", self.pid())])?;
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("`{}` was asked to stop and ended with {status}", self.name).into())
                };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("`{}` was asked to stop and did not within {} s", self.name, GRACE.as_secs()).into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the program has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run_quietly(program: &str, args: &[&str]) -> Result {
    if succeeds(program, args) {
        Ok(())
    } else {
        Err(format!("`{program} {}` failed", args.join(" ")).into())
    }
}

fn has_setpriv() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| succeeds("setpriv", &["--pdeathsig", "TERM", "true"]))
}

fn succeeded(command: &Command, status: ExitStatus) -> Result {
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", shown(command)).into()) }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("`{}` could not be started: {error}", shown(command))
}

/// The command as one would type it, less its secrets.
fn shown(command: &Command) -> String {
    let mut words = Vec::from([command.get_program().to_string_lossy()]);
    words.extend(command.get_args().map(|arg| arg.to_string_lossy()));
    let typed = if words[0] == "setpriv" { &words[3..] } else { &words[..] };
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            let secret = name.ends_with("_KEY") || name.ends_with("_TOKEN");
            let _ = if secret { write!(line, "{name}=… ") } else { write!(line, "{name}={value:?} ") };
        }
    }
    line + &typed.join(" ")
}
