//! What a configuration is refused for, word by word, and what loads.

mod beside;
mod centres;
mod composite;
mod endpoints;
mod expressions;
mod fact_sources;
mod faults;
mod files;
mod good;
mod kubernetes;
mod limits;
mod merged;
mod mutated;
mod refused_names;
mod refused_texts;
mod refused_values;
mod rollback_on;
mod rules;
mod schema;
mod sources;
mod tls;
mod tracing;
mod warnings;

use std::path::{Path, PathBuf};

use super::{KeyFiles, Loaded, Problem, Problems, load_text};

/// The example that everything starts from.
const GOODS: &str = include_str!("../../../config/goods.yaml");
/// The example in the form of Kubernetes.
const BUSINESS_RULE: &str = include_str!("../../../config/business-rule.yaml");

/// Loads a text as the file `t.yaml` of a folder where no other file is.
fn load(text: impl AsRef<[u8]>) -> Result<Loaded, Problems> {
    load_text(Path::new("/nowhere/t.yaml"), text.as_ref(), KeyFiles::MayBeAbsent)
}

/// `config/goods.yaml` with one place changed.
#[track_caller]
fn goods(from: &str, to: &str) -> String {
    assert!(GOODS.contains(from), "the example has no `{from}`");
    GOODS.replacen(from, to, 1)
}

/// One line for each problem: `line:column: message (did you mean `word`?)`.
fn lines<'p>(problems: impl Iterator<Item = &'p Problem>) -> String {
    let line =
        |problem: &Problem| problem.to_string().replace("/nowhere/", "").trim_start_matches("t.yaml:").to_owned();
    problems.map(line).collect::<Vec<_>>().join("\n")
}

/// The errors of a text, each on a line of its own; `expected` may be indented.
#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: &str) {
    let found = match load(text) {
        Ok(loaded) => panic!("loads, with warnings:\n{}", lines(loaded.warnings.iter())),
        Err(problems) => lines(problems.iter()),
    };
    same(&found, expected);
}

#[track_caller]
fn same(found: &str, expected: &str) {
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert!(found == expected.join("\n"), "found:\n{found}\n\nexpected:\n{}", expected.join("\n"));
}

/// A folder with these files, gone when dropped.
fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file of it");
    }
    let path = folder.path().to_owned();
    (folder, vec![path])
}
