//! What can be changed, by whom, and how it is told.

use super::*;

const ROLLBACK: &str = "POST /api/v1/releases/pricing-v2/rollback";

#[tokio::test]
async fn nothing_is_changed_unless_the_configuration_allows_it() {
    let port = Port::open().await;
    assert!(port.ask(ROLLBACK, &[], "").await.problem(403).contains("token_file"));
    port.ask(ROLLBACK, &["Authorization: Bearer secret"], "").await.problem(403);
    assert!(port.view.changed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_change_needs_the_token_that_stands_in_the_file_now() {
    let port = Port::open().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin.token");
    *port.view.changes.lock().unwrap() = AdminChanges::Token(vec![file.clone()]);
    let ask = async |token: &str| port.ask(ROLLBACK, &[&format!("Authorization: {token}")], "").await;
    ask("Bearer secret").await.problem(503);
    std::fs::write(&file, "secret\n").unwrap();
    let none = port.ask(ROLLBACK, &[], "").await;
    none.problem(401);
    assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"graylane\""));
    for wrong in ["Bearer secret1", "Bearer ", "secret", "Basic secret"] {
        ask(wrong).await.problem(401);
    }
    assert!(port.view.changed.lock().unwrap().is_empty());
    assert_eq!(ask("Bearer secret").await.status, 200);
    std::fs::write(&file, "another\n").unwrap();
    ask("Bearer secret").await.problem(401);
    assert_eq!(ask("Bearer another").await.status, 200);
    let own = format!("Origin: http://{}", port.address);
    port.ask(ROLLBACK, &[&own], "").await.problem(401);
    let foreign = ["Authorization: Bearer another", "Origin: http://evil.example"];
    port.ask(ROLLBACK, &foreign, "").await.problem(403);
    assert_eq!(port.view.changed.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_change_says_what_it_did_and_who_asked() {
    let port = Port::open().await;
    *port.view.changes.lock().unwrap() = AdminChanges::Loopback;
    let json = "Content-Type: application/json";
    let body = r#"{"by":"li.wei","reason":"orders are down"}"#;
    let answer = port.ask(ROLLBACK, &[json], body).await.json();
    assert_eq!(
        (&answer["changed"], &answer["incident"], &answer["survives_restart"]),
        (&json!(true), &json!(3), &json!(false))
    );
    assert_eq!(answer["release"]["level"], "permille");
    assert_eq!(port.ask("POST /api/v1/releases/pricing-v2/pause", &[], "").await.status, 200);
    let changed = port.view.changed.lock().unwrap().clone();
    assert_eq!(changed[0].by, "li.wei (no token, 127.0.0.1)");
    assert_eq!(changed[0].reason.as_deref(), Some("orders are down"));
    assert_eq!((changed[1].action, changed[1].by.as_str()), (ReleaseAction::Pause, "no token, 127.0.0.1"));
}

#[tokio::test]
async fn a_change_that_cannot_be_made_says_why() {
    let port = Port::open().await;
    *port.view.changes.lock().unwrap() = AdminChanges::Loopback;
    let json = "Content-Type: application/json";
    assert!(port.ask("POST /api/v1/releases/x/rollback", &[], "").await.problem(404).contains("`x`"));
    assert!(port.ask("POST /api/v1/releases/pricing-v2/destroy", &[], "").await.problem(404).contains("reset"));
    assert!(port.ask("POST /api/v1/releases/pricing-v2/reset", &[], "").await.problem(409).contains("paused"));
    assert!(port.ask(ROLLBACK, &[json], r#"{"who":"me"}"#).await.problem(422).contains("who"));
    assert!(
        port.ask(ROLLBACK, &[json], &format!(r#"{{"by":"{}"}}"#, "x".repeat(501))).await.problem(422).contains("by")
    );
    port.ask(ROLLBACK, &["Content-Type: text/plain"], "{}").await.problem(415);
    port.ask(ROLLBACK, &["X-Graylane-Change: 1"], "{}").await.problem(415);
    port.ask("GET /api/v1/releases/pricing-v2/rollback", &[], "").await.problem(405);
    assert!(port.view.changed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_fault_is_set_seen_and_taken_away() {
    let port = Port::open().await;
    *port.view.changes.lock().unwrap() = AdminChanges::Loopback;
    let set = port.ask("POST /api/v1/faults", &[], r#"{"name": "drill"}"#).await;
    assert_eq!(set.status, 201, "{}", set.body);
    let expected = json!({
        "name": "drill", "routes": ["sku-detail"], "lane": "gray", "permille": 100, "kind": "abort",
        "effect": { "status": 503 }, "expires": "2026-11-22T10:23:01Z", "on": true, "origin": "admin", "counts": false,
        "injected": 7,
    });
    assert_eq!(set.json(), expected);
    assert_eq!(port.get("/api/v1/faults").await.json(), json!({ "faults": [expected] }));
    let taken = port.ask("POST /api/v1/faults", &[], r#"{"name": "drill"}"#).await;
    assert_eq!(taken.problem(409), "the name is taken");
    port.ask("POST /api/v1/faults", &[], "{").await.problem(422);
    assert_eq!(port.ask("DELETE /api/v1/faults/drill", &[], "").await.status, 204);
    port.ask("DELETE /api/v1/faults/drill", &[], "").await.problem(404);
    port.ask("POST /api/v1/faults", &[], r#"{"name": "other"}"#).await;
    let cleared = port.ask("DELETE /api/v1/faults", &[], "").await;
    assert_eq!(cleared.json(), json!({ "removed": ["other"] }));
    assert_eq!(port.get("/api/v1/faults").await.json(), json!({ "faults": [] }));
}

#[tokio::test]
async fn faults_are_changed_only_where_the_configuration_allows_it() {
    let port = Port::open().await;
    for line in ["POST /api/v1/faults", "DELETE /api/v1/faults", "DELETE /api/v1/faults/drill"] {
        let detail = port.ask(line, &[], r#"{"name": "drill"}"#).await.problem(403);
        assert!(detail.contains("insecure_changes"), "{detail}");
    }
    assert_eq!(port.get("/api/v1/faults").await.json(), json!({ "faults": [] }));
    *port.view.changes.lock().unwrap() = AdminChanges::Loopback;
    for (header, status) in [("Origin: http://evil.example", 403), ("Content-Type: text/plain", 415)] {
        port.ask("POST /api/v1/faults", &[header], r#"{"name": "drill"}"#).await.problem(status);
    }
    assert_eq!(port.get("/api/v1/faults").await.json(), json!({ "faults": [] }));
}
