//! Faults set and taken away at the admin port.

use std::time::Duration;

use super::scene::{Scene, ahead, fault};
use crate::harness::{Client, Plan, Response, Sidecar};

fn ask(sidecar: &Sidecar, method: &str, path: &str, body: &str) -> Response {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Client::once(sidecar.admin(), &request)
}

fn drill(what: &str) -> String {
    let expires = ahead(Duration::from_secs(600));
    format!(
        r#"{{"name": "drill", "routes": ["all"], "lane": "gray", "permille": 1000, "expires": "{expires}", {what}}}"#
    )
}

#[test]
fn a_fault_is_set_and_taken_away_while_requests_go_on() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.plan(&[]));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").status(), 200);
    let set = ask(&sidecar, "POST", "/api/v1/faults", &drill(r#""abort": 503"#));
    assert_eq!(set.status(), 201, "{}", set.text());
    assert_eq!(client.get("/", "").status(), 503);
    let listed = sidecar.admin_get("/api/v1/faults").json();
    let fault = &listed["faults"][0];
    assert_eq!((&fault["name"], &fault["kind"], &fault["injected"]), (&"drill".into(), &"abort".into(), &1.into()));
    assert_eq!(
        (&fault["on"], &fault["origin"], &fault["effect"]["status"]),
        (&true.into(), &"admin".into(), &503.into())
    );
    assert_eq!(ask(&sidecar, "DELETE", "/api/v1/faults/drill", "").status(), 204);
    assert_eq!(client.get("/", "").status(), 200);
    assert_eq!(ask(&sidecar, "DELETE", "/api/v1/faults/drill", "").status(), 404);
    let audit = sidecar.admin_get("/api/v1/audit").json();
    let actions: Vec<_> = audit["audit"].as_array().expect("a list").iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["applied", "fault_set", "fault_removed"]);
    assert!(sidecar.stderr().contains("a fault on purpose was set"), "{}", sidecar.stderr());
}

#[test]
fn one_of_the_configuration_can_be_taken_away_in_a_hurry() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.plan(&[fault("slow", "share: 60%, abort: 503")]));
    let crowded = ask(&sidecar, "POST", "/api/v1/faults", &drill(r#""reset": true"#));
    assert_eq!(crowded.status(), 409, "{}", crowded.text());
    assert!(crowded.text().contains("add up to 1600 permille"), "{}", crowded.text());
    let cleared = ask(&sidecar, "DELETE", "/api/v1/faults", "").json();
    assert_eq!(cleared["removed"], serde_json::json!(["slow"]));
    let mut client = sidecar.client();
    assert!((0..20).all(|_| client.get("/", "").status() == 200));
}

#[test]
fn what_is_no_fault_is_refused_with_its_reason() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.plan(&[]));
    let check = |body: &str, reason: &str| {
        let answer = ask(&sidecar, "POST", "/api/v1/faults", body);
        assert_eq!(answer.status(), 422, "{}", answer.text());
        assert!(answer.text().contains(reason), "{}", answer.text());
    };
    check("", "expected one document");
    check(&drill(r#""abort": 200"#), "a status from 400 to 599");
    check(&drill(r#""abort": 503"#).replace("gray", "grey"), "did you mean `gray`?");
    check(&drill(r#""abort": 503"#).replace("\"all\"", "\"none\""), "there is no route `none`");
    check(&drill(r#""delay": "5""#), "needs a unit");
    let endless = drill(r#""reset": true"#).replace(", \"expires\"", ", \"count\": true, \"until\"");
    check(&endless, "missing field `expires`");
    assert_eq!(sidecar.admin_get("/api/v1/faults").json(), serde_json::json!({ "faults": [] }));
}

#[test]
fn nothing_is_changed_unless_the_configuration_says_so() {
    let scene = Scene::new();
    let plan = Plan::gray(scene.stable.address(), scene.gray.address(), "level: full");
    let sidecar = Sidecar::start(&plan);
    let refused = ask(&sidecar, "POST", "/api/v1/faults", &drill(r#""abort": 503"#));
    assert_eq!(refused.status(), 403, "{}", refused.text());
    assert_eq!(ask(&sidecar, "DELETE", "/api/v1/faults", "").status(), 403);
    assert_eq!(sidecar.get("/", "").status(), 200);
}
