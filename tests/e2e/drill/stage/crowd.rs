//! Users at a steady rate, whatever the answers take. Every visit is made twice at the same moment, on the shielded route
//! and on the bare one, so that the two differ in nothing but the shield.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

/// How many different users there are; which of them see gray follows from their buckets.
const USERS: u64 = 1000;
/// Longer than any time-out of the drill: an answer later than this is none.
const PATIENCE: Duration = Duration::from_secs(15);

/// The part of an act in which a visit was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Gray is well still.
    Before,
    /// Gray is bad and the breaker closed.
    Bad,
    /// Gray is bad and the breaker has opened.
    Open,
    /// Gray is well again.
    Healed,
}

/// What users met on one route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) visits: u64,
    /// An error, or no answer at all.
    pub(crate) failed: u64,
    /// A good answer, later than users bear.
    pub(crate) slow: u64,
}

#[derive(Default)]
struct Cell {
    visits: AtomicU64,
    failed: AtomicU64,
    slow: AtomicU64,
}

struct Street {
    target: SocketAddr,
    bearable: Duration,
    phase: AtomicUsize,
    stops: AtomicBool,
    idle: Mutex<Vec<TcpStream>>,
    /// By phase and route.
    met: [[Cell; 2]; 4],
}

/// The users; gone when they are told to go home.
pub(crate) struct Crowd {
    street: Arc<Street>,
    task: JoinHandle<()>,
}

impl Crowd {
    /// `rps` visits a second on each route; a good answer later than `bearable` counts as slow.
    pub(crate) fn start(runtime: &Runtime, target: SocketAddr, rps: u32, bearable: Duration) -> Self {
        let street = Arc::new(Street {
            target,
            bearable,
            phase: AtomicUsize::new(Phase::Before as usize),
            stops: AtomicBool::new(false),
            idle: Mutex::default(),
            met: Default::default(),
        });
        let task = runtime.spawn(visit_at(rps, Arc::clone(&street)));
        Self { street, task }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.street.phase.store(phase as usize, Ordering::SeqCst);
    }

    /// What users met on the shielded and on the bare route in the visits made in this phase.
    pub(crate) fn met(&self, phase: Phase) -> [Met; 2] {
        self.street.met[phase as usize].each_ref().map(|cell| Met {
            visits: cell.visits.load(Ordering::SeqCst),
            failed: cell.failed.load(Ordering::SeqCst),
            slow: cell.slow.load(Ordering::SeqCst),
        })
    }

    /// No more visits; returns when every answer is in and every connection closed.
    pub(crate) fn go_home(&mut self, runtime: &Runtime) {
        self.street.stops.store(true, Ordering::SeqCst);
        runtime.block_on(&mut self.task).expect("no visit panics");
        self.street.idle.lock().unwrap().clear();
    }
}

async fn visit_at(rps: u32, street: Arc<Street>) {
    let start = Instant::now();
    let mut visits = JoinSet::new();
    let mut number = 0_u64;
    while !street.stops.load(Ordering::SeqCst) {
        let due = (start.elapsed().as_secs_f64() * f64::from(rps)) as u64;
        for number in number..due {
            for route in 0..2 {
                visits.spawn(visit(Arc::clone(&street), number % USERS, route));
            }
        }
        number = number.max(due);
        while visits.try_join_next().is_some() {}
        // The crowd's pace.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    while visits.join_next().await.is_some() {}
}

async fn visit(street: Arc<Street>, user: u64, route: usize) {
    let cell = &street.met[street.phase.load(Ordering::SeqCst)][route];
    cell.visits.fetch_add(1, Ordering::SeqCst);
    let path = ["/on", "/off"][route];
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\nx-user-id: u{user}\r\n\r\n");
    let sent = Instant::now();
    let status = tokio::time::timeout(PATIENCE, ask(&street, request.as_bytes())).await.ok().flatten();
    if status != Some(200) {
        cell.failed.fetch_add(1, Ordering::SeqCst);
    } else if sent.elapsed() > street.bearable {
        cell.slow.fetch_add(1, Ordering::SeqCst);
    }
}

/// The status of the answer; none where there is no whole one.
async fn ask(street: &Street, request: &[u8]) -> Option<u16> {
    let kept = street.idle.lock().unwrap().pop();
    let mut stream = match kept {
        Some(stream) => stream,
        None => TcpStream::connect(street.target).await.ok()?,
    };
    stream.write_all(request).await.ok()?;
    let mut read = Vec::new();
    let (status, length) = loop {
        if let Some(found) = head(&read) {
            break found;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    while read.len() < length {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    street.idle.lock().unwrap().push(stream);
    Some(status)
}

/// The status, and the length of head and body together, once the head is whole.
fn head(read: &[u8]) -> Option<(u16, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(end) = response.parse(read).ok()? else { return None };
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length: usize = std::str::from_utf8(length?.value).ok()?.parse().ok()?;
    Some((response.code?, end + length))
}
