//! Changing the configuration under load, with its figures: failed requests, closed tunnels, latency beside that without
//! changes, and what many rules cost.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::changing::{Crowd, Versions};
use crate::harness::{Origin, Plan, Sidecar};

const RELOADS: u32 = 200;
const LOAD: Duration = Duration::from_secs(60);
const RULES: usize = 10_000;
/// A file holds no more than 250,000 values.
const PARTS: usize = 10;

#[test]
fn two_hundred_changes_in_a_minute_of_load_are_noticed_by_nobody() {
    let versions = Versions::new();
    let sidecar = Sidecar::start(&versions.plans[0]);
    let start = || Crowd::start(&sidecar, 32, 32, 100, Duration::from_millis(5));
    let quiet = start();
    // A span without changes, to compare with.
    std::thread::sleep(LOAD / 3);
    let (mut quiet, _) = quiet.end();
    let crowd = start();
    let began = Instant::now();
    for at in 1..=RELOADS {
        sidecar.reload(&versions.plans[at as usize % 2]);
        // The pace of the changes.
        std::thread::sleep((LOAD * at / RELOADS).saturating_sub(began.elapsed()));
    }
    let (mut tally, closed) = crowd.end();
    let (p99, without) = (tally.p99(), quiet.p99());
    let ratio = p99.as_secs_f64() / without.as_secs_f64();
    println!(
        "{RELOADS} reloads in {:?}, 64 connections, {} requests: {} failed, {} mixed, {closed} of 100 tunnels closed",
        began.elapsed(),
        tally.requests,
        tally.failed,
        tally.mixed
    );
    println!("P99 {p99:?} with reloads, {without:?} without ({} requests): ratio {ratio:.2}", quiet.requests);
    assert_eq!((tally.failed, tally.mixed, closed, quiet.failed), (0, 0, 0, 0));
}

/// One of the files that hold the rules together: a release with a condition, and the route that it governs, for each.
fn part(number: usize, version: usize) -> String {
    let (mut releases, mut routes) = ("releases:\n".to_owned(), "routes:\n".to_owned());
    for rule in number * RULES / PARTS..(number + 1) * RULES / PARTS {
        let condition = format!("{{ key: sku_id, operator: EQ, value: \"{}\" }}", rule + version);
        writeln!(releases, "  r{rule}: {{ level: permille, permille: 5, conditions: [{condition}] }}").unwrap();
        let lanes = "{ stable: stable, gray: gray }";
        let matched = format!("{{ path: \"/r{rule}/{{sku_id}}\" }}");
        writeln!(routes, "  - {{ name: r{rule}, match: {matched}, lanes: {lanes}, release: r{rule} }}").unwrap();
    }
    releases + &routes
}

#[test]
fn ten_thousand_rules_are_reloaded_while_requests_go_on() {
    let origin = Origin::lane("stable");
    let plan = Plan::new().admin("insecure_changes: true").upstream("stable", origin.address());
    let sidecar = Sidecar::start_laid_out(&plan.upstream("gray", origin.address()).rest(), |directory, text| {
        let folder = directory.join("folder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("main.yaml"), text).unwrap();
        (0..PARTS).for_each(|number| std::fs::write(folder.join(format!("{number}.yaml")), part(number, 0)).unwrap());
        folder
    });
    let before = sidecar.memory_kib("VmHWM:");
    let mut client = sidecar.client();
    for version in 1..=5 {
        let next = sidecar.directory().join("next");
        std::fs::write(&next, part(0, version)).unwrap();
        std::fs::rename(next, sidecar.directory().join("folder/0.yaml")).unwrap();
        let began = Instant::now();
        let answer = sidecar.sync();
        let took = began.elapsed();
        // Where the watch was faster, the time is that of both.
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(client.get("/r1/1", "").status(), 200);
        println!("{RULES} rules in {PARTS} files: reloaded in {took:?}");
    }
    let (now, peak) = (sidecar.memory_kib("VmRSS:"), sidecar.memory_kib("VmHWM:"));
    println!("memory: {before} KiB at most at the start, {now} KiB after, {peak} KiB at most");
}
