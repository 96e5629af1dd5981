//! One thing that is wrong, and its mend.

use std::fmt::Write as _;

use serde::Serialize;

/// How much it matters; what matters most comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Traffic passes the sidecar by, or does not come at all.
    Error,
    /// It may not be what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// Where: `Service shop/goods`.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// How it is mended: what to write, or a command.
    pub mend: String,
}

impl Finding {
    pub(super) fn error(place: &str, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { weight: Weight::Error, place: place.to_owned(), problem: problem.into(), mend: mend.into() }
    }

    pub(super) fn warning(place: &str, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, ..Self::error(place, problem, mend) }
    }
}

/// For people: a line for what is wrong, one for the mend, and how many there are.
pub fn written(found: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { weight, place, problem, mend } in found {
        let word = match weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        // A string takes whatever is written.
        let _ = writeln!(text, "{word}: {place}: {problem}\n  mend: {mend}");
    }
    let errors = found.iter().filter(|finding| finding.weight == Weight::Error).count();
    let _ = match (errors, found.len() - errors) {
        (0, 0) => writeln!(text, "nothing is wrong"),
        (errors, warnings) => writeln!(text, "{errors} wrong, {warnings} to look at"),
    };
    text
}
