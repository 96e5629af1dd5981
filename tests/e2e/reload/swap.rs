//! One configuration after another: by a call and by a signal, applied or refused.

use super::plan_to;
use crate::harness::{Origin, Plan, Sidecar, eventually};

#[test]
fn another_configuration_is_in_force_when_the_call_has_answered() {
    let (one, two) = (Origin::lane("one"), Origin::lane("two"));
    let sidecar = Sidecar::start(&plan_to(&one, ""));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").get("x-lane").as_deref(), Some("one"));
    let from = sidecar.admin_get("/api/v1/config").json()["version"].clone();

    // The watch on the file may be faster than the call; then nothing has changed for the call.
    let mut turns = [&two, &one].into_iter().cycle().zip(["two", "one"].into_iter().cycle());
    let (told, name) = eventually("a call that is the first to see a change", || {
        let (origin, name) = turns.next().expect("it goes round");
        sidecar.rewrite(&plan_to(origin, ""));
        let answer = sidecar.sync();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(client.get("/", "").get("x-lane").as_deref(), Some(name), "on the connection that was there before");
        let told = answer.json();
        (told["changed"] == true).then_some((told, name))
    });
    assert_eq!(told["names"], serde_json::json!(["upstreams.stable"]));
    assert_eq!(told["from"] == from, name == "two");

    let shown = sidecar.admin_get("/api/v1/config").json();
    assert_eq!((&shown["version"], &shown["refused"]), (&told["version"], &().into()));
    let audit = sidecar.admin_get("/api/v1/audit").json()["audit"].as_array().expect("a list").clone();
    assert_eq!(shown["applied"], audit.len());
    let last = audit.last().expect("a record");
    assert_eq!(
        (&last["action"], &last["from"], &last["version"]),
        (&"applied".into(), &told["from"], &told["version"])
    );
    assert_eq!(last["changed"], serde_json::json!(["upstreams.stable"]));
    assert_eq!(last["by"], "no token, 127.0.0.1");
    assert_eq!(sidecar.metric("graylane_config_reloads_total", &[("result", "applied")]), audit.len() as f64);
    let version = told["version"].as_str().expect("a text");
    assert_eq!(sidecar.metric("graylane_config_info", &[("version", version)]), 1.0);
    assert_eq!(sidecar.metric("graylane_config_info", &[]), 1.0, "the version before is gone");
}

#[test]
fn the_same_configuration_is_not_applied_twice() {
    let origin = Origin::lane("one");
    let sidecar = Sidecar::start(&plan_to(&origin, ""));
    let told = sidecar.sync().json();
    assert_eq!((&told["changed"], &told["version"]), (&false.into(), &told["from"]));
    assert_eq!(sidecar.metric("graylane_config_version", &[]), 1.0);
}

#[test]
fn a_signal_has_everything_read_again() {
    let (one, two) = (Origin::lane("one"), Origin::lane("two"));
    let sidecar = Sidecar::start(&plan_to(&one, ""));
    sidecar.rewrite(&plan_to(&two, ""));
    sidecar.signal("HUP");
    eventually("the other upstream", || (sidecar.get("/", "").get("x-lane").as_deref() == Some("two")).then_some(()));
}

#[test]
fn a_bad_one_is_refused_whole_and_everybody_is_told() {
    let (one, two) = (Origin::lane("one"), Origin::lane("two"));
    let sidecar = Sidecar::start(&plan_to(&one, ""));
    let bad = Plan::to(two.address()).admin("insecure_changes: true").more("normalise: match\ndrain: soon");
    sidecar.rewrite(&bad);
    for _ in 0..2 {
        let answer = sidecar.sync();
        assert_eq!(answer.status(), 422, "{}", answer.text());
        assert_eq!(answer.get("content-type").as_deref(), Some("application/problem+json"));
        let problems = answer.json()["problems"].as_array().expect("a list").clone();
        assert_eq!(problems.len(), 2, "{problems:?}");
        let first = problems[0].as_str().expect("a line");
        assert!(first.contains("graylane.yaml:") && first.contains("did you mean `normalize`"), "{first}");
    }
    assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("one"));
    assert_eq!(sidecar.admin_get("/readyz").status(), 200);
    let shown = sidecar.admin_get("/api/v1/config").json();
    assert_eq!((&shown["applied"], shown["refused"]["problems"].as_array().map(Vec::len)), (&1.into(), Some(2)));
    let audit = sidecar.admin_get("/api/v1/audit").json();
    let refused: Vec<_> = audit["audit"].as_array().expect("a list").iter().skip(1).collect();
    assert_eq!(refused.len(), 1, "the same again is no news: {refused:?}");
    assert_eq!((&refused[0]["action"], &refused[0]["version"]), (&"refused".into(), &().into()));
    assert_eq!(sidecar.stderr().matches("refused as a whole").count(), 1, "{}", sidecar.stderr());
    assert!(sidecar.metric("graylane_config_reloads_total", &[("result", "refused")]) >= 2.0);

    sidecar.reload(&plan_to(&two, ""));
    assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("two"));
    assert_eq!(sidecar.admin_get("/api/v1/config").json()["refused"], serde_json::Value::Null);
}

#[test]
fn nobody_reloads_without_leave() {
    let origin = Origin::lane("one");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    assert_eq!(sidecar.sync().status(), 403);
    assert_eq!(sidecar.admin_get("/api/flags/sync").status(), 405);
}
