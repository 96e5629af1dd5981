//! Ten thousand rules: how long the process takes to check and to load them, and how much memory it holds.
//!
//! Figures of a debug build say nothing: `GRAYLANE_TEST_BINARY=target/release/graylane` measures another one.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Origin, Plan, Process, Sidecar, eventually};

const RULES: usize = 10_000;
/// A file holds no more than 250,000 values.
const PARTS: usize = 10;
/// Checking, and starting until it is ready, may take so long in whatever build this is.
const MOST_TIME: Duration = Duration::from_secs(25);
/// The process may hold so much, at the peak too.
const MOST_KIB: u64 = 512 << 10;
const FACTS: &str = "sku_id: [{ path: sku_id }]\nstock_level: [{ header: x-stock-level }]\n\
                     category_id: [{ header: x-category-id }]\nuser_tier: [{ header: x-user-tier }]\ntags: [{ header: x-tags }]";

/// Some of the rules, each a release and the route that it governs.
fn part(rules: Range<usize>, rule: &dyn Fn(usize) -> String) -> String {
    let (mut releases, mut routes) = (String::from("releases:\n"), String::from("routes:\n"));
    for n in rules {
        writeln!(releases, "  r{n}: {{ level: full, {} }}", rule(n)).expect("a text grows");
        let path = format!("/p{n}/{{sku_id}}");
        writeln!(
            routes,
            "  - {{ name: r{n}, match: {{ path: '{path}' }}, lanes: {{ stable: stable, gray: gray }}, release: r{n} }}"
        )
        .expect("a text grows");
    }
    releases + &routes
}

/// Writes so many rules as files of one folder, and says how many bytes they are.
fn write(folder: &Path, rules: usize, rule: &dyn Fn(usize) -> String) -> usize {
    let parts = (0..PARTS).map(|number| {
        let text = part(number * rules / PARTS..(number + 1) * rules / PARTS, rule);
        std::fs::write(folder.join(format!("{number}.yaml")), &text).expect("a folder of our own");
        text.len()
    });
    parts.sum()
}

/// How long `graylane check` takes, and how much memory at most, in KiB.
fn check(folder: &Path, rules: usize) -> (Duration, u64) {
    let began = Instant::now();
    let mut checking = Process::start(["check".as_ref(), folder.as_os_str()]);
    let mut peak = 0;
    let ended = eventually("the check to end", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", checking.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        checking.exited()
    });
    let took = began.elapsed();
    checking.wait();
    assert!(ended.success(), "{}", checking.stderr());
    let said = checking.stdout() + &checking.stderr();
    assert!(said.contains(&format!("good: {} routes, {rules} releases", rules + 1)), "{said}");
    (took, peak)
}

fn measure(what: &str, rules: usize, rule: &dyn Fn(usize) -> String) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::new().upstream("stable", stable.address()).upstream("gray", gray.address()).facts(FACTS).rest();
    let mut written = 0;
    let mut began = Instant::now();
    let sidecar = Sidecar::start_laid_out(&plan, |directory, text| {
        let folder = directory.join("folder");
        std::fs::create_dir(&folder).expect("a folder of our own");
        std::fs::write(folder.join("main.yaml"), text).expect("a folder of our own");
        written = write(&folder, rules, rule);
        began = Instant::now();
        folder
    });
    let (ready, held, most) = (began.elapsed(), sidecar.memory_kib("VmRSS:"), sidecar.memory_kib("VmHWM:"));
    // The last of them decides.
    let fields = "x-stock-level: 1000000\r\nx-category-id: c1\r\nx-user-tier: VIP\r\nx-tags: vip\r\n";
    for (sku, lane) in [(format!("s{}", rules - 1), "gray"), ("other".to_owned(), "stable")] {
        let response = sidecar.get(&format!("/p{}/{sku}", rules - 1), fields);
        assert_eq!(response.get("x-lane").as_deref(), Some(lane), "{sku}");
    }
    let (checked, peak) = check(&sidecar.directory().join("folder"), rules);
    println!(
        "{rules} rules with {what}, {:.2} MB: check {checked:.2?}, {:.0} MiB at most; ready after {ready:.2?}, {:.0} MiB held, {:.0} MiB at most",
        written as f64 / 1e6,
        peak as f64 / 1024.0,
        held as f64 / 1024.0,
        most as f64 / 1024.0
    );
    assert!(checked < MOST_TIME && ready < MOST_TIME, "{checked:?} {ready:?}");
    assert!(peak < MOST_KIB && most < MOST_KIB, "{peak} {most}");
}

#[test]
fn ten_thousand_rules_are_checked_and_loaded_in_seconds() {
    let two = |n: usize| {
        format!(
            "conditions: [{{ key: sku_id, operator: PREFIX, value: s{n} }}, {{ key: stock_level, operator: GT, value: {n} }}]"
        )
    };
    let five = |n: usize| {
        format!(
            "conditions: [{{ key: sku_id, operator: PREFIX, value: s{n} }}, {{ key: stock_level, operator: GT, value: {n} }}, \
             {{ key: category_id, operator: IN, values: [c1, c2] }}, {{ key: user_tier, operator: EQ, value: VIP }}, \
             {{ key: tag, operator: ANY_OF, values: [vip, staff] }}]"
        )
    };
    let expression = |n: usize| format!("expression: 'sku_id.startsWith(\"s{n}\") && stock_level > {n}'");
    measure("two conditions", PARTS, &two);
    measure("two conditions", RULES, &two);
    measure("five conditions", RULES, &five);
    measure("an expression", RULES, &expression);
}
