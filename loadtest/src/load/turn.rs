//! What the connections of one turn share: who is next, when it ends, and what came of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Notify;

use super::{Answer, LoadError, Mode, Prepared};

/// The longest time that is told apart, in nanoseconds; longer ones count as this.
const LONGEST: u64 = 60_000_000_000;
/// How long a request of an open loop may stay in the queue after the end of the turn.
const GRACE: Duration = Duration::from_secs(2);

/// One turn of load.
#[derive(Debug)]
pub struct Turn {
    mode: Mode,
    started: Instant,
    length: Duration,
    prepared: Rc<Prepared>,
    next: Cell<usize>,
    queue: RefCell<VecDeque<Instant>>,
    ended: Cell<bool>,
    wake: Notify,
    tally: RefCell<Tally>,
}

#[derive(Debug)]
struct Tally {
    requests: u64,
    wrong: u64,
    errors: u64,
    latency: Histogram<u64>,
    problem: Option<String>,
    last: Instant,
}

/// What came of a turn.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Requests with the right answer.
    pub requests: u64,
    /// Answers of another lane than the proxy's formula gives.
    pub wrong: u64,
    /// Requests without an answer, or with one that is no success.
    pub errors: u64,
    /// How long the turn took, to its last answer.
    pub length: Duration,
    /// Nanoseconds from the time a request was due to the end of its answer.
    pub latency: Histogram<u64>,
    /// The first thing that went wrong.
    pub problem: Option<String>,
}

impl Outcome {
    /// Right answers a second.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.length.as_secs_f64().max(1e-9)
    }

    /// A quantile of the latency, in milliseconds.
    pub fn quantile(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e6
    }
}

impl Turn {
    /// Begins now.
    pub fn start(mode: Mode, length: Duration, prepared: Rc<Prepared>) -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order");
        let started = Instant::now();
        let tally = Tally { requests: 0, wrong: 0, errors: 0, latency, problem: None, last: started };
        Self {
            mode,
            started,
            length,
            prepared,
            next: Cell::new(0),
            queue: RefCell::default(),
            ended: Cell::new(false),
            wake: Notify::new(),
            tally: RefCell::new(tally),
        }
    }

    /// The visitors.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// When the turn began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// How long requests are sent.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Waits for the next request; the time at which it is due, or nothing at the end of the turn.
    pub async fn next(&self) -> Option<Instant> {
        if self.mode == Mode::Closed {
            let now = Instant::now();
            return (now < self.started + self.length).then_some(now);
        }
        loop {
            if let Some(due) = self.queue.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.ended.get() {
                return None;
            }
            self.wake.notified().await;
        }
    }

    /// Whose turn it is.
    pub fn visitor(&self) -> usize {
        let at = self.next.get();
        self.next.set((at + 1) % self.prepared.len());
        at
    }

    /// Counts the answer to a request that was due then.
    pub fn count(&self, due: Instant, at: usize, answer: Result<Answer, LoadError>) {
        let now = Instant::now();
        let mut tally = self.tally.borrow_mut();
        tally.last = now;
        let taken = u64::try_from(now.duration_since(due).as_nanos()).unwrap_or(LONGEST);
        let visitor = &self.prepared.visitors[at];
        match answer {
            Ok(answer) if answer.lane == Some(visitor.lane) => {
                tally.requests += 1;
                tally.latency.saturating_record(taken.max(1));
            }
            Ok(answer) => {
                tally.wrong += 1;
                let told = || format!("{:?} of {visitor:?}", answer.lane);
                tally.problem.get_or_insert_with(told);
            }
            Err(problem) => {
                tally.errors += 1;
                tally.problem.get_or_insert_with(|| problem.to_string());
            }
        }
    }

    /// A connection is lost for good.
    pub fn give_up(&self, problem: LoadError) {
        let mut tally = self.tally.borrow_mut();
        tally.errors += 1;
        tally.problem.get_or_insert_with(|| problem.to_string());
    }

    /// A request of an open loop has become due.
    pub fn is_due(&self, due: Instant) {
        self.queue.borrow_mut().push_back(due);
        self.wake.notify_one();
    }

    /// Nothing more becomes due. What is left in the queue is given a while, then counts as unanswered.
    pub async fn end(&self) {
        let left = || !self.queue.borrow().is_empty();
        let limit = Instant::now() + GRACE;
        while left() && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let dropped = self.queue.borrow_mut().drain(..).count() as u64;
        if dropped > 0 {
            let mut tally = self.tally.borrow_mut();
            tally.errors += dropped;
            tally.problem.get_or_insert_with(|| format!("{dropped} requests were never sent"));
        }
        self.ended.set(true);
        self.wake.notify_waiters();
    }

    /// What came of it so far.
    pub fn outcome(&self) -> Outcome {
        let tally = self.tally.borrow();
        Outcome {
            requests: tally.requests,
            wrong: tally.wrong,
            errors: tally.errors,
            length: tally.last.duration_since(self.started),
            latency: tally.latency.clone(),
            problem: tally.problem.clone(),
        }
    }
}
