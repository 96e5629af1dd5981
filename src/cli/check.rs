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

const GOOD: u8 = 0;
/// The exit code of a bad configuration.
pub const BAD_CONFIGURATION: u8 = 2;

/// Loads the paths as one configuration and tells every problem on standard output: 0 where it is good, 2 where it is
/// bad. A key file that is not here is a warning: configurations are checked where their secrets are not.
pub fn check(paths: &[PathBuf], format: Format) -> ExitCode {
    let (report, code) = report(&config::load_with(paths, KeyFiles::MayBeAbsent), format);
    // Whoever closed the pipe has read enough; the exit code still tells.
    let _ = writeln!(anstream::stdout().lock(), "{report}");
    ExitCode::from(code)
}

fn report(loaded: &Result<Loaded, Problems>, format: Format) -> (String, u8) {
    let (problems, code): (Vec<&Problem>, u8) = match loaded {
        Ok(loaded) => (loaded.warnings.iter().collect(), GOOD),
        Err(problems) => (problems.iter().collect(), BAD_CONFIGURATION),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn loaded(text: &str) -> Result<Loaded, Problems> {
        config::load_text(Path::new("t.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent)
    }

    #[test]
    fn a_bad_configuration_is_code_2_and_json_tells_where() {
        let bad = loaded("drain: 5\nlanes: 1\n");
        let (text, code) = report(&bad, Format::Json);
        assert_eq!(code, 2);
        let problems: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problems.as_array().map(Vec::len), Some(2));
        let first = &problems[1];
        assert_eq!((&first["file"], &first["line"], &first["column"]), (&"t.yaml".into(), &2.into(), &1.into()));
        assert_eq!((&first["severity"], &first["suggestion"]), (&"error".into(), &"lane".into()));
        assert!(report(&bad, Format::Text).0.starts_with("t.yaml:1:8: `5` needs a unit"));
    }

    #[test]
    fn a_good_configuration_is_code_0_with_its_warnings() {
        let good = loaded("service: goods\n");
        let (text, code) = report(&good, Format::Text);
        assert_eq!(code, 0);
        assert!(text.contains("t.yaml:1:1: warning: no routes"), "{text}");
        assert!(text.contains("good: 0 routes, 0 releases, 1 warning, version "), "{text}");
    }
}
