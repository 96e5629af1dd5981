//! What this version reads and checks but does not act upon yet.
//!
//! Nothing is silently kept: each feature that a file uses gives one warning, at its first use. When a feature lands,
//! delete its line of `features`; when the last one is deleted, delete this file and its call in `compile`.

use super::file::FileConfig;
use super::problem::Findings;
use super::text::Span;

/// Warns once for each feature that is used and not enforced.
pub(super) fn warn(config: &FileConfig, findings: &mut Findings) {
    for (what, places) in features(config) {
        let Some(first) = places.first() else { continue };
        let more = match places.len() {
            1 => String::new(),
            2 => " (here and once more)".to_owned(),
            count => format!(" (here and {} times more)", count - 1),
        };
        findings.warn(*first, format!("{what} is checked but not enforced by this version{more}"));
    }
}

fn features(config: &FileConfig) -> Vec<(&'static str, Vec<Span>)> {
    vec![("`sources`", config.sources.iter().flatten().map(|source| source.at).collect())]
}
