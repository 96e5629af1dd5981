//! Product facts from a store: a Redis hash or a JSON object for each key, kept for a while.
//!
//! A request waits at most as long as the look-up's deadline, and for a store that is down not at all: a failed look-up is
//! nothing found, never a failed request. What is wrong with one key's record is kept like a record that is not there, and
//! only a store that cannot say counts as failing: else one bad record, which every client can ask for, would take the
//! facts of all the others away. Many requests for one key share one look-up (single flight), and a record that
//! is no longer fresh is given while it is looked up anew.
//!
//! Requests ask from any thread ([`Lookup::get`]); the store is spoken to on the control runtime, where somebody has to
//! run the [`Desk`]. The cache is in shards under locks that are held for a map's look-up and nothing else; who has no
//! look-ups takes none.

mod cache;
mod desk;
mod health;
mod store;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, watch};

pub use desk::Desk;

use cache::{Cache, Place};
use health::Health;

use crate::config::LookupPlan;
use crate::telemetry::{LookupResult, LookupSeries};

/// Most look-ups that wait to be begun.
const MOST_WAITING: usize = 1024;

/// What is known under one key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record(Vec<(Box<str>, Box<str>)>);

impl Record {
    /// A record of these fields.
    pub fn new(fields: impl IntoIterator<Item = (Box<str>, Box<str>)>) -> Record {
        Record(fields.into_iter().collect())
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }
}

/// What a look-up came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A record.
    Found(Arc<Record>),
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// The store answered, and what it has under this key is no record, for this reason. It says nothing of other keys.
    Unusable(&'static str),
}

/// One store with what is kept of it.
pub struct Lookup {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
    /// Until somebody runs it.
    desk: Mutex<Option<Desk>>,
}

/// What the requests and the desk share.
struct Shared {
    plan: LookupPlan,
    cache: Cache,
    health: Health,
    series: OnceLock<Arc<LookupSeries>>,
}

/// Something to be looked up.
struct Ask {
    key: Box<str>,
    done: watch::Sender<Option<Answer>>,
}

impl Lookup {
    /// Nothing is kept yet, and nothing is asked until the desk runs.
    pub fn new(plan: LookupPlan) -> Lookup {
        let (asks, waiting) = mpsc::channel(MOST_WAITING);
        let (cache, health) = (Cache::new(plan.entries), Health::default());
        let shared = Arc::new(Shared { plan, cache, health, series: OnceLock::new() });
        let desk = Mutex::new(Some(Desk::new(shared.clone(), waiting)));
        Lookup { shared, asks, desk }
    }

    /// As configured.
    pub fn plan(&self) -> &LookupPlan {
        &self.shared.plan
    }

    /// Counts here from now on; the first to say so counts.
    pub fn count_in(&self, series: Arc<LookupSeries>) {
        let _ = self.shared.series.set(series);
    }

    /// The side that speaks to the store, to be run once; nothing where somebody has it already.
    pub fn desk(&self) -> Option<Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What is known under `key`, within the deadline. `worker` is for counting.
    pub async fn get(&self, key: &str, worker: usize) -> Answer {
        let now = Instant::now();
        let (result, answer) = match self.shared.cache.place(key, now) {
            Place::Fresh(answer) => (LookupResult::Hit, answer),
            Place::Stale(answer) => {
                // Somebody has to look it up anew, and nobody waits for that.
                self.begin(key, now);
                (LookupResult::Stale, answer)
            }
            Place::Flying(flight) => self.wait(flight).await,
            Place::Unknown => match self.begin(key, now) {
                Some(flight) => self.wait(flight).await,
                None => (LookupResult::Refused, Answer::Nothing("the store is down")),
            },
        };
        if let Some(series) = self.shared.series.get() {
            series.ended(worker, result);
        }
        answer
    }

    /// Begins a look-up unless the store is down, or too many wait.
    fn begin(&self, key: &str, now: Instant) -> Option<watch::Receiver<Option<Answer>>> {
        if !self.shared.health.may_ask(now) {
            return None;
        }
        let (done, flight) = watch::channel(None);
        // Another request may have been faster.
        if let Some(other) = self.shared.cache.fly(key, flight.clone()) {
            return Some(other);
        }
        if self.asks.try_send(Ask { key: key.into(), done }).is_err() {
            self.shared.cache.land(key, None);
            return None;
        }
        Some(flight)
    }

    async fn wait(&self, mut flight: watch::Receiver<Option<Answer>>) -> (LookupResult, Answer) {
        let landed = flight.wait_for(Option::is_some);
        match tokio::time::timeout(self.shared.plan.deadline, landed).await {
            Err(_) => (LookupResult::Late, Answer::Nothing("the look-up was too late")),
            Ok(Err(_)) => (LookupResult::Failed, Answer::Nothing(FAILED)),
            Ok(Ok(answer)) => match answer.clone() {
                Some(Answer::Nothing(why)) if why == FAILED => (LookupResult::Failed, Answer::Nothing(why)),
                Some(Answer::Unusable(why)) => (LookupResult::Unusable, Answer::Unusable(why)),
                Some(answer) => (LookupResult::Miss, answer),
                None => (LookupResult::Failed, Answer::Nothing(FAILED)),
            },
        }
    }
}

/// Why there is nothing where the store could not be asked.
const FAILED: &str = "the look-up failed";
/// Why there is nothing where the store has nothing.
pub const NOT_THERE: &str = "the store has no record";

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").field("plan", &self.shared.plan).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
