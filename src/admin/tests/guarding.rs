//! What is refused, and how the port ends.

use super::*;

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_problems() {
    let port = Port::open().await;
    port.get("/nothing").await.problem(404);
    port.get("/api/v1/").await.problem(404);
    let answer = port.ask("POST /api/v1/config", &[], "").await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    port.get("/api/v1/explain").await.problem(405);
    assert_eq!(port.ask("HEAD /metrics", &[], "").await.body, "");
}

#[tokio::test]
async fn a_rebound_name_is_refused() {
    let port = Port::open().await;
    let ask = async |lines: &str| port.raw(format!("{lines}Connection: close\r\n\r\n").as_bytes()).await;
    ask("GET /api/v1/config HTTP/1.1\r\nHost: evil.example\r\n").await.problem(403);
    ask("GET / HTTP/1.1\r\nHost: evil.example:80\r\n").await.problem(403);
    ask("GET /nothing HTTP/1.1\r\nHost: evil.example\r\n").await.problem(403);
    ask("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n").await.problem(403);
    ask("GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n").await.problem(403);
    ask("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n").await.problem(400);
    ask("GET / HTTP/1.1\r\n").await.problem(400);
    assert_eq!(ask("GET / HTTP/1.1\r\nHost: localhost:1\r\n").await.status, 200);
    assert_eq!(ask("GET /healthz HTTP/1.1\r\nHost: probe.example\r\n").await.status, 200);
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let port = Port::open().await;
    let body = r#"{"url":"/"}"#;
    let json = "Content-Type: application/json";
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let origin = format!("Origin: {origin}");
        port.ask("POST /api/v1/explain", &[json, &origin], body).await.problem(403);
        port.ask("GET /api/v1/config", &[&origin], "").await.problem(403);
    }
    let own = format!("Origin: http://{}", port.address);
    assert_eq!(port.ask("POST /api/v1/explain", &[json, &own], body).await.status, 200);
}

#[tokio::test]
async fn the_page_is_locked_down() {
    let port = Port::open().await;
    let page = port.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for answer in [page, port.get("/api/v1/config").await, port.get("/nothing").await] {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

/// Whatever is described is asked, so that a call that comes later is looked at too.
#[tokio::test]
async fn with_tokens_for_reading_no_call_is_answered_without_one() {
    let port = Port::open().await;
    let files = vec![std::path::PathBuf::from("/nowhere/token")];
    *port.view.readers.lock().unwrap() = Some(files.clone());
    *port.view.changes.lock().unwrap() = AdminChanges::Token(files);
    let described: Value = serde_json::from_str(include_str!("../openapi.json")).unwrap();
    let mut asked = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        if ["/", "/healthz", "/readyz"].contains(&path.as_str()) {
            continue;
        }
        let path = path.replace("{release}", "pricing-v2").replace("{action}", "pause").replace("{name}", "f");
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let line = format!("{method} {path}");
            let answer = port.ask(&line, &["Content-Type: application/json"], "{}").await;
            assert_eq!(answer.status, 401, "{line}: {}", answer.body);
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let port = Port::open().await;
    let long = format!("X-Long: {}", "x".repeat(17 * 1024));
    port.ask("GET /healthz", &[&long], "").await.problem(431);
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_ends() {
    let port = Port::open().await;
    let mut idle = TcpStream::connect(port.address).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", port.address);
    idle.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 16];
    idle.read_exact(&mut answer).await.unwrap();
    port.stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), port.served).await;
    ended.expect("an idle connection does not hold it up").unwrap().unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
}
