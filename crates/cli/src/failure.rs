//! How a command fails: what happened, why, what to do, and which kind of failure it is.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// What kind of failure it is: the exit code that tells a script what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything else.
    Other = 1,
    /// The command line is wrong, as when clap refuses it.
    Usage = 2,
    /// Something that was named is not there.
    Missing = 3,
    /// No key, a bad key, or one that is not allowed to.
    Denied = 4,
    /// The server cannot be reached, or cannot answer now.
    Unavailable = 5,
    /// What was given is invalid.
    Invalid = 6,
    /// It conflicts with what is there.
    Conflict = 7,
}

/// A failure, in words for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    why: Option<Box<dyn Error + Send + Sync>>,
    todo: Option<String>,
    kind: Kind,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), why: None, todo: None, kind: Kind::Other }
    }

    /// Adds the cause.
    #[must_use]
    pub(crate) fn because(mut self, why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn todo(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }

    /// Says which kind it is, where it is not [`Kind::Other`].
    #[must_use]
    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// Says first what was under way.
    #[must_use]
    pub(crate) fn amid(mut self, what: &str) -> Self {
        self.what = format!("{what}: {}", self.what);
        self
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut cause = self.why.as_deref().map(|why| why as &dyn Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        if let Some(todo) = &self.todo {
            write!(f, "\n  {todo}")?;
        }
        Ok(())
    }
}

/// Tells a failure on standard error.
pub(crate) fn tell(failure: &Failure) {
    // A server's words are among these, and a terminal obeys control characters.
    let text = failure.to_string();
    say(&format!("error: {}", text.replace(|c: char| c.is_control() && c != '\n', "?")));
}

/// Warns on standard error of what is done nevertheless.
pub(crate) fn warn(text: &str) {
    say(&format!("warning: {text}"));
}

/// Tells on standard error what is done, or where something comes from.
pub(crate) fn note(text: &str) {
    say(&format!("strongroom: {text}"));
}

fn say(text: &str) {
    // A full disk, or a reader that went away, must not end what would be told of it: there is nobody else to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
