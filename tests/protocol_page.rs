//! `docs/protocol.md` and the end-to-end tests tell of the same rows, and `docs/attacks.md` names tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rows of the page.
const ROWS: std::ops::RangeInclusive<u32> = 1..=25;

/// The names of the functions below a folder that begin with `fn ` and this.
fn functions(folder: &Path, start: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            functions(&path, start, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).expect("tests are UTF-8");
            let begin = format!("fn {start}");
            let names = text.split(&begin).skip(1).filter_map(|rest| rest.split('(').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

fn tests(start: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    functions(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e"), start, &mut found);
    found
}

/// A test's name without its row.
fn without_row(test: &str) -> &str {
    test.strip_prefix("row_").and_then(|rest| rest.split_once('_')).map_or(test, |(_, name)| name)
}

/// The tests that the page names for each row.
fn named() -> Vec<(u32, BTreeSet<String>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    let page = fs::read_to_string(page).expect("the page exists");
    let (_, table) = page.split_once("## The tests").expect("the page has a table of tests");
    let rows = table.lines().filter_map(|line| {
        let mut cells = line.split('|').skip(1);
        let row: u32 = cells.next()?.trim().parse().ok()?;
        let cell = cells.nth(1).expect("a row has ways, tests and a result");
        let names: BTreeSet<String> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((row, names))
    });
    rows.collect()
}

#[test]
fn every_row_names_tests_and_they_exist() {
    let named = named();
    assert_eq!(named.iter().map(|(row, _)| *row).collect::<Vec<_>>(), ROWS.collect::<Vec<_>>());
    // A test may hold two rows, and is named after one of them.
    let all: BTreeSet<String> = tests("").iter().map(|test| without_row(test).to_owned()).collect();
    for (row, names) in named {
        assert!(!names.is_empty(), "row {row} names no test");
        for name in names {
            assert!(all.contains(&name), "row {row} names `{name}`, which is no test");
        }
    }
}

#[test]
fn every_test_of_a_row_is_named() {
    let named = named();
    let tests = tests("row_");
    assert!(tests.len() > 40, "the tests were not found");
    for test in tests {
        let (row, name) = test.split_once('_').expect("a row's test has its number and a name");
        let row: u32 = row.parse().expect("a row is a number");
        let listed = named.iter().any(|(at, names)| *at == row && names.contains(name));
        assert!(listed, "row {row} does not name `{name}`");
    }
}

#[test]
fn every_lesson_names_tests_that_exist() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/attacks.md");
    let page = fs::read_to_string(page).expect("the page exists");
    let (_, section) = page.split_once("## What others had to learn").expect("the page has a list of lessons");
    let all: BTreeSet<String> = tests("").iter().map(|test| without_row(test).to_owned()).collect();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    assert!(rows.len() >= 25, "{} lessons", rows.len());
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().expect("a row has cells");
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            assert!(all.contains(name), "`{name}` is no test: {row}");
        }
    }
}
