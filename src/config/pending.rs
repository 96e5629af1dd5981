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
    vec![
        ("`geoip`", config.geoip.iter().map(|geoip| geoip.at).collect()),
        ("a `json` source", sources(config, "json")),
        ("a `geoip` source", sources(config, "geoip")),
        ("a `jwt` source", sources(config, "jwt")),
        ("a `baggage` source", sources(config, "baggage")),
    ]
}

fn sources(config: &FileConfig, word: &str) -> Vec<Span> {
    let all = config.facts.iter().flat_map(|table| table.iter()).flat_map(|(_, sources)| &sources.0);
    all.flat_map(|source| source.written()).filter(|(there, _)| *there == word).map(|(_, value)| value.at).collect()
}
