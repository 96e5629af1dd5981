//! Faults on purpose: what loads, what is refused, and the same one by one at the admin port.

use std::time::{Duration, SystemTime};

use super::super::{FaultPlan, parse_fault};
use super::{GOODS, check, lines, load, same};
use crate::resilience::{Delay, Injection};

/// An instant so many minutes from now, as a configuration has it.
fn minutes(ahead: u64) -> String {
    let instant = SystemTime::now() + Duration::from_secs(ahead * 60);
    format!("{:.0}", jiff::Timestamp::try_from(instant).unwrap())
}

/// A good fault, less one of its keys where that is given anew.
fn fault(keys: &str) -> String {
    let name = keys.split(':').next().unwrap();
    let mut all = vec![
        "name: slow".to_owned(),
        "route: sku-detail".to_owned(),
        "lane: gray".to_owned(),
        "share: 10%".to_owned(),
        "delay: 300ms".to_owned(),
        format!("expires: {}", minutes(10)),
    ];
    all.retain(|key| !key.starts_with(&format!("{name}:")));
    all.push(keys.to_owned());
    format!("{{ {} }}", all.join(", "))
}

/// The example with these faults, one a line.
fn with(faults: &[String]) -> String {
    faults.iter().fold(format!("{GOODS}faults:\n"), |text, fault| format!("{text}  - {fault}\n"))
}

#[track_caller]
fn plans(faults: &[String]) -> Vec<FaultPlan> {
    load(with(faults)).unwrap_or_else(|problems| panic!("{}", lines(problems.iter()))).settings.faults
}

/// What is wrong with one fault, without its place.
#[track_caller]
fn refused(written: &str, expected: &str) {
    let problems = load(with(&[written.to_owned()])).expect_err("a bad fault");
    let told: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    same(&told.join("\n"), expected);
}

#[test]
fn a_fault_loads_as_written() {
    let drawn = "delay: { p99: 2.8s, median: 40ms }, routes: [order-create], count: true, name: other".to_owned();
    let drawn = fault(&drawn).replace("name: slow, ", "").replace("share: 10%", "permille: 5");
    let found = plans(&[fault("count: false"), drawn]);
    assert_eq!((&*found[0].name, &*found[0].lane, found[0].share.get()), ("slow", "gray", 100));
    assert_eq!(found[0].injection, Injection::Delay(Delay::Fixed(Duration::from_millis(300))));
    assert!(!found[0].counts && found[1].counts);
    assert!(found[0].is_on("sku-detail", "gray"));
    assert!(!found[0].is_on("sku-detail", "stable") && !found[0].is_on("order-create", "gray"));
    assert_eq!(found[1].share.get(), 5);
    assert_eq!(found[1].routes, ["sku-detail", "order-create"].map(std::sync::Arc::<str>::from));
    let (p99, median) = (Duration::from_millis(2800), Duration::from_millis(40));
    assert_eq!(found[1].injection, Injection::Delay(Delay::LogNormal { median, p99 }));
    let kinds = ["abort: 503", "reset: true", "slow_body: 1KiB"];
    let words = kinds.map(|kind| plans(&[fault("count: true").replace("delay: 300ms", kind)])[0].injection.as_str());
    assert_eq!(words, ["abort", "reset", "slow_body"]);
}

#[test]
fn what_a_fault_names_has_to_be_there() {
    let wrong =
        format!("{{ route: sku-detial, name: a, lane: gray, share: 1%, reset: true, expires: {} }}", minutes(1));
    check(with(&[wrong]), "77:14: there is no route `sku-detial` (did you mean `sku-detail`?)");
    refused(&fault("lane: grey"), "route `sku-detail` has no lane `grey`");
    refused(&fault("route: rest"), "route `rest` has no lane `gray`");
    refused(
        &fault("count: true").replace("route: sku-detail, ", ""),
        "a fault names its routes, by `route` or `routes`",
    );
}

#[test]
fn a_fault_has_to_end_within_a_day() {
    refused("{ name: a, route: rest, lane: stable, share: 1%, reset: true }", "missing field `expires` in a fault");
    refused(&fault(&format!("expires: {}", minutes(25 * 60))), "a fault ends within 24 hours of the time it is loaded");
    for wrong in ["tomorrow", "2026-03-01", "2026-03-01T12:00:00", "12:00", "1772366400", "2026-02-30T12:00:00Z"] {
        refused(&fault(&format!("expires: \"{wrong}\"")), &format!("`{wrong}` is no instant"));
    }
    assert_eq!(plans(&[fault(&format!("expires: {}", minutes(23 * 60)))]).len(), 1);
}

#[test]
fn an_expired_fault_does_nothing_and_that_is_told() {
    let loaded = load(with(&[fault("expires: 2026-01-01T00:00:00+08:00")])).unwrap();
    assert!(loaded.settings.faults.is_empty());
    let told = lines(loaded.warnings.iter());
    assert!(told.contains("fault `slow` has expired and does nothing"), "{told}");
}

#[test]
fn a_fault_is_one_of_four_with_a_value_that_makes_sense() {
    let kind = |kind: &str| fault("count: true").replace("delay: 300ms", kind);
    let which = "a fault is one of `delay`, `abort`, `reset` and `slow_body`";
    refused(&kind("abort: 503, reset: true"), which);
    refused(&kind("count: true").replace("count: true, ", ""), which);
    refused(&kind("abort: 200"), "`abort` is a status from 400 to 599, not 200");
    refused(&kind("abort: 70000"), "`abort` is a status from 400 to 599, not 70000");
    refused(&kind("reset: false"), "only `reset: true` is a fault");
    refused(&kind("slow_body: 0B"), "`slow_body` cannot be 0");
    refused(&kind("delay: 0s"), "`delay` cannot be 0");
    refused(&kind("delay: 11m"), "a delay of more than 10 minutes delays nobody: everybody has gone");
    refused(&kind("delay: { median: 1s }"), "missing field `p99` in a drawn delay");
    refused(&kind("delay: { p99: 1s, median: 2s }"), "the median has to be longer than 0 and at most the P99");
    refused(&kind("delay: -1s"), "`-1s` is no duration: write `250ms`, `5s`, `10m` or `1h`");
}

#[test]
fn shares_that_meet_on_a_lane_add_up_to_everything_at_most() {
    let one = |name: &str, share: &str| fault(&format!("name: {name}")).replace("10%", share);
    assert_eq!(plans(&[one("a", "60%"), one("b", "40%")]).len(), 2);
    assert_eq!(plans(&[one("a", "60%"), one("b", "60%").replace("sku-detail", "order-create")]).len(), 2);
    let crowded = load(with(&[one("a", "60%"), one("b", "41%")])).expect_err("more than there is");
    let told = lines(crowded.iter());
    let expected = "the faults on lane `gray` of route `sku-detail` add up to 1010 permille, 1000 is the most";
    assert!(told.ends_with(expected), "{told}");
    let both = one("a", "60%").replace("share: 60%", "share: 60%, permille: 600");
    refused(&both, "a fault meets one share of the requests: `share` or `permille`");
    refused(&fault("share: 101%"), "`101%` is more than 100%");
    refused(&fault("permille: -1").replace("share: 10%, ", ""), "`-1` is no permille: a whole number from 0 to 1000");
    let twice = load(with(&[one("a", "1%"), one("a", "1%")])).expect_err("twice");
    assert!(lines(twice.iter()).contains("fault `a` is defined twice"));
}

#[test]
fn one_fault_is_read_as_json_or_yaml_against_the_configuration() {
    let settings = load(GOODS).unwrap().settings;
    let now = SystemTime::now();
    let json = format!(
        r#"{{"name": "drill", "routes": ["sku-detail"], "lane": "gray", "permille": 250, "abort": 503, "expires": "{}"}}"#,
        minutes(5)
    );
    let plan = parse_fault(json.as_bytes(), &settings, now).unwrap();
    assert_eq!((&*plan.name, plan.injection), ("drill", Injection::Abort(503)));
    assert_eq!(parse_fault(fault("name: drill").as_bytes(), &settings, now).unwrap().share.get(), 100);
    let told = |text: &str| match parse_fault(text.as_bytes(), &settings, now) {
        Ok(plan) => panic!("{plan:?}"),
        Err(problems) => problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; "),
    };
    assert_eq!(told(&json.replace("sku-detail", "sku")), "there is no route `sku`");
    assert_eq!(told(&fault("expires: 2026-01-01T00:00:00Z")), "fault `slow` has expired");
    assert_eq!(told(""), "expected one document, found 0");
    assert_eq!(told("--- {}\n--- {}\n"), "expected one document, found 2");
    assert_eq!(told("[]"), "expected a fault: a map, found a list");
    assert!(!told("{\"name\": ").is_empty() && !told("\u{0}").is_empty());
}

#[test]
fn passing_on_nothing_is_told() {
    let loaded = load(GOODS.replace("request: 10s, ", "pass_on: true, ")).unwrap();
    let told = lines(loaded.warnings.iter());
    assert!(told.contains("`pass_on` means nothing without `request`"), "{told}");
    assert!(
        load(GOODS.replace("request: 10s, ", "request: 10s, pass_on: true, ")).unwrap().settings.routes[0]
            .timeouts
            .pass_on
    );
}
