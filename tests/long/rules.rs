//! Ten thousand rules: how long they take to load and how much memory they hold.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use graylane::config::{KeyFiles, load_text};

const RULES: usize = 10_000;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: u64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}

fn configuration(rule: &dyn Fn(usize) -> String) -> String {
    let mut text =
        String::from("version: 1\nservice: goods\nupstreams: { a: { endpoints: [127.0.0.1:1] } }\nreleases:\n");
    (0..RULES).for_each(|n| writeln!(text, "  r{n}: {{ level: full, {} }}", rule(n)).expect("a text grows"));
    text.push_str("routes:\n");
    for n in 0..RULES {
        let path = format!("/p{n}/{{sku_id}}");
        writeln!(
            text,
            "  - {{ name: r{n}, match: {{ path: '{path}' }}, lanes: {{ stable: a, gray: a }}, release: r{n} }}"
        )
        .expect("a text grows");
    }
    text
}

#[track_caller]
fn check(what: &str, text: &str, most_seconds: u64) {
    let (before, start) = (resident(), Instant::now());
    let loaded = load_text(Path::new("rules.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent)
        .unwrap_or_else(|problems| panic!("{}", problems.iter().take(3).map(ToString::to_string).collect::<String>()));
    let (took, held) = (start.elapsed(), resident().saturating_sub(before));
    println!("{RULES} rules with {what}: {:.2} MB of YAML, {took:.2?}, {} MiB", text.len() as f64 / 1e6, held >> 20);
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
    check("two conditions", &configuration(&conditions), 60);
    let expression = |n: usize| format!("expression: 'sku_id.startsWith(\"s{n}\") && stock_level > {n}'");
    check("an expression", &configuration(&expression), 120);
}
