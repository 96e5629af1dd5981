//! What this version reads and checks but does not act upon yet.
//!
//! Nothing is silently kept: each feature that a file uses gives one warning, at its first use. When a feature lands,
//! delete its line of `features`; when the last one is deleted, delete this file and its call in `compile`.

use super::file::{FileBusinessRule, FileConfig};
use super::problem::Findings;
use super::text::Span;

/// Warns once for each feature that is used and not enforced.
pub(super) fn warn(config: &FileConfig, rules: &[FileBusinessRule], findings: &mut Findings) {
    for (what, places) in features(config, rules) {
        let Some(first) = places.first() else { continue };
        let more = match places.len() {
            1 => String::new(),
            2 => " (here and once more)".to_owned(),
            count => format!(" (here and {} times more)", count - 1),
        };
        findings.warn(*first, format!("{what} is checked but not enforced by this version{more}"));
    }
}

fn features(config: &FileConfig, rules: &[FileBusinessRule]) -> Vec<(&'static str, Vec<Span>)> {
    let releases = || config.releases.iter().flat_map(|table| table.iter()).map(|(_, release)| release);
    let rule_figures = rules.iter().filter_map(|rule| rule.spec.as_ref()?.rollbackOn.as_ref()?.first());
    let release_figures = releases().filter_map(|release| release.rollback_on.as_ref()?.first());
    vec![("`rollbackOn`", release_figures.chain(rule_figures).map(|figure| figure.at).collect())]
}
