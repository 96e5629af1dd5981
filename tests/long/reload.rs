//! Changing the configuration under load, with its figures: failed requests, closed tunnels, latency beside that without
//! changes, and what many rules cost.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::changing::{Crowd, Versions};
use crate::harness::{Origin, Plan, Sidecar};

const RELOADS: u32 = 200;
const LOAD: Duration = Duration::from_secs(60);
const RULES: usize = 10_000;

#[test]
fn two_hundred_changes_in_a_minute_of_load_are_noticed_by_nobody() {
    let versions = Versions::new();
    let sidecar = Sidecar::start(&versions.plans[0]);
    let start = || Crowd::start(&sidecar, 32, 32, 100, Duration::from_millis(5));
    let quiet = start();
    std::thread::sleep(LOAD / 3);
    let (mut quiet, _) = quiet.end();
    let crowd = start();
    let began = Instant::now();
    for at in 1..=RELOADS {
        sidecar.reload(&versions.plans[at as usize % 2]);
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

#[test]
fn ten_thousand_rules_are_reloaded_while_requests_go_on() {
    let origin = Origin::lane("stable");
    let plan = |version: usize| {
        let mut releases = String::new();
        for rule in 0..RULES {
            let sku = rule + version;
            writeln!(releases, "  r{rule}: {{ level: permille, permille: 5, conditions: [{{ key: sku_id, operator: EQ, value: \"{sku}\" }}] }}").unwrap();
        }
        let mut plan = Plan::new().admin("insecure_changes: true").upstream("stable", origin.address());
        plan = plan.upstream("gray", origin.address()).more(&format!("releases:\n{releases}"));
        for rule in 0..RULES {
            plan = plan.route(
                &format!("r{rule}"),
                &format!("/r{rule}/{{sku_id}}"),
                "stable: stable, gray: gray",
                &format!("release: r{rule}"),
            );
        }
        plan
    };
    let sidecar = Sidecar::start(&plan(0));
    let before = sidecar.memory_kib("VmRSS:");
    for version in 1..=5 {
        sidecar.rewrite(&plan(version));
        let began = Instant::now();
        let answer = sidecar.sync();
        let took = began.elapsed();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(sidecar.get("/r1/1", "").status(), 200);
        println!("{RULES} rules: reloaded in {took:?}");
    }
    let (now, peak) = (sidecar.memory_kib("VmRSS:"), sidecar.memory_kib("VmHWM:"));
    println!("memory: {before} KiB before, {now} KiB after, {peak} KiB at most");
}
