//! What can be asked.

use super::*;

#[tokio::test]
async fn health_is_ok_while_readiness_follows_the_sidecar() {
    let port = Port::open().await;
    assert_eq!(port.get("/healthz").await.body, "ok\n");
    assert_eq!(port.get("/readyz").await.status, 200);
    port.view.draining.store(true, Relaxed);
    assert_eq!(port.get("/healthz").await.status, 200);
    assert_eq!(port.get("/readyz").await.problem(503), "draining");
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let port = Port::open().await;
    let answer = port.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.body.contains("\ngraylane_config_reloads_total{result=\"applied\"} 0\n"), "{}", answer.body);
}

#[tokio::test]
async fn every_list_is_json_under_its_name() {
    let port = Port::open().await;
    let config = port.get("/api/v1/config").await;
    assert_eq!(config.header("content-type"), Some("application/json"));
    assert_eq!(config.json()["service"], "goods-core");
    for (name, path, expected) in [
        ("releases", "/0/level", json!("permille")),
        ("routes", "/0/lanes/0/requests", json!(7)),
        ("upstreams", "/0/endpoints/0/address", json!("127.0.0.1:9002")),
        ("breakers", "/0/state", json!("half_open")),
        ("audit", "/0/time_unix_nano", json!("0")),
        ("incidents", "/1/detail", json!("breakers opened 3 times within 600s")),
    ] {
        let json = port.get(&format!("/api/v1/{name}")).await.json();
        assert_eq!(json[name].pointer(path), Some(&expected), "{json}");
    }
}

#[tokio::test]
async fn a_request_is_explained() {
    let port = Port::open().await;
    let answer = port.explain(r#"{"method":"HEAD","url":"/api/v1/sku/7","headers":{"x-user-id":"u1"}}"#).await;
    assert_eq!(answer.json(), json!({ "lane": "gray", "path": "/api/v1/sku/7", "method": "HEAD" }));
}

#[tokio::test]
async fn a_bad_question_is_a_problem_that_names_it() {
    let port = Port::open().await;
    port.explain("{").await.problem(400);
    assert!(port.explain(r#"{"url":"/","headres":{}}"#).await.problem(422).contains("headres"));
    assert!(port.explain(r#"{"url":"sku"}"#).await.problem(422).contains("url"));
    assert!(port.explain(r#"{"url":"/%2f"}"#).await.problem(422).contains("encoded slash"));
    let large = format!(r#"{{"url":"/","body":"{}"}}"#, "x".repeat(257 * 1024));
    port.explain(&large).await.problem(413);
    port.ask("POST /api/v1/explain", &["Content-Type: text/plain"], "{}").await.problem(415);
}

#[tokio::test]
async fn the_last_incidents_can_be_asked_for_alone() {
    let port = Port::open().await;
    let last = port.get("/api/v1/incidents?last=1").await.json();
    assert_eq!(last["incidents"].as_array().map(Vec::len), Some(1));
    assert_eq!(last["incidents"][0]["number"], 2);
    assert_eq!(port.get("/api/v1/incidents?last=0").await.json()["incidents"], json!([]));
    port.get("/api/v1/incidents?last=x").await.problem(400);
}
