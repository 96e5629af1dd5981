//! What a rollback does, and what undoes it.

use super::{GRAY_USER, Scene};
use crate::harness::{Origin, Plan, Sidecar, answer};

#[test]
fn a_rolled_back_release_serves_stable_until_it_is_reset() {
    let scene = Scene::open();
    assert_eq!(scene.lane(), "gray");
    let told = scene.does("rollback");
    assert_eq!(
        (&told["changed"], &told["survives_restart"], &told["incident"]),
        (&true.into(), &true.into(), &1.into())
    );
    assert_eq!(scene.lane(), "stable");
    let reason = [("release", "r"), ("level", "none"), ("reason", "latched")];
    scene.sidecar.wait_for_metric("graylane_decisions_total", &reason, 1.0);
    assert_eq!(scene.sidecar.metric("graylane_release_latched", &[("release", "r")]), 1.0);
    let release = scene.release();
    assert_eq!((&release["latched"], &release["latch"]["cause"]), (&true.into(), &"person".into()));
    assert_eq!(scene.does("rollback")["changed"], false);
    assert_eq!(scene.does("reset")["changed"], true);
    assert_eq!(scene.lane(), "gray");
    assert_eq!(scene.does("reset")["changed"], false);
    assert_eq!(scene.release()["latch"], serde_json::Value::Null);
    assert_eq!(scene.audit(), ["applied", "latched", "lifted"]);
}

#[test]
fn an_explanation_says_latched() {
    let scene = Scene::open();
    scene.does("rollback");
    let question = r#"{"url":"/","headers":{"x-city-id":"440300"}}"#;
    let json = "Content-Type: application/json\r\n";
    let told = scene.sidecar.admin_post("/api/v1/explain", json, question).json();
    assert_eq!((&told["lane"], &told["reason"]), (&"stable".into(), &"latched".into()), "{told}");
}

#[test]
fn a_developer_still_sees_what_was_rolled_back_and_a_mark_does_not_help() {
    let scene = Scene::open();
    scene.does("rollback");
    assert_eq!(scene.lane_with("x-gray-override: gray\r\n"), "gray");
    assert_eq!(scene.lane_with("x-gray-lane: gray\r\nx-gray-release: r\r\n"), "stable");
}

#[test]
fn a_paused_release_can_be_closed_and_not_opened() {
    let scene = Scene::open();
    assert_eq!(scene.does("pause")["release"]["paused"], true);
    assert_eq!(scene.lane(), "gray", "a pause moves nobody");
    assert_eq!(scene.sidecar.metric("graylane_release_paused", &[("release", "r")]), 1.0);
    scene.does("rollback");
    assert_eq!(scene.lane(), "stable");
    let refused = scene.post("reset");
    assert_eq!(refused.status(), 409, "{}", refused.text());
    assert_eq!(refused.get("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(scene.lane(), "stable");
    scene.does("resume");
    scene.does("reset");
    assert_eq!(scene.lane(), "gray");
    assert_eq!(scene.audit(), ["applied", "paused", "latched", "resumed", "lifted"]);
}

#[test]
fn the_evidence_names_figures_thresholds_and_the_last_failures() {
    let stable = Origin::lane("stable");
    let gray = Origin::answering(|_| answer("500 Internal Server Error", "", b"no price"));
    let plan = Plan::gray(stable.address(), gray.address(), "level: full\nrollback: { openings: 2, within: 5m }");
    let sidecar = Sidecar::start(&plan.admin("insecure_changes: true").more("state: { dir: state }"));
    let mut client = sidecar.client();
    for number in 0..25 {
        assert_eq!(client.get("/", &format!("x-request-id: call-{number}\r\n")).status(), 500);
    }
    sidecar.wait_for_metric("graylane_requests_total", &[("lane", "gray"), ("code_class", "5xx")], 25.0);
    let body = r#"{"by":"li.wei","reason":"prices are missing"}"#;
    let json = "Content-Type: application/json\r\n";
    assert_eq!(sidecar.admin_post("/api/v1/releases/r/rollback", json, body).status(), 200);

    let shown = sidecar.admin_get("/api/v1/incidents?last=1").json()["incidents"][0].clone();
    assert_eq!(shown["release"], "r");
    assert_eq!((&shown["cause"], &shown["detail"]), (&"person".into(), &"prices are missing".into()));
    assert_eq!(shown["by"], "li.wei (no token, 127.0.0.1)");
    assert_eq!(shown["thresholds"]["rollback"]["openings"], 2);
    let lane = |name: &str| {
        let figures = shown["figures"].as_array().expect("a list");
        figures.iter().find(|figures| figures["lane"] == name).expect("both lanes").clone()
    };
    assert_eq!((&lane("gray")["calls"], &lane("gray")["failures"]), (&25.into(), &25.into()));
    assert_eq!(lane("stable")["calls"], 0);
    let failures = shown["failures"].as_array().expect("a list");
    let ids: Vec<&str> = failures.iter().map(|call| call["request_id"].as_str().expect("an id")).collect();
    assert_eq!((ids.len(), ids[0], ids[19]), (20, "call-5", "call-24"));
    assert_eq!((&failures[0]["status"], &failures[0]["lane"]), (&500.into(), &"gray".into()));

    let kept = std::fs::read_to_string(sidecar.directory().join("state/incidents/000001-r.json")).expect("a file");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!(kept, shown);
    let said = sidecar.stderr();
    let line = said.lines().find(|line| line.contains("release rolled back")).expect("one line of log");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!((&line["level"], &line["release"], &line["incident"]), (&"WARN".into(), &"r".into(), &1.into()));
    assert!(line["failures"].as_str().expect("text").contains("call-24"), "{line}");
}

#[test]
fn requests_under_way_while_a_release_is_rolled_back_are_all_answered() {
    let scene = Scene::open();
    let address = scene.sidecar.traffic();
    let asking = std::thread::spawn(move || {
        let mut client = crate::harness::Client::connect(address);
        let lanes = (0..300).map(|_| client.get("/", GRAY_USER).get("x-lane").expect("a lane"));
        lanes.collect::<Vec<String>>()
    });
    for _ in 0..10 {
        scene.does("rollback");
        scene.does("reset");
    }
    assert_eq!(asking.join().expect("every request is answered").len(), 300);
}
