//! Ten thousand rules: how long they take to load and how much memory they hold.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use graylane::config::{KeyFiles, load_with};

const RULES: usize = 10_000;
/// A file holds no more than 250,000 values.
const PARTS: usize = 10;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: u64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}

/// Some of the rules, each a release and the route that it governs.
fn part(rules: Range<usize>, rule: &dyn Fn(usize) -> String) -> String {
    let (mut releases, mut routes) = (String::from("releases:\n"), String::from("routes:\n"));
    for n in rules {
        writeln!(releases, "  r{n}: {{ level: full, {} }}", rule(n)).expect("a text grows");
        let path = format!("/p{n}/{{sku_id}}");
        writeln!(
            routes,
            "  - {{ name: r{n}, match: {{ path: '{path}' }}, lanes: {{ stable: a, gray: a }}, release: r{n} }}"
        )
        .expect("a text grows");
    }
    releases + &routes
}

/// Writes all rules as files of one folder, and says how many bytes they are.
fn write(folder: &Path, rule: &dyn Fn(usize) -> String) -> usize {
    let main = "version: 1\nservice: goods\nupstreams: { a: { endpoints: [127.0.0.1:1] } }\n";
    std::fs::write(folder.join("main.yaml"), main).expect("a folder of our own");
    let parts = (0..PARTS).map(|number| {
        let text = part(number * RULES / PARTS..(number + 1) * RULES / PARTS, rule);
        std::fs::write(folder.join(format!("{number}.yaml")), &text).expect("a folder of our own");
        text.len()
    });
    parts.sum()
}

#[track_caller]
fn check(what: &str, rule: &dyn Fn(usize) -> String, most_seconds: u64) {
    let folder = tempfile::tempdir().expect("room for files");
    let written = write(folder.path(), rule);
    let (before, start) = (resident(), Instant::now());
    let loaded = load_with(&[folder.path().to_owned()], KeyFiles::MayBeAbsent)
        .unwrap_or_else(|problems| panic!("{}", problems.iter().take(3).map(ToString::to_string).collect::<String>()));
    let (took, held) = (start.elapsed(), resident().saturating_sub(before));
    println!("{RULES} rules with {what}: {:.2} MB of YAML, {took:.2?}, {} MiB", written as f64 / 1e6, held >> 20);
    assert_eq!(loaded.settings.program.releases().len(), RULES);
    assert!(took.as_secs() < most_seconds, "{took:?}");
    assert!(held < 1 << 30, "{held} bytes");
}

#[test]
fn ten_thousand_rules_load_in_seconds() {
    let conditions = |n: usize| {
        format!(
            "conditions: [{{ key: sku_id, operator: PREFIX, value: s{n} }}, {{ key: stock_level, operator: GT, value: {n} }}]"
        )
    };
    check("two conditions", &conditions, 60);
    let expression = |n: usize| format!("expression: 'sku_id.startsWith(\"s{n}\") && stock_level > {n}'");
    check("an expression", &expression, 120);
}
