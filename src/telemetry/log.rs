//! The process's own log: what the sidecar does and what goes wrong with it, on standard error.
//!
//! Requests never stand here; they are told by the access log and by metrics.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// Words, for people; coloured where standard error is a terminal.
    Text,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is not one that can be read.
    #[error(
        "{level:?} is no log level: use off, error, warn, info, debug or trace, or a list such as graylane=debug,warn"
    )]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log already.
    #[error("the log is set up already")]
    Twice(#[source] TryInitError),
}

/// Sets up the log of the whole process; `level` is a level or a list of `target=level`.
pub fn init(level: &str, format: Format) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt as _;
    let filter = filter(level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        Format::Json => builder.json().flatten_event(true).with_current_span(false).finish().try_init(),
        Format::Text => builder.with_ansi(std::io::stderr().is_terminal()).finish().try_init(),
    };
    set.map_err(LogError::Twice)
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let given = |source| LogError::Level { level: level.to_owned(), source };
    EnvFilter::builder().parse(level).map_err(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_lists_are_read() {
        for good in ["info", "graylane=debug,warn", "off"] {
            assert!(filter(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_wrong_level_is_named_with_the_right_ones() {
        let error = filter("graylane=loud").unwrap_err().to_string();
        assert!(error.contains("graylane=loud") && error.contains("debug"), "{error}");
    }
}
