//! `graylane schema`: the JSON Schema of the configuration, for editors.

use std::io::Write as _;
use std::process::ExitCode;

/// Writes the schema on standard output.
pub fn schema() -> ExitCode {
    let text = serde_json::to_string_pretty(&crate::config::schema()).unwrap_or_default();
    match writeln!(std::io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
