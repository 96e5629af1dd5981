//! `rollback_on`: a figure of gray that is bad for long enough takes the release back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Client, Origin, Plan, Sidecar, answer, eventually};

/// An origin whose answers fail while the switch is on.
fn switched() -> (Origin, Arc<AtomicBool>) {
    let failing = Arc::new(AtomicBool::new(true));
    let switch = failing.clone();
    let origin =
        Origin::answering(move |_| answer(if switch.load(Ordering::SeqCst) { "500 Oops" } else { "200 OK" }, "", b""));
    (origin, failing)
}

fn start(gray: &Origin, stable: &Origin, figures: &str, route: &str) -> Sidecar {
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", &format!("level: full\nrollback_on: [{figures}]"))
        .more("state: { dir: state }\nbreakers: { b: { window: 2s, short_window: 1s, min_calls: 1000 } }")
        .route("all", "/{*rest}", "stable: stable, gray: gray", &format!("release: r\n{route}"));
    Sidecar::start(&plan.admin("insecure_changes: true"))
}

fn visit(client: &mut Client, times: usize) {
    (0..times).for_each(|_| drop(client.get("/", "")));
}

fn is_latched(sidecar: &Sidecar) -> bool {
    sidecar.metric("graylane_release_latched", &[("release", "r")]) == 1.0
}

fn incident(sidecar: &Sidecar) -> Value {
    sidecar.admin_get("/api/v1/incidents?last=1").json()["incidents"][0].clone()
}

fn until_latched(sidecar: &Sidecar, client: &mut Client) {
    eventually("the release to be latched", || {
        visit(client, 20);
        is_latched(sidecar).then_some(())
    });
}

#[test]
fn a_route_without_a_breaker_has_figures_and_the_bad_one_is_told() {
    let (stable, (gray, failing)) = (Origin::lane("stable"), switched());
    let sidecar = start(&gray, &stable, "{ metric: graylane_error_rate, threshold: 5% }", "");
    let mut client = sidecar.client();
    until_latched(&sidecar, &mut client);
    assert_eq!(client.get("/", "").get("x-lane").as_deref(), Some("stable"));
    let shown = incident(&sidecar);
    assert_eq!((&shown["cause"], &shown["by"]), (&"figure".into(), &"rollback_on".into()), "{shown}");
    assert_eq!(
        shown["detail"], "graylane_error_rate of lane `gray` on route `all` is 1.0000, and was GE 0.05",
        "{shown}"
    );
    let gray = shown["figures"].as_array().expect("a list").iter().find(|one| one["lane"] == "gray").expect("gray");
    assert_eq!(gray["over_seconds"], 60.0, "{shown}");
    assert!(gray["failures"].as_u64() >= Some(50) && gray["p99_seconds"].is_number(), "{shown}");
    let limit = &shown["thresholds"]["rollback"]["figures"][0];
    assert_eq!((&limit["threshold"], &limit["enforced"]), (&"0.05".into(), &true.into()), "{shown}");

    // Opened again, it is judged by what comes from then on, although the window is a minute long.
    failing.store(false, Ordering::SeqCst);
    assert_eq!(sidecar.admin_post("/api/v1/releases/r/reset", "", "").status(), 200);
    for _ in 0..5 {
        visit(&mut client, 60);
        // A span in which nothing may happen: a verdict follows within 50 ms.
        std::thread::sleep(Duration::from_millis(60));
        assert!(!is_latched(&sidecar), "{}", incident(&sidecar));
    }
    assert_eq!(client.get("/", "").status(), 200, "gray answers again");
}

#[test]
fn it_has_to_be_bad_for_as_long_as_was_asked() {
    let (stable, (gray, _)) = (Origin::lane("stable"), switched());
    let sidecar = start(&gray, &stable, "{ metric: error_rate, threshold: \"0.05\", duration: 800ms }", "");
    let mut client = sidecar.client();
    visit(&mut client, 40);
    // Fewer calls than it takes to tell: that is no time that counts.
    std::thread::sleep(Duration::from_millis(900));
    assert!(!is_latched(&sidecar));
    let began = Instant::now();
    until_latched(&sidecar, &mut client);
    assert!(began.elapsed() >= Duration::from_millis(800), "{:?}", began.elapsed());
    let detail = incident(&sidecar)["detail"].clone();
    assert!(detail.as_str().is_some_and(|text| text.ends_with("GE 0.05 for 800ms without a break")), "{detail}");
}

#[test]
fn figures_are_those_of_the_routes_breaker_where_it_has_one() {
    let (stable, (gray, _)) = (Origin::lane("stable"), switched());
    // The breaker's own minimum of calls is out of reach, so only a count can tell.
    let figures = "{ metric: error_rate, threshold: 5% }, { metric: failures, threshold: \"30\" }";
    let sidecar = start(&gray, &stable, figures, "breaker: b");
    until_latched(&sidecar, &mut sidecar.client());
    let shown = incident(&sidecar);
    assert!(shown["detail"].as_str().is_some_and(|text| text.starts_with("graylane_failures of lane")), "{shown}");
    assert_eq!(shown["figures"].as_array().expect("a list")[0]["over_seconds"], 2.0, "{shown}");
}

#[test]
fn stable_that_fails_and_metrics_of_others_take_nothing_back() {
    let ((stable, _), gray) = (switched(), Origin::lane("gray"));
    let figures = "{ metric: error_rate, threshold: 1% }, { metric: redis_hotkey_hit_rate, threshold: \"0\" }";
    let sidecar = start(&gray, &stable, figures, "");
    let mut client = sidecar.client();
    for _ in 0..100 {
        client.get("/", "");
        client.get("/", "x-gray-lane: stable\r\n");
    }
    // A span in which nothing may happen: a verdict follows within 50 ms.
    std::thread::sleep(Duration::from_millis(200));
    assert!(!is_latched(&sidecar), "{}", incident(&sidecar));
    let shown = sidecar.admin_get("/api/v1/releases").json()["releases"][0]["rollback"]["figures"].clone();
    let enforced: Vec<&Value> = shown.as_array().expect("a list").iter().map(|one| &one["enforced"]).collect();
    assert_eq!(enforced, [true, false], "{shown}");
    assert!(sidecar.stderr().contains("not yet enforced"), "{}", sidecar.stderr());
}
