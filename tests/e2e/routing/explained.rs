//! What a running sidecar says of a lane that is in trouble: the same on the data path, on the admin port and in the field
//! for debuggers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Origin, Plan, Sidecar, answer, eventually, graylane};

const BREAKER: &str =
    "breakers:\n  default: { window: 10s, short_window: 2s, min_calls: 20, open_for: 60s, max_open: 2m, trials: 3 }\n";
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// An origin that fails while the switch is on.
fn ill(name: &'static str) -> (Origin, Arc<AtomicBool>) {
    let failing = Arc::new(AtomicBool::new(true));
    let switch = failing.clone();
    let origin = Origin::answering(move |_| {
        let status = if switch.load(Ordering::SeqCst) { "500 Oops" } else { "200 OK" };
        answer(status, &format!("X-Lane: {name}\r\n"), b"")
    });
    (origin, failing)
}

fn explained(sidecar: &Sidecar, question: &Value) -> Value {
    let json = "Content-Type: application/json\r\n";
    sidecar.admin_post("/api/v1/explain", json, &question.to_string()).json()
}

/// Sends requests until `lane` of the route is taken out.
fn break_open(sidecar: &Sidecar, target: &str, fields: &str, route: &str, lane: &str) {
    let mut client = sidecar.client();
    eventually("the breaker to open", || {
        client.get(target, fields);
        (sidecar.metric("graylane_breaker_state", &[("route", route), ("lane", lane)]) == 2.0).then_some(())
    });
}

#[test]
fn an_open_breaker_is_in_every_explanation() {
    let (stable, (gray, _failing)) = (Origin::lane("stable"), ill("gray"));
    let plan = Plan::gray(
        stable.address(),
        gray.address(),
        "level: full\ndeveloper: { header: x-gray-override, key_file: k }",
    );
    let plan = plan.file("k", KEY).more(BREAKER).route(
        "guarded",
        "/guarded",
        "stable: stable, gray: gray",
        "release: r\nbreaker: default",
    );
    let sidecar = Sidecar::start(&plan);
    let question = json!({ "url": "/guarded", "headers": { "x-user-id": "u1" } });
    let before = explained(&sidecar, &question);
    assert_eq!((&before["lane"], &before["upstream"]), (&"gray".into(), &"gray".into()), "{before}");
    assert_eq!(before["breaker"], json!({ "lane": "gray", "state": "closed" }));
    assert_eq!(explained(&sidecar, &json!({ "url": "/free" }))["breaker"], Value::Null, "that route has none");

    break_open(&sidecar, "/guarded", "x-user-id: u1\r\n", "guarded", "gray");
    let told = explained(&sidecar, &question);
    assert_eq!((&told["lane"], &told["reason"]), (&"stable".into(), &"breaker_open".into()), "{told}");
    assert_eq!((&told["level"], &told["upstream"]), (&"none".into(), &"stable".into()));
    assert_eq!(told["decided"], json!({ "lane": "gray", "level": "full", "reason": "full" }));
    assert_eq!(told["breaker"], json!({ "lane": "gray", "state": "open" }));
    let (sent, trials) = (gray.requests().len(), sidecar.get("/guarded", "x-user-id: u1\r\n"));
    assert_eq!(
        (trials.get("x-lane").as_deref(), gray.requests().len()),
        (Some("stable"), sent),
        "asking takes no trial"
    );

    let key = sidecar.directory().join("k");
    let key = key.to_str().expect("a plain path");
    let made = graylane(["token", "--key-file", key, "--release", "r", "--subject", "li", "--ttl", "1h", "--explain"]);
    let token = String::from_utf8(made.stdout).expect("text");
    let response = sidecar.get("/guarded", &format!("x-user-id: u1\r\nx-gray-override: {}\r\n", token.trim()));
    let line = response.get("x-gray-explain").expect("an explanation");
    assert!(line.starts_with("lane=stable; level=none; reason=breaker_open; decided=gray full full; "), "{line}");
}

#[test]
fn a_strategys_lane_that_is_open_and_a_release_that_is_latched_leave_the_rest_alone() {
    let (stable, gray, (gold, failing)) = (Origin::lane("stable"), Origin::lane("gray"), ill("gold"));
    let keys = "release: r\nbreaker: default\n\
                strategies: { list: [{ name: vip, lane: gold, qos: gold, tags: [vip], threshold: 0.5 }] }";
    let plan = Plan::new()
        .admin("insecure_changes: true")
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .upstream("gold", gold.address())
        .release("r", "level: region\nregions: { city_id: [\"440300\"] }\nrollback: { openings: 3, within: 10m }")
        .more(BREAKER)
        .route("sku", "/sku/{sku_id}", "stable: stable, gray: gray, gold: gold", keys);
    let sidecar = Sidecar::start(&plan);
    let lane = |fields: &str| sidecar.get("/sku/SKU-1", fields).get("x-lane").expect("a lane");
    let (vip, local) = ("x-user-tags: vip\r\n", "x-city-id: 440300\r\n");
    assert_eq!(
        (lane(local), lane(&format!("{local}{vip}"))),
        ("gray".to_owned(), "gray".to_owned()),
        "gray goes first"
    );

    break_open(&sidecar, "/sku/SKU-1", vip, "sku", "gold");
    assert_eq!(lane(vip), "stable", "who would have been on gold");
    assert_eq!(
        stable.requests().last().expect("one").head.get("x-gray-qos").as_deref(),
        Some("gold"),
        "keeps the class"
    );
    let told = explained(&sidecar, &json!({ "url": "/sku/SKU-1", "headers": { "x-user-tags": "vip" } }));
    assert_eq!((&told["reason"], &told["decided"]["lane"]), (&"breaker_open".into(), &"gold".into()), "{told}");
    assert_eq!(told["composite"]["strategies"][0]["over"], true, "its terms are still told: {told}");
    assert_eq!(lane(local), "gray", "another lane's breaker is its own");

    let rolled_back = sidecar.admin_post("/api/v1/releases/r/rollback", "", "");
    assert_eq!(rolled_back.status(), 200, "{}", rolled_back.text());
    assert_eq!(lane(local), "stable");
    failing.store(false, Ordering::SeqCst);
    let told = explained(&sidecar, &json!({ "url": "/sku/SKU-1", "headers": { "x-city-id": "440300" } }));
    assert_eq!((&told["lane"], &told["reason"]), (&"stable".into(), &"latched".into()), "{told}");
    let told = explained(
        &sidecar,
        &json!({ "url": "/sku/SKU-1", "headers": { "x-city-id": "440300", "x-user-tags": "vip" } }),
    );
    // The latch closes the release; the strategies speak on, and their lane is the one that is open.
    assert_eq!((&told["decided"]["lane"], &told["breaker"]["lane"]), (&"gold".into(), &"gold".into()), "{told}");
}
