//! `graylane check PATH...`: every problem of a configuration.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{self, KeyFiles, Loaded, Problem, Problems, Style};

/// How the problems are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `file:line:column: message` with excerpts.
    Text,
    /// An array of objects.
    Json,
}

/// The exit code of a bad configuration.
pub const BAD_CONFIGURATION: u8 = 2;

/// Loads the paths as one configuration and tells every problem on standard output: 0 where it is good, 2 where it is
/// bad. A key file that is not here is a warning: configurations are checked where their secrets are not.
pub fn check(paths: &[PathBuf], format: Format) -> ExitCode {
    let (report, code) = report(&config::load_with(paths, KeyFiles::MayBeAbsent), format);
    // Whoever closed the pipe has read enough; the exit code still tells.
    let _ = writeln!(anstream::stdout().lock(), "{report}");
    code
}

fn report(loaded: &Result<Loaded, Problems>, format: Format) -> (String, ExitCode) {
    let (problems, code): (Vec<&Problem>, ExitCode) = match loaded {
        Ok(loaded) => (loaded.warnings.iter().collect(), ExitCode::SUCCESS),
        Err(problems) => (problems.iter().collect(), ExitCode::from(BAD_CONFIGURATION)),
    };
    let text = match (format, loaded) {
        (Format::Json, _) => serde_json::to_string_pretty(&problems).unwrap_or_else(|_| "[]".into()),
        (Format::Text, Ok(loaded)) => good(loaded),
        (Format::Text, Err(problems)) => problems.render(Style::Coloured),
    };
    (text, code)
}

fn good(loaded: &Loaded) -> String {
    let mut out = String::new();
    for warning in &loaded.warnings {
        out.push_str(&warning.render(Style::Coloured));
        out.push_str("\n\n");
    }
    let settings = &loaded.settings;
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    out.push_str(&format!(
        "good: {}, {}, {}, version {}",
        counted(settings.routes.len(), "route"),
        counted(settings.program.releases().len(), "release"),
        counted(loaded.warnings.len(), "warning"),
        loaded.version,
    ));
    out
}
