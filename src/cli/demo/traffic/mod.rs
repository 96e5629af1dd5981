//! Visitors of the demo: requests at a steady rate through the sidecar, and what became of them.
//!
//! The rate is kept whatever the answers take; connections are few and kept alive. When all of them are busy, a visit
//! that is due is not made and counted as unsent, so nothing ever queues up here, and the latency of a visit is
//! that of the sidecar and the shop alone.

mod chance;
mod client;
mod latency;
mod pace;
mod tally;
mod visitors;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::shop::Edition;
use chance::Chance;
pub(super) use client::Connection;
pub(super) use pace::Pace;
pub(super) use tally::{Change, Percentiles, Ramp, Report, Sum, Trouble};
use tally::{Outcome, Tally};
use visitors::{Ask, CROWD, Visitor};

/// The most requests under way, and so the most connections.
const MAX_CONNECTIONS: usize = 64;
/// How long requests under way may take to finish at the end.
const FINISH: Duration = Duration::from_secs(2);
/// The same visits in every run.
const SEED: u64 = 20_261_111;

/// A stream of visitors that runs until it is stopped.
#[derive(Debug)]
pub(super) struct Traffic {
    street: Arc<Street>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Traffic {
    /// Sends `rps` visits a second to `target`.
    pub(super) fn start(target: SocketAddr, rps: u32) -> Traffic {
        let street = Arc::new(Street::new(target));
        let (stop, stops) = watch::channel(false);
        let task = tokio::spawn(send(Arc::clone(&street), Pace::new(rps), stops));
        Traffic { street, stop, task }
    }

    /// How it went in the last seconds; to be called once a second.
    pub(super) fn turn(&self) -> Report {
        self.street.tally().turn()
    }

    /// Ends the visits and tells how it went altogether.
    pub(super) async fn stop(self) -> Sum {
        self.stop.send_replace(true);
        // It ends within FINISH; an error would be a panic in it, and what was counted still counts.
        let _ = self.task.await;
        self.street.tally().sum()
    }
}

/// What the visits share.
#[derive(Debug)]
struct Street {
    target: SocketAddr,
    host: String,
    crowd: Vec<Visitor>,
    idle: Mutex<Vec<Connection>>,
    tally: Mutex<Tally>,
}

impl Street {
    fn new(target: SocketAddr) -> Street {
        Street {
            target,
            host: target.to_string(),
            crowd: (0..CROWD).map(Visitor::new).collect(),
            idle: Mutex::new(Vec::with_capacity(MAX_CONNECTIONS)),
            tally: Mutex::new(Tally::new()),
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that may be used; the one used last is taken first, and old ones are closed on the way.
    async fn connection(&self) -> Result<Connection, client::Failure> {
        loop {
            let idle = self.idle().pop();
            match idle {
                Some(connection) if connection.is_fresh() => return Ok(connection),
                Some(_) => {}
                None => return Connection::open(self.target).await,
            }
        }
    }
}

async fn send(street: Arc<Street>, mut pace: Pace, mut stops: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut chance = Chance::new(SEED);
    let mut visits = JoinSet::new();
    let start = Instant::now();
    loop {
        let due = pace.due(start.elapsed());
        let mut unsent = due.missed;
        for _ in 0..due.now {
            let (number, ask) = (chance.skewed(CROWD), Ask::draw(&mut chance));
            match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => drop(visits.spawn(visit(Arc::clone(&street), number, ask, slot))),
                Err(_) => unsent += 1,
            }
        }
        street.tally().unsent(unsent);
        while visits.try_join_next().is_some() {}
        tokio::select! {
            () = tokio::time::sleep_until((start + due.next).into()) => {}
            // An error means that the owner is gone, which ends the visits as well.
            _ = stops.wait_for(|stop| *stop) => break,
        }
    }
    // What is still under way after that is dropped with its set.
    let all = async { while visits.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FINISH, all).await;
    street.idle().clear();
}

/// One visit; it holds its slot until the connection is idle again, so that there are never more connections than slots.
async fn visit(street: Arc<Street>, number: usize, ask: Ask, slot: OwnedSemaphorePermit) {
    let Some(visitor) = street.crowd.get(number) else { return };
    let request = visitors::request(visitor, ask, &street.host);
    let outcome = match ride(&street, request.as_bytes()).await {
        Ok(outcome) => outcome,
        Err(failure) => Outcome::Trouble(Trouble::from(&failure)),
    };
    street.tally().record(visitor, ask.is_released(), outcome);
    drop(slot);
}

async fn ride(street: &Street, request: &[u8]) -> Result<Outcome, client::Failure> {
    let mut connection = street.connection().await?;
    let sent = Instant::now();
    let answer = connection.exchange(request).await?;
    let latency = sent.elapsed();
    if connection.is_fresh() {
        street.idle().push(connection);
    }
    if answer.status >= 400 {
        return Ok(Outcome::Trouble(Trouble::Status(answer.status)));
    }
    Ok(match edition(&answer.body) {
        Some(edition) => Outcome::Served { edition, latency },
        None => Outcome::Trouble(Trouble::Unreadable),
    })
}

/// The version that an answer says it is from.
fn edition(body: &[u8]) -> Option<Edition> {
    #[derive(Deserialize)]
    struct Signed<'a> {
        version: &'a str,
    }
    let signed: Signed<'_> = serde_json::from_slice(body).ok()?;
    Edition::of_version(signed.version)
}

#[cfg(test)]
mod tests {
    use super::super::shop;
    use super::*;

    #[tokio::test]
    async fn visitors_of_a_shop_are_counted_as_the_shop_counts_them() {
        let (_closing, closes) = watch::channel(false);
        let [stable, _gray] = shop::open_both(&closes).await.unwrap();
        let traffic = Traffic::start(stable.address, 2_000);
        let mut rate = 0.0;
        while traffic.street.tally().sum().answers[0] < 600 {
            // The pause between two looks.
            tokio::time::sleep(Duration::from_millis(5)).await;
            rate = traffic.turn().rate;
        }
        assert!(rate > 0.0);
        let sum = traffic.stop().await;
        assert_eq!(sum.errors, 0, "{:?}", sum.troubles);
        assert_eq!(sum.answers, [stable.served(), 0]);
        assert!(stable.orders() > 0);
        assert!(sum.visitors > 200, "{}", sum.visitors);
        assert!(sum.percentiles[0].p50 <= sum.percentiles[0].p99 && sum.percentiles[0].p50.is_some());
        assert_eq!((sum.ramp.gray, sum.changes), (0, 0));
    }

    #[tokio::test]
    async fn a_shop_that_is_closed_is_an_error_and_no_end() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let traffic = Traffic::start(address, 1_000);
        while traffic.street.tally().sum().errors < 20 {
            // The pause between two looks.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let sum = traffic.stop().await;
        assert_eq!(sum.answers, [0, 0]);
        assert_eq!(sum.troubles.keys().collect::<Vec<_>>(), [&Trouble::Connect]);
    }

    #[tokio::test]
    async fn a_silent_server_gets_no_more_than_the_bounded_connections() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let traffic = Traffic::start(listener.local_addr().unwrap(), 5_000);
        let mut held = Vec::new();
        while traffic.street.tally().sum().unsent < 500 {
            let accepted = tokio::time::timeout(Duration::from_millis(5), listener.accept()).await;
            held.extend(accepted.into_iter().flatten());
        }
        assert!(held.len() <= MAX_CONNECTIONS, "{}", held.len());
        drop(held);
        drop(listener);
        traffic.stop().await;
    }
}
