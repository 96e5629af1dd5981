//! Configurations that must not start, and what is said of them.

use std::path::Path;

use crate::harness::graylane;

/// A good file; the cases below spoil it.
const GOOD: &str = "\
version: 1
environment: prod
service: goods-core
lane: stable
listeners:
  - bind: 127.0.0.1:1
admin: { bind: 127.0.0.1:2 }
upstreams:
  goods-stable: { endpoints: [127.0.0.1:9001] }
  goods-gray: { endpoints: [127.0.0.1:9002] }
releases:
  pricing-v2:
    level: permille
    permille: 50
    conditions:
      - { key: category_id, operator: IN, values: [\"1001\"] }
routes:
  - name: all
    match: { path: \"/{*rest}\" }
    lanes: { stable: goods-stable, gray: goods-gray }
    release: pricing-v2
";

fn said_of(path: &Path) -> String {
    let shown = path.to_str().expect("a plain path");
    let mut told = String::new();
    for arguments in [vec!["run", "--config", shown], vec!["check", shown]] {
        let output = graylane(&arguments);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        told = said;
    }
    told
}

/// `graylane run` and `graylane check` both refuse the text with exit 2, at this line (and some column), in these words.
fn check_refused(text: impl AsRef<[u8]>, line: usize, words: &[&str]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("bad.yaml");
    std::fs::write(&path, text).expect("a writable directory");
    let said = said_of(&path);
    let place = format!("bad.yaml:{line}:");
    let column = said.split(&place).skip(1).any(|rest| rest.split(':').next().is_some_and(is_number));
    assert!(column, "no {place}COLUMN: in\n{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<usize>().is_ok_and(|number| number > 0)
}

/// The good text with one part replaced, and the line where the replacement stands.
fn spoiled(part: &str, by: &str) -> (String, usize) {
    let at = GOOD.find(part).expect("the part stands in the good text");
    let line = GOOD[..at].lines().count().max(1);
    let within = GOOD[..at].ends_with('\n');
    (GOOD.replacen(part, by, 1), line + usize::from(within))
}

fn check_spoiled(part: &str, by: &str, words: &[&str]) {
    let (text, line) = spoiled(part, by);
    check_refused(text, line, words);
}

#[test]
fn the_good_file_is_good() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("good.yaml");
    std::fs::write(&path, GOOD).expect("a writable directory");
    let output = graylane(["check", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_missing_upstream_is_named_with_the_nearest() {
    check_spoiled("stable: goods-stable,", "stable: goods-stabel,", &["goods-stabel", "goods-stable"]);
}

#[test]
fn a_permille_of_1001_is_out_of_range() {
    check_spoiled("permille: 50", "permille: 1001", &["1001", "1000"]);
}

#[test]
fn a_duplicate_route_is_named() {
    let again = "  - name: all\n    match: { path: /b }\n    lanes: { stable: goods-stable }\n";
    let text = format!("{GOOD}{again}");
    check_refused(text, GOOD.lines().count() + 1, &["all"]);
}

#[test]
fn an_unknown_operator_is_named_with_the_nearest() {
    check_spoiled("operator: IN", "operator: IM", &["IM", "IN"]);
}

#[test]
fn an_unknown_fact_is_named_with_the_nearest() {
    check_spoiled("key: category_id", "key: categoryid", &["categoryid", "category_id"]);
}

#[test]
fn an_unknown_field_is_named_with_the_nearest() {
    check_spoiled("service:", "servise:", &["servise", "service"]);
}

#[test]
fn an_upstream_without_endpoints_is_named() {
    check_spoiled("goods-gray: { endpoints: [127.0.0.1:9002] }", "goods-gray: { endpoints: [] }", &["goods-gray"]);
}

#[test]
fn a_tab_is_a_clear_error() {
    check_spoiled("  - name: all", "\t- name: all", &[]);
}

#[test]
fn an_alias_bomb_is_refused_quickly() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = level - 1;
        let list = vec![format!("*a{below}"); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    let start = std::time::Instant::now();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("bad.yaml");
    std::fs::write(&path, text).expect("a writable directory");
    let said = said_of(&path);
    assert!(said.contains("bad.yaml:"), "{said}");
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
}

#[test]
fn an_empty_file_is_a_clear_error() {
    check_refused("", 1, &[]);
    check_refused("# only a comment\n", 1, &[]);
}

#[test]
fn a_binary_file_is_a_clear_error() {
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    check_refused(bytes, 1, &[]);
    check_refused(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", 1, &[]);
}

#[test]
fn a_wrong_type_is_a_clear_error() {
    check_spoiled("permille: 50", "permille: lots", &["lots"]);
    check_spoiled("level: permille", "level: everybody", &["everybody", "full"]);
    check_spoiled("127.0.0.1:9001", "127.0.0.1:99001", &["99001"]);
}

#[test]
fn every_problem_is_told_at_once() {
    let (text, first) = spoiled("permille: 50", "permille: 1001");
    let text = text.replace("gray: goods-gray }", "gray: goods-grey }");
    let second = text.lines().position(|line| line.contains("goods-grey"));
    let second = second.expect("it was replaced") + 1;
    check_refused(&text, first, &["1001"]);
    check_refused(&text, second, &["goods-grey"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let said = said_of(Path::new("/nowhere/graylane.yaml"));
    assert!(said.contains("/nowhere/graylane.yaml"), "{said}");
}

#[test]
fn a_name_given_in_two_files_is_told_with_both() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("a.yaml"), GOOD).expect("writable");
    let more = "version: 1\nupstreams:\n  goods-gray: { endpoints: [127.0.0.1:9003] }\n";
    std::fs::write(directory.path().join("b.yaml"), more).expect("writable");
    let said = said_of(directory.path());
    for word in ["goods-gray", "b.yaml:3:", "a.yaml"] {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
}

#[test]
fn a_directory_is_read_as_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (upstreams, rest): (Vec<&str>, Vec<&str>) =
        GOOD.split_inclusive('\n').partition(|line| line.contains("endpoints:"));
    let rest = rest.concat().replace("upstreams:\n", "");
    std::fs::write(directory.path().join("a.yaml"), rest).expect("writable");
    let upstreams = format!("upstreams:\n{}", upstreams.concat());
    std::fs::write(directory.path().join("b.yaml"), upstreams).expect("writable");
    let path = directory.path().to_str().expect("a plain path");
    let output = graylane(["check", path]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn check_tells_problems_as_json_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("bad.yaml");
    let (text, line) = spoiled("permille: 50", "permille: 1001");
    std::fs::write(&path, text).expect("writable");
    let output = graylane(["check", "--json", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let shown = told.to_string();
    assert!(shown.contains(&format!("\"line\":{line}")), "{shown}");
}
