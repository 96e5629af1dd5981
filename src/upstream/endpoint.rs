//! One endpoint as one worker sees it: what is under way, what connections wait, how long it takes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::balance::{Fitness, Load};
use super::connect::Security;
use super::ewma::PeakEwma;
use super::h2_pool::H2Pool;
use super::moment::Moment;
use super::pool::Teller;
use super::report::{Outcome, Report};
use super::slow_start::{WHOLE, warmth};
use super::standing::Standing;
use super::{Dialect, H1Lease, Upstream};
use crate::config::Balance;
use crate::telemetry::ConnectionState;
use crate::wire::h1::Connection;

/// How long an endpoint that could not be connected to is passed over where there is another.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// How long connections beyond those that may wait are kept for the next burst.
const BURST: Duration = Duration::from_secs(1);

/// One endpoint.
pub(super) struct Endpoint {
    pub(super) standing: Arc<Standing>,
    upstream: Arc<Upstream>,
    pub(super) in_flight: Cell<u32>,
    failed_until: Cell<Option<Instant>>,
    latency: Cell<PeakEwma>,
    idle: RefCell<Vec<Idle>>,
    pub(super) h2: H2Pool,
    pub(super) teller: Teller,
}

struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

/// The time of a choice, and whether all endpoints are used whatever is known of them.
#[derive(Clone, Copy)]
pub(super) struct Occasion {
    pub(super) now: Instant,
    pub(super) moment: Moment,
    pub(super) in_panic: bool,
}

impl Endpoint {
    pub(super) fn new(standing: Arc<Standing>, upstream: Arc<Upstream>, teller: Teller) -> Self {
        Self {
            standing,
            upstream,
            in_flight: Cell::new(0),
            failed_until: Cell::new(None),
            latency: Cell::default(),
            idle: RefCell::default(),
            h2: H2Pool::default(),
            teller,
        }
    }

    pub(super) fn load(&self, occasion: &Occasion) -> Load {
        let open_from = self.standing.open_from();
        let fitness = if open_from > occasion.moment && !occasion.in_panic {
            Fitness::Out
        } else if self.failed_until.get().is_some_and(|until| occasion.now < until) {
            Fitness::Unreachable
        } else if self.standing.is_far() {
            Fitness::Far
        } else {
            Fitness::Fit
        };
        let policy = &self.upstream.spec.policy;
        let warmth = match policy.slow_start {
            // What is not in yet and used all the same is used like all others.
            Some(time) if open_from > Moment::START && open_from <= occasion.moment => {
                warmth(occasion.moment.since(open_from), time)
            }
            _ => WHOLE,
        };
        let in_flight = self.in_flight.get();
        let cost = match policy.balance {
            Balance::P2c => u64::from(in_flight),
            Balance::LeastLatency => self.latency.get().cost(in_flight, occasion.now),
        };
        Load { fitness, cost, warmth }
    }

    /// Follows a request, where what becomes of it changes anything.
    pub(super) fn report(self: &Rc<Self>, waited: Duration) -> Option<Report> {
        let policy = &self.upstream.spec.policy;
        let judged = policy.ejection.is_some() || policy.balance == Balance::LeastLatency;
        judged.then(|| Report::new(self.clone(), Instant::now(), waited))
    }

    /// The TLS that a connection in this dialect begins with.
    pub(super) fn security(&self, dialect: Dialect) -> Option<Security> {
        Security::of(&self.upstream.spec, self.standing.endpoint, dialect)
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.upstream.spec.tls.is_some() { "https" } else { "http" }
    }

    pub(super) fn note_connected(&self) {
        self.failed_until.set(None);
    }

    pub(super) fn note_unreachable(&self, since: Instant, now: Instant) {
        self.failed_until.set(Some(now + PASSED_OVER));
        self.timed(Outcome::Unavailable, now.saturating_duration_since(since), now);
        self.failed(now);
    }

    /// A request took so long.
    pub(super) fn timed(&self, outcome: Outcome, took: Duration, now: Instant) {
        if self.upstream.spec.policy.balance != Balance::LeastLatency {
            return;
        }
        let mut latency = self.latency.get();
        match outcome {
            Outcome::Answered => latency.answered(took, now),
            Outcome::Erred | Outcome::Unavailable => latency.failed(took, now),
            Outcome::Unknown => latency.abandoned(took, now),
        }
        self.latency.set(latency);
    }

    /// A request went well.
    pub(super) fn succeeded(&self) {
        self.standing.succeeded();
    }

    /// A request failed; after enough in a row the endpoint is taken out.
    pub(super) fn failed(&self, now: Instant) {
        if let Some(rule) = &self.upstream.spec.policy.ejection
            && self.standing.failed(rule.failures)
        {
            self.upstream.eject(&self.standing, now);
        }
    }

    /// The waiting connection used last: the fewer are in use, the more of the others fall idle and close.
    pub(super) fn take_idle(self: &Rc<Self>, now: Instant, idle: Duration) -> Option<H1Lease> {
        loop {
            let waiting = self.idle.borrow_mut().pop()?;
            self.teller.leave(ConnectionState::Idle);
            if now.saturating_duration_since(waiting.since) < idle && waiting.connection.input.is_quiet() {
                return Some(H1Lease::new(waiting.connection, self.clone(), true));
            }
        }
    }

    pub(super) fn give_back(&self, mut connection: Box<Connection>, now: Instant) {
        // More than may wait are closed by the sweep, not here: after a burst most are wanted again at once.
        if self.upstream.spec.max_idle > 0 && connection.is_between() {
            connection.rest();
            self.idle.borrow_mut().push(Idle { connection, since: now });
            self.teller.enter(ConnectionState::Idle);
        }
    }

    /// Closes what has waited too long or was closed by the peer.
    pub(super) fn sweep(&self, now: Instant, idle: Duration) {
        let mut waiting = self.idle.borrow_mut();
        let before = waiting.len();
        waiting.retain(|one| now.saturating_duration_since(one.since) < idle && one.connection.input.is_quiet());
        // Those that were used last stand at the end.
        let beyond = waiting.len().saturating_sub(self.upstream.spec.max_idle);
        let unused = waiting.iter().take(beyond).take_while(|one| now.saturating_duration_since(one.since) >= BURST);
        let unused = unused.count();
        waiting.drain(..unused);
        (waiting.len()..before).for_each(|_| self.teller.leave(ConnectionState::Idle));
        self.h2.sweep(now);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.idle.get_mut().iter().for_each(|_| self.teller.leave(ConnectionState::Idle));
    }
}
