//! Traffic that goes on while the configuration changes, over HTTP/1.1, HTTP/2 and tunnels, and counts what went wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::harness::{Client, Origin, Plan, Sidecar, answer, collect, h2_client};

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Two versions that name themselves in two places each: by the upstream that answers and by the release it is told.
pub(crate) struct Versions {
    pub(crate) plans: [Plan; 2],
    _origins: [Origin; 2],
}

impl Versions {
    pub(crate) fn new() -> Self {
        let origins = ["a", "b"].map(|name| {
            Origin::start(move |visit| {
                while let Some(head) = visit.head() {
                    if head.get("upgrade").is_some() {
                        visit.send(ACCEPTED);
                        while let Ok(bytes) = visit.wire.take(4) {
                            visit.send(bytes);
                        }
                        return;
                    }
                    let told = head.get("x-gray-release").unwrap_or_default();
                    if visit.send(answer("200 OK", &format!("X-Lane: {name}\r\nX-Told: {told}\r\n"), b"ok")).is_none() {
                        return;
                    }
                }
            })
        });
        let plans = [("a", 0), ("b", 1)].map(|(name, at)| {
            let gray: &Origin = &origins[at];
            Plan::new()
                .admin("insecure_changes: true")
                .upstream("stable", gray.address())
                .upstream("gray", gray.address())
                .release(name, "level: full")
                .route("all", "/{*rest}", "stable: stable, gray: gray", &format!("release: {name}"))
        });
        Self { plans, _origins: origins }
    }
}

/// What came of the traffic.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) requests: usize,
    pub(crate) failed: usize,
    /// Answers in which the two places named two versions.
    pub(crate) mixed: usize,
    pub(crate) latencies: Vec<Duration>,
}

impl Tally {
    fn note(&mut self, began: Instant, status: u16, lane: Option<&str>, told: Option<&str>) {
        self.requests += 1;
        self.failed += usize::from(status != 200);
        self.mixed += usize::from(lane != told || lane.is_none());
        self.latencies.push(began.elapsed());
    }

    fn add(mut self, other: Self) -> Self {
        self.requests += other.requests;
        self.failed += other.failed;
        self.mixed += other.mixed;
        self.latencies.extend(other.latencies);
        self
    }

    /// The 99th percentile of the latencies.
    pub(crate) fn p99(&mut self) -> Duration {
        self.latencies.sort_unstable();
        self.latencies.get(self.latencies.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// Traffic under way.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Tally>>,
    /// How many of them do not carry bytes any more.
    tunnels: JoinHandle<usize>,
}

impl Crowd {
    /// So many connections of each protocol, each with one request after the other, `pause` apart, and so many tunnels.
    pub(crate) fn start(sidecar: &Sidecar, h1: usize, h2: usize, tunnels: usize, pause: Duration) -> Self {
        let (stop, address) = (Arc::new(AtomicBool::new(false)), sidecar.traffic());
        let tunnel = |_| {
            let mut client = sidecar.client();
            client.send(UPGRADE);
            assert_eq!(client.answer().status(), 101);
            client
        };
        let mut tunnels: Vec<Client> = (0..tunnels).map(tunnel).collect();
        let stopped = stop.clone();
        let tunnels = thread::spawn(move || {
            // A tunnel through which nothing goes for a minute is closed for that; these are used.
            let mut closed = 0;
            loop {
                let is_last = stopped.load(Ordering::Acquire);
                tunnels.retain_mut(|client| {
                    let lives = client.try_send(b"ping").is_ok() && client.try_take(4).as_deref() == Some(b"ping");
                    closed += usize::from(!lives);
                    lives
                });
                if is_last {
                    return closed;
                }
                // The visitor's pace.
                thread::sleep(Duration::from_millis(500));
            }
        });
        let mut threads: Vec<JoinHandle<Tally>> = Vec::new();
        for _ in 0..h1 {
            let stop = stop.clone();
            threads.push(thread::spawn(move || {
                let (mut tally, mut client) = (Tally::default(), Client::connect(address));
                while !stop.load(Ordering::Acquire) {
                    let began = Instant::now();
                    let sent = client.try_send(b"GET /h1 HTTP/1.1\r\nHost: a\r\nX-User-Id: u\r\n\r\n");
                    match sent.ok().and_then(|()| client.try_answer("GET").ok()) {
                        Some(answer) => tally.note(
                            began,
                            answer.status(),
                            answer.get("x-lane").as_deref(),
                            answer.get("x-told").as_deref(),
                        ),
                        None => {
                            tally.failed += 1;
                            client = Client::connect(address);
                        }
                    }
                    // The visitor's pace.
                    thread::sleep(pause);
                }
                tally
            }));
        }
        let stopped = stop.clone();
        threads.push(thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let mut tasks = tokio::task::JoinSet::new();
                (0..h2).for_each(|_| _ = tasks.spawn(over_h2(address, stopped.clone(), pause)));
                tasks.join_all().await.into_iter().fold(Tally::default(), Tally::add)
            })
        }));
        Self { stop, threads, tunnels }
    }

    /// Ends it; what came of it, and how many tunnels do not carry bytes any more.
    pub(crate) fn end(mut self) -> (Tally, usize) {
        self.stop.store(true, Ordering::Release);
        let threads = self.threads.drain(..).map(|thread| thread.join().expect("the traffic does not panic"));
        let tally = threads.fold(Tally::default(), Tally::add);
        (tally, self.tunnels.join().expect("the tunnels do not panic"))
    }
}

async fn over_h2(address: std::net::SocketAddr, stop: Arc<AtomicBool>, pause: Duration) -> Tally {
    let mut tally = Tally::default();
    let mut client = h2_client(address).await;
    while !stop.load(Ordering::Acquire) {
        let began = Instant::now();
        let request = http::Request::get("http://a/h2").header("x-user-id", "u").body(()).expect("a request");
        let answer = async {
            let ready: h2::client::SendRequest<Bytes> = client.clone().ready().await.ok()?;
            client = ready;
            let answer = client.send_request(request, true).ok()?.0.await.ok()?;
            let (head, body) = answer.into_parts();
            collect(body).await.ok()?;
            Some(head)
        };
        match answer.await {
            Some(head) => {
                let text = |name| head.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
                tally.note(began, head.status.as_u16(), text("x-lane"), text("x-told"));
            }
            None => {
                tally.failed += 1;
                client = h2_client(address).await;
            }
        }
        // The visitor's pace.
        tokio::time::sleep(pause).await;
    }
    tally
}
