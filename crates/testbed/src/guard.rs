use std::process::{Child, Command, Stdio};

/// Tidies up when this process ends, however it ends: a server that is shared by the tests of a binary is never dropped.
///
/// A shell waits for the end of a pipe that only this process can write to, and then runs a script.
pub(crate) struct Guard(Child);

impl Guard {
    /// `script` may use its arguments as `$1`, `$2` …
    pub(crate) fn new(script: &str, args: &[&str]) -> Self {
        // An interrupt at the terminal goes to all of the group, and the guard has its work yet to do.
        let script = format!("trap '' INT TERM HUP; read -r _; {script}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, "guard"]).args(args).stdin(Stdio::piped());
        Self(shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
