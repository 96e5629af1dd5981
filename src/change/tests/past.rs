//! The history.

use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use super::*;
use crate::config::Source;

fn sources(text: &str) -> Arc<[Source]> {
    Arc::new([Source { path: "a.yaml".into(), text: text.to_owned() }])
}

fn versions(history: &History) -> Vec<String> {
    history.versions().iter().map(|past| past.version.clone()).collect()
}

#[test]
fn the_last_twenty_are_kept_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    for number in 0..25 {
        history.add(&format!("v{number}"), SystemTime::now(), sources(&format!("drain: {number}s")));
    }
    let expected: Vec<String> = (5..25).map(|number| format!("v{number}")).collect();
    assert_eq!(versions(&history), expected);
    let again = History::open(Some(folder.path()));
    assert_eq!(versions(&again), expected);
    assert_eq!(again.version("v7").unwrap().sources(), *sources("drain: 7s"));
    assert_eq!(again.version("v4"), None);
    assert_eq!(fs::read_dir(folder.path().join("history")).unwrap().count(), MOST_VERSIONS);
}

#[test]
fn a_version_that_comes_back_is_kept_once() {
    let history = History::open(None);
    for version in ["a", "b", "a"] {
        history.add(version, SystemTime::now(), sources(version));
    }
    assert_eq!(versions(&history), ["b", "a"]);
}

#[test]
fn long_texts_push_old_versions_out_and_the_last_one_stays() {
    let history = History::open(None);
    let long = "#".repeat(super::super::history::MOST_BYTES / 2 + 1);
    for version in ["a", "b"] {
        history.add(version, SystemTime::now(), sources(&long));
    }
    assert_eq!(versions(&history), ["b"]);
    history.add("c", SystemTime::now(), sources(&"#".repeat(super::super::history::MOST_BYTES + 1)));
    assert_eq!(versions(&history), ["c"]);
}

#[test]
fn what_cannot_be_kept_is_told_and_still_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("history"), "").unwrap();
    let history = History::open(Some(folder.path()));
    history.add("a", SystemTime::now(), sources("a"));
    assert!(history.problem().unwrap().contains("cannot keep the history"));
    assert_eq!(versions(&history), ["a"]);
    fs::remove_file(folder.path().join("history")).unwrap();
    history.add("b", SystemTime::now(), sources("b"));
    assert_eq!(history.problem(), None);
    assert_eq!(versions(&History::open(Some(folder.path()))), ["a", "b"]);
}

#[test]
fn a_broken_file_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    history.add("a", SystemTime::now(), sources("a"));
    fs::write(folder.path().join("history/000009-x.json"), "{").unwrap();
    assert_eq!(versions(&History::open(Some(folder.path()))), ["a"]);
}
