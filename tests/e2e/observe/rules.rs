//! The rules for Prometheus by its own tools, and their runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Where the rules and the dashboard are.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/observability")
}

#[derive(Debug, Clone, Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// An alert, or a figure that is recorded.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Rule {
    pub(super) alert: Option<String>,
    pub(super) record: Option<String>,
    pub(super) expr: String,
    labels: Option<Labels>,
    annotations: Option<Annotations>,
}

#[derive(Debug, Clone, Deserialize)]
struct Labels {
    severity: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Annotations {
    summary: String,
    runbook: String,
}

/// The rules of a file.
pub(super) fn rules(file: &str) -> Vec<Rule> {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    let groups: Groups = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    groups.groups.into_iter().flat_map(|group| group.rules).collect()
}

fn alerts() -> Vec<String> {
    rules("alerts.yaml").into_iter().filter_map(|rule| rule.alert).collect()
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(folder()).output().unwrap_or_else(|error| {
        panic!("promtool cannot be started ({error}): scripts/setup-test-env installs it");
    });
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {said}{complained}");
}

#[test]
fn the_rules_pass_their_tests() {
    promtool(&["check", "rules", "--lint-fatal", "alerts.yaml", "recording-rules.yaml"]);
    promtool(&["test", "rules", "alerts.test.yaml"]);
}

#[test]
fn every_alert_is_made_to_fire_by_a_test() {
    let text = fs::read_to_string(folder().join("alerts.test.yaml")).unwrap();
    for alert in alerts() {
        assert!(text.contains(&format!("alertname=\"{alert}\"")), "{alert}");
    }
}

#[test]
fn every_alert_has_a_severity_and_a_section_in_the_runbook_and_the_runbook_no_other() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md")).unwrap();
    let named = |heading: &str| heading.starts_with("Graylane").then(|| heading.to_owned());
    let sections: Vec<&str> = text.split("\n### ").skip(1).collect();
    let headings = sections.iter().filter_map(|section| named(section.lines().next()?));
    let headings: BTreeSet<String> = headings.collect();
    let known: BTreeSet<String> = alerts().into_iter().collect();
    assert_eq!(headings, known);
    for section in sections.iter().filter(|section| section.starts_with("Graylane")) {
        assert!(section.contains("**Means.**") && section.contains("**Do.**"), "{section}");
    }
    for rule in rules("alerts.yaml") {
        let (name, annotations) = (rule.alert.unwrap(), rule.annotations.unwrap());
        assert_eq!(annotations.runbook, format!("docs/runbook.md#{}", name.to_lowercase()));
        assert!(!annotations.summary.is_empty(), "{name}");
        assert!(["critical", "warning", "info"].contains(&&*rule.labels.unwrap().severity), "{name}");
    }
}
