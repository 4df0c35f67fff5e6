//! How a command fails: what happened, why, and what to do.

use std::error::Error;
use std::fmt;

/// A failure, in words for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    why: Option<Box<dyn Error + Send + Sync>>,
    todo: Option<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), why: None, todo: None }
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
#[expect(clippy::print_stderr, reason = "the terminal is where a command tells its failure")]
pub(crate) fn tell(failure: &Failure) {
    eprintln!("error: {failure}");
}
