//! The port as a client sees it: a real listener on loopback, and raw bytes.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::config::AdminChanges;
use crate::decide::Level;
use crate::latch::{Cause, Evidence, Incident, LatchError};
use crate::telemetry::BreakerState;

/// A sidecar that was never started.
struct Still {
    draining: AtomicBool,
    changes: Mutex<AdminChanges>,
    changed: Mutex<Vec<ReleaseChange>>,
}

impl Default for Still {
    fn default() -> Self {
        Self { draining: AtomicBool::default(), changes: Mutex::new(AdminChanges::Refused), changed: Mutex::default() }
    }
}

impl AdminView for Still {
    fn readiness(&self) -> Result<(), NotReady> {
        if self.draining.load(Relaxed) { Err(NotReady("draining".to_owned())) } else { Ok(()) }
    }

    fn config(&self) -> ConfigView {
        ConfigView {
            service: "goods-core".to_owned(),
            environment: "prod".to_owned(),
            lane: "stable".to_owned(),
            version: "4f1c".to_owned(),
            applied: 1,
            sources: vec!["config/goods.yaml".to_owned()],
            listeners: vec!["127.0.0.1:15080".to_owned()],
            settings: json!({ "workers": 2 }),
        }
    }

    fn releases(&self) -> Vec<ReleaseView> {
        vec![ReleaseView {
            name: "<script>alert(1)</script>".to_owned(),
            level: Level::Permille,
            permille: 50,
            salt: "pricing-v2".to_owned(),
            latched: false,
            latch: None,
            paused: false,
            pause: None,
            revision: 0,
            rollback: None,
            verdict: None,
            routes: vec!["sku-detail".to_owned()],
            conditions: 2,
        }]
    }

    fn routes(&self) -> Vec<RouteView> {
        vec![RouteView {
            name: "sku-detail".to_owned(),
            hosts: Vec::new(),
            path: "/api/v1/sku/{sku_id}".to_owned(),
            methods: vec!["GET".to_owned()],
            release: Some("pricing-v2".to_owned()),
            inflight: 0,
            lanes: vec![LaneView {
                lane: "gray".to_owned(),
                upstream: "goods-gray".to_owned(),
                requests: 7,
                server_errors: 1,
                duration_seconds: 0.5,
            }],
        }]
    }

    fn upstreams(&self) -> Vec<UpstreamView> {
        vec![UpstreamView {
            name: "goods-gray".to_owned(),
            protocol: "http1".to_owned(),
            balance: "p2c".to_owned(),
            panic: false,
            endpoints: vec![EndpointView {
                address: "127.0.0.1:9002".to_owned(),
                healthy: None,
                addresses: Vec::new(),
            }],
            active: 1,
            idle: 2,
        }]
    }

    fn breakers(&self) -> Vec<BreakerView> {
        vec![BreakerView {
            route: "sku-detail".to_owned(),
            lane: "gray".to_owned(),
            breaker: Some("default".to_owned()),
            state: BreakerState::HalfOpen,
            thresholds: json!({ "p99": "1.2s" }),
        }]
    }

    fn audit(&self) -> Vec<AuditRecord> {
        vec![AuditRecord {
            time: SystemTime::UNIX_EPOCH,
            action: AuditAction::Refused,
            from: Some("4f1c".to_owned()),
            version: None,
            source: "config/goods.yaml".to_owned(),
            changed: Vec::new(),
            problems: vec!["goods.yaml:3:1: unknown field".to_owned()],
            by: None,
            detail: None,
        }]
    }

    fn incidents(&self) -> Vec<Arc<Incident>> {
        let incident = |number| Incident {
            number,
            time: SystemTime::UNIX_EPOCH.into(),
            release: "pricing-v2".to_owned(),
            revision: 3,
            config_version: "4f1c".to_owned(),
            evidence: Evidence::of(Cause::Openings, "breaker", "breakers opened 3 times within 600s"),
        };
        vec![Arc::new(incident(1)), Arc::new(incident(2))]
    }

    fn changes(&self) -> AdminChanges {
        self.changes.lock().unwrap().clone()
    }

    fn change(&self, change: &ReleaseChange) -> Result<Changed, ChangeError> {
        let release = change.release.clone();
        match release.as_str() {
            "pricing-v2" if change.action == ReleaseAction::Reset => Err(LatchError::Paused { release }.into()),
            "pricing-v2" => {
                self.changed.lock().unwrap().push(change.clone());
                let release = self.releases().remove(0);
                Ok(Changed { changed: true, survives_restart: false, incident: Some(3), release })
            }
            _ => Err(LatchError::Unknown { release }.into()),
        }
    }

    fn explain(&self, request: &ExplainRequest) -> Result<Value, ExplainError> {
        if request.uri.path() == "/%2f" {
            return Err(ExplainError::Refused("encoded slash".to_owned()));
        }
        Ok(json!({ "lane": "gray", "path": request.uri.path(), "method": request.method.as_str() }))
    }
}

/// Sets whatever is well-formed JSON.
#[derive(Default)]
struct FaultList(Mutex<Vec<String>>);

impl FaultControl for FaultList {
    fn faults(&self) -> Vec<FaultView> {
        let names = self.0.lock().unwrap();
        let view = |name: &String| FaultView {
            name: name.clone(),
            routes: vec!["sku-detail".to_owned()],
            lane: "gray".to_owned(),
            permille: 100,
            kind: "abort",
            effect: json!({ "status": 503 }),
            expires: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_342_981),
            on: true,
            origin: "admin",
            counts: false,
            injected: 7,
        };
        names.iter().map(view).collect()
    }

    fn add_fault(&self, text: &[u8], _by: &str) -> Result<FaultView, FaultError> {
        let body: Value = serde_json::from_slice(text).map_err(|why| FaultError::Unfit(why.to_string()))?;
        let name = body["name"].as_str().unwrap().to_owned();
        if self.0.lock().unwrap().contains(&name) {
            return Err(FaultError::InTheWay("the name is taken".to_owned()));
        }
        self.0.lock().unwrap().push(name);
        Ok(self.faults().pop().unwrap())
    }

    fn remove_fault(&self, name: &str, _by: &str) -> bool {
        let mut names = self.0.lock().unwrap();
        let before = names.len();
        names.retain(|there| there != name);
        names.len() < before
    }

    fn clear_faults(&self, _by: &str) -> Vec<Arc<str>> {
        self.0.lock().unwrap().drain(..).map(Arc::from).collect()
    }
}

struct Port {
    address: SocketAddr,
    view: Arc<Still>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<io::Result<()>>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Asserts that this is a problem of that status, and gives its detail.
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl Port {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let view = Arc::new(Still::default());
        let telemetry = Arc::new(Telemetry::new(1));
        let faults = Arc::new(FaultList::default());
        let state = AdminState { view: view.clone(), faults, telemetry, host_names: Vec::new() };
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(listener, state, async move {
            let _ = stopped.await;
        }));
        Self { address, view, stop, served }
    }

    /// Sends bytes as they are and reads until the connection closes.
    async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may refuse and close before everything is sent.
        let _ = stream.write_all(bytes).await;
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// One request with the right `Host` and further header lines.
    async fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for header in headers {
            text += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body;
        self.raw(text.as_bytes()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], "").await
    }

    async fn explain(&self, body: &str) -> Answer {
        self.ask("POST /api/v1/explain", &["Content-Type: application/json"], body).await
    }
}

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
    *port.view.changes.lock().unwrap() = AdminChanges::Token(file.clone());
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
