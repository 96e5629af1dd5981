//! Plans, history and the way back.

use super::*;

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn a_plan_tells_what_would_differ_and_changes_nothing() {
    let port = Port::open().await;
    let answer = port.ask("POST /api/v1/config/plan", &[], "service: goods\ndrain: 40s\n").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let plan = &answer.json()["plan"];
    assert_eq!((&plan["differences"][0]["path"], &plan["differences"][0]["to"]), (&json!("drain"), &json!("40s")));
    assert_eq!(plan["digest"].as_str().map(str::len), Some(16));
    let bad = port.ask("POST /api/v1/config/plan", &[], "drain: 5\nlanes: 1\n").await;
    assert!(bad.problem(422).contains("refused"));
    assert_eq!(bad.json()["problems"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn the_history_is_listed() {
    let port = Port::open().await;
    let answer = port.get("/api/v1/config/history").await.json();
    assert_eq!((&answer["history"][0]["version"], &answer["history"][0]["in_force"]), (&json!("4f1c"), &json!(true)));
}

#[tokio::test]
async fn only_those_who_may_change_things_go_back() {
    let port = Port::open().await;
    let ask = async |body: &str| port.ask("POST /api/v1/config/rollback", &[JSON], body).await;
    ask(r#"{"version":"4f1c"}"#).await.problem(403);
    *port.view.changes.lock().unwrap() = AdminChanges::Loopback;
    assert!(ask(r#"{"version":"none"}"#).await.problem(404).contains("config/history"));
    assert_eq!(ask(r#"{"version":"4f1c"}"#).await.problem(409), "needs 12ab");
    let done = ask(r#"{"version":"4f1c","confirm":"12ab","by":"li.wei"}"#).await;
    assert_eq!((done.status, &done.json()["names"][0]), (200, &json!("li.wei (no token, 127.0.0.1)")));
    ask("{}").await.problem(422);
    port.ask("POST /api/v1/config/rollback", &[], "").await.problem(415);
    port.ask("POST /api/v1/config/rollback", &[JSON, "Origin: http://evil.example"], "{}").await.problem(403);
}

#[tokio::test]
async fn a_confirmation_comes_with_the_call() {
    let port = Port::open().await;
    *port.view.changes.lock().unwrap() = AdminChanges::Loopback;
    port.ask("POST /api/flags/sync", &[], "").await.problem(409);
    assert_eq!(port.ask("POST /api/flags/sync?confirm=12ab", &[], "").await.status, 200);
}
