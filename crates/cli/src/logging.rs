//! The log: to standard error, in text or JSON.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::settings::LogFormat;

/// Lines that may wait to be written. Room for all of them is made at the start: the library's own 128,000 take 5 MB.
const LINES: usize = 16_384;

/// Starts logging. What is returned writes the last lines when it is dropped.
///
/// A thread writes, so that a reader of the log that stalls does not stall the service: lines are dropped then.
pub(crate) fn start(format: LogFormat, level: &str) -> Result<WorkerGuard, Failure> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Failure::new(format!("'{level}' is no log level"))
            .because(error)
            .todo("use error, warn, info, debug or trace")
    })?;
    let lines = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES);
    let (writer, guard) = lines.finish(std::io::stderr());
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    match format {
        LogFormat::Text => logger.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => logger.json().flatten_event(true).with_current_span(false).init(),
    }
    Ok(guard)
}
