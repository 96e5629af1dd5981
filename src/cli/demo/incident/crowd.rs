//! Users at a steady rate who only read. Every visit is made twice at the same moment, on the shielded route and on the
//! bare one, so that what the two met differs by the shield alone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::super::traffic::{Connection, Pace};
use super::act::{Act, RELEASE, Side};
use super::configuration::{CHOICE, PERMILLE};
use crate::decide;

/// How many different users there are.
const USERS: u64 = 1000;
/// The most requests under way: a hang at the highest pace fits, an endless one does not.
const MAX_UNDER_WAY: usize = 1024;
/// An answer later than this is too late for a user.
pub(super) const BEARABLE: Duration = Duration::from_millis(800);

/// What users met on one route so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// Visits by users whom their bucket puts in gray.
    pub(super) by_gray: u64,
    /// An error, or no answer.
    pub(super) failed: u64,
    /// A good answer that came too late.
    pub(super) slow: u64,
    /// Visits that could not be made, because too many were under way.
    pub(super) unsent: u64,
}

impl Met {
    /// What was met since `before`.
    pub(super) fn since(self, before: Met) -> Met {
        Met {
            by_gray: self.by_gray - before.by_gray,
            failed: self.failed - before.failed,
            slow: self.slow - before.slow,
            unsent: self.unsent - before.unsent,
        }
    }
}

#[derive(Debug, Default)]
struct Cell {
    by_gray: AtomicU64,
    failed: AtomicU64,
    slow: AtomicU64,
    unsent: AtomicU64,
}

#[derive(Debug)]
struct Street {
    target: SocketAddr,
    act: Act,
    idle: Mutex<Vec<Connection>>,
    met: [Cell; 2],
}

/// The users of one act.
#[derive(Debug)]
pub(super) struct Crowd {
    street: Arc<Street>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Crowd {
    /// `rps` visits a second on each of the act's routes.
    pub(super) fn start(target: SocketAddr, act: Act, rps: u32) -> Crowd {
        let street = Arc::new(Street { target, act, idle: Mutex::default(), met: Default::default() });
        let (stop, stops) = watch::channel(false);
        let task = tokio::spawn(send(Arc::clone(&street), Pace::new(rps), stops));
        Crowd { street, stop, task }
    }

    /// What users met on the shielded and on the bare route.
    pub(super) fn met(&self) -> [Met; 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.street.met.each_ref().map(|cell| Met {
            by_gray: read(&cell.by_gray),
            failed: read(&cell.failed),
            slow: read(&cell.slow),
            unsent: read(&cell.unsent),
        })
    }

    /// No more visits; returns what was met when every answer is in. The time of an exchange is bounded, so it returns.
    pub(super) async fn go_home(mut self) -> [Met; 2] {
        self.stop.send_replace(true);
        // An error would be a panic in it, and what was counted still counts.
        let _ = (&mut self.task).await;
        self.met()
    }
}

/// Dropped in the middle, it takes its visits along.
impl Drop for Crowd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(street: Arc<Street>, mut pace: Pace, mut stops: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(MAX_UNDER_WAY));
    let mut visits = JoinSet::new();
    let start = Instant::now();
    let mut number = 0;
    loop {
        let due = pace.due(start.elapsed());
        for _ in 0..due.now {
            number += 1;
            for side in Side::BOTH {
                match Arc::clone(&slots).try_acquire_owned() {
                    Ok(slot) => drop(visits.spawn(visit(Arc::clone(&street), number % USERS, side, slot))),
                    Err(_) => count(&street.met[side as usize].unsent, 1),
                }
            }
        }
        street.met.iter().for_each(|cell| count(&cell.unsent, due.missed));
        while visits.try_join_next().is_some() {}
        tokio::select! {
            () = tokio::time::sleep_until((start + due.next).into()) => {}
            // An error means that the owner is gone, which ends the visits as well.
            _ = stops.wait_for(|stop| *stop) => break,
        }
    }
    while visits.join_next().await.is_some() {}
}

async fn visit(street: Arc<Street>, user: u64, side: Side, slot: OwnedSemaphorePermit) {
    let cell = &street.met[side as usize];
    let user_id = format!("u{user}");
    count(&cell.by_gray, u64::from(decide::bucket(RELEASE, &user_id).get() < PERMILLE));
    let (route, host) = (street.act.route(side), street.target);
    let request =
        format!("GET /api/v1/sku/100101 HTTP/1.1\r\nhost: {host}\r\nx-user-id: {user_id}\r\n{CHOICE}: {route}\r\n\r\n");
    let sent = Instant::now();
    match ask(&street, request.as_bytes()).await {
        Some(200) => count(&cell.slow, u64::from(sent.elapsed() > BEARABLE)),
        _ => count(&cell.failed, 1),
    }
    drop(slot);
}

/// The status of the answer; none where there is no whole one.
async fn ask(street: &Street, request: &[u8]) -> Option<u16> {
    let idle = || street.idle.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = idle().pop().filter(Connection::is_fresh);
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(street.target).await.ok()?,
    };
    let answer = connection.exchange(request).await.ok()?;
    if connection.is_fresh() {
        idle().push(connection);
    }
    Some(answer.status)
}

fn count(cell: &AtomicU64, more: u64) {
    cell.fetch_add(more, Ordering::Relaxed);
}
