//! The port as a client sees it: a real listener on loopback, and raw bytes.

mod changing;
mod guarding;
mod planning;
mod reading;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::change::{AuditAction, AuditRecord, Journal, Plan, Standing};
use crate::config::{self, AdminChanges, KeyFiles};
use crate::decide::Level;
use crate::latch::{Cause, Evidence, Incident, LatchError};
use crate::telemetry::BreakerState;

/// A sidecar that was never started.
pub(super) struct Still {
    draining: AtomicBool,
    changes: Mutex<AdminChanges>,
    readers: Mutex<Option<Vec<std::path::PathBuf>>>,
    changed: Mutex<Vec<ReleaseChange>>,
}

impl Default for Still {
    fn default() -> Self {
        Self {
            draining: AtomicBool::default(),
            changes: Mutex::new(AdminChanges::Refused),
            readers: Mutex::default(),
            changed: Mutex::default(),
        }
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
            refused: None,
            sources: vec!["config/goods.yaml".to_owned()],
            documents: Vec::new(),
            stale: Vec::new(),
            pinned: None,
            listeners: vec!["127.0.0.1:15080".to_owned()],
            settings: json!({ "workers": 2 }),
        }
    }

    fn sources(&self) -> Vec<crate::source::SourceStatus> {
        Vec::new()
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
            gray_drain_seconds: 300.0,
            revision: 0,
            rollback: None,
            verdict: None,
            routes: vec!["sku-detail".to_owned()],
            conditions: 2,
        }]
    }

    fn buckets(&self, release: &str, key: Option<&str>) -> Option<BucketsView> {
        (release == "pricing-v2").then(|| BucketsView {
            release: release.to_owned(),
            salt: "s".to_owned(),
            admitted: 50,
            requests: vec![0; 1000],
            asked: key.map(|_| 7),
        })
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
                durations: vec![7],
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

    fn audit(&self) -> AuditView {
        let journal = Journal::open(None);
        journal.push(AuditRecord {
            time: SystemTime::UNIX_EPOCH,
            from: Some("4f1c".to_owned()),
            problems: vec!["goods.yaml:3:1: unknown field".to_owned()],
            ..AuditRecord::now(AuditAction::Refused, "config/goods.yaml")
        });
        AuditView { audit: journal.entries(), trail: journal.state() }
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

    fn readers(&self) -> Option<Vec<std::path::PathBuf>> {
        self.readers.lock().unwrap().clone()
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

/// Plans against a configuration without anything; knows one version, `4f1c`.
impl ConfigControl for Still {
    fn plan(&self, text: &str) -> Result<Plan, Vec<String>> {
        let load = |text: &str| {
            let loaded = config::load_text("t.yaml".as_ref(), text.as_bytes(), KeyFiles::MayBeAbsent);
            loaded.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (old, new) = (load("service: goods\n")?, load(text)?);
        Ok(Plan::between((&old).into(), (&new).into(), &Standing::default(), None))
    }

    fn history(&self) -> Vec<PastView> {
        let (version, time, sources) = ("4f1c".to_owned(), "2026-11-22T10:23:01Z".to_owned(), Vec::new());
        vec![PastView { version, time, in_force: true, sources, bytes: 7 }]
    }

    fn roll_back(&self, version: &str, by: &str, confirm: Option<&str>) -> Result<Synced, SyncError> {
        match version {
            "4f1c" => self.sync(by, confirm),
            _ => Err(SyncError::Unknown(version.to_owned())),
        }
    }
}

impl SyncControl for Still {
    fn sync(&self, by: &str, confirm: Option<&str>) -> Result<Synced, SyncError> {
        match confirm {
            Some("12ab") => {
                let (version, from) = ("4f1c".to_owned(), "0000".to_owned());
                Ok(Synced { version, from, changed: true, names: vec![by.to_owned()] })
            }
            _ => Err(SyncError::Unconfirmed { reason: "needs 12ab".to_owned(), digest: "12ab".to_owned() }),
        }
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
        let (sync, configs) = (view.clone(), view.clone());
        let state = AdminState { view: view.clone(), faults, sync, configs, telemetry, host_names: Vec::new() };
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
