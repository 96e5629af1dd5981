//! The manifests that come with graylane are what a cluster takes, and hold configurations that load.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::python_script;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn validate(folders: &[&Path]) -> Output {
    let mut command = python_script("manifests.py");
    command.arg(root().join("k8s/crds")).args(folders);
    command.output().expect("the validator runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn graylane(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graylane")).args(arguments).output().expect("graylane runs")
}

#[test]
fn the_definitions_that_are_kept_are_those_that_the_program_prints() {
    let made = tempfile::tempdir().expect("a folder");
    let written = graylane(&["crds", "--dir", &made.path().to_string_lossy()]);
    assert!(written.status.success(), "{}", said(&written));
    let mut printed = String::new();
    let mut names: Vec<_> =
        fs::read_dir(made.path()).expect("a folder").map(|entry| entry.expect("a file").file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 2);
    for name in names {
        let now = fs::read_to_string(made.path().join(&name)).expect("a text");
        let kept = fs::read_to_string(root().join("k8s/crds").join(&name)).unwrap_or_default();
        assert!(now == kept, "{} is not what `graylane crds` prints: run `make crds`", name.display());
        let chart = fs::read_to_string(root().join("charts/graylane/crds").join(&name)).unwrap_or_default();
        assert!(now == chart, "the chart's {} is another: run `make crds`", name.display());
        printed.push_str(&format!("---\n{now}"));
    }
    assert_eq!(String::from_utf8_lossy(&graylane(&["crds"]).stdout), printed);
}

#[test]
fn manifests_and_the_chart_name_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, text) in [
        ("charts/graylane/Chart.yaml", format!("\nversion: {version}\nappVersion: {version}\n")),
        ("k8s/base/kustomization.yaml", format!("newTag: {version}\n")),
        ("k8s/base/deployment.yaml", format!("--image=graylane:{version}\n")),
    ] {
        let kept = fs::read_to_string(root().join(file)).expect("a manifest");
        assert!(kept.contains(&text), "{file} has no {text:?}");
    }
}

#[test]
fn every_manifest_and_every_example_is_valid() {
    let examples = tempfile::tempdir().expect("a folder");
    for name in ["business-rule.yaml", "gray-release.yaml"] {
        fs::copy(root().join("config").join(name), examples.path().join(name)).expect("a copy");
    }
    // The rules of Prometheus beside them are no manifests.
    let folders =
        ["base", "by-hand", "components", "crds", "example", "overlays"].map(|name| root().join("k8s").join(name));
    let folders = folders.iter().map(PathBuf::as_path).chain([examples.path()]);
    let output = validate(&folders.collect::<Vec<_>>());
    assert!(output.status.success(), "{}", said(&output));
}

/// A manifest with one mistake, and what is said of it.
#[track_caller]
fn refused(text: &str, expected: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("wrong.yaml"), text).expect("a file");
    let output = validate(&[folder.path()]);
    assert!(!output.status.success() && said(&output).contains(expected), "{}", said(&output));
}

#[test]
fn a_mistake_in_a_manifest_is_found() {
    let kept = |name: &str| fs::read_to_string(root().join(name)).expect("a manifest");
    refused(&kept("k8s/base/deployment.yaml").replace("replicas: 2", "replica: 2"), "replica");
    refused(&kept("k8s/base/service.yaml").replace("port: 443", "port: https"), "https");
    refused(&kept("config/gray-release.yaml").replace("hashKey", "hash_key"), "hash_key");
    refused(&kept("config/gray-release.yaml").replace("level: permille", "level: promille"), "promille");
    refused(&kept("config/business-rule.yaml").replace("\"5%\"", "\"500%\""), "500%");
    refused("apiVersion: nobody.io/v1\nkind: Unknown\nmetadata: { name: a }\n", "Unknown");
}

#[test]
fn the_configurations_in_the_manifests_load() {
    let into = tempfile::tempdir().expect("a folder");
    for folder in ["k8s/example", "k8s/by-hand"] {
        let mut command = python_script("manifests.py");
        command.arg("--configs").arg(root().join(folder)).arg(into.path().join(folder.replace('/', "-")));
        let output = command.output().expect("the script runs");
        assert!(output.status.success(), "{}", said(&output));
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!names.trim().is_empty(), "{folder} has a ConfigMap");
        for config in names.lines() {
            let mut files = vec!["check", config];
            let release = root().join("k8s/example/release.yaml").to_string_lossy().into_owned();
            if folder == "k8s/example" {
                files.push(&release);
            }
            let checked = graylane(&files);
            assert!(checked.status.success(), "{config}: {}", said(&checked));
        }
    }
}
