//! One endpoint as one worker sees it: what is under way, what connections wait.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::balance::Load;
use super::h2_pool::H2Pool;
use super::pool::Teller;
use super::{Address, H1Lease};
use crate::telemetry::ConnectionState;
use crate::wire::h1::Connection;

/// How long an endpoint that could not be connected to is passed over where there is another.
const PASSED_OVER: Duration = Duration::from_secs(1);

/// One endpoint.
pub(super) struct Endpoint {
    pub(super) address: Address,
    pub(super) in_flight: Cell<u32>,
    failed_until: Cell<Option<Instant>>,
    idle: RefCell<Vec<Idle>>,
    pub(super) h2: H2Pool,
    max_idle: usize,
    pub(super) teller: Teller,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Endpoint {
    pub(super) fn new(address: Address, max_idle: usize, teller: Teller) -> Self {
        Self {
            address,
            in_flight: Cell::new(0),
            failed_until: Cell::new(None),
            idle: RefCell::default(),
            h2: H2Pool::default(),
            max_idle,
            teller,
        }
    }

    pub(super) fn load(&self, now: Instant) -> Load {
        let failing = self.failed_until.get().is_some_and(|until| now < until);
        Load { failing, in_flight: self.in_flight.get() }
    }

    pub(super) fn note_connected(&self) {
        self.failed_until.set(None);
    }

    pub(super) fn note_unreachable(&self, now: Instant) {
        self.failed_until.set(Some(now + PASSED_OVER));
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

    pub(super) fn give_back(&self, mut connection: Connection, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.max_idle && connection.input.buf.is_empty() && connection.output.buf.is_empty() {
            connection.output.shed();
            idle.push(Idle { connection, since: now });
            self.teller.enter(ConnectionState::Idle);
        }
    }

    /// Closes what has waited too long or was closed by the peer.
    pub(super) fn sweep(&self, now: Instant, idle: Duration) {
        let mut waiting = self.idle.borrow_mut();
        let before = waiting.len();
        waiting.retain(|one| now.saturating_duration_since(one.since) < idle && one.connection.input.is_quiet());
        (waiting.len()..before).for_each(|_| self.teller.leave(ConnectionState::Idle));
        self.h2.sweep(now);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.idle.get_mut().iter().for_each(|_| self.teller.leave(ConnectionState::Idle));
    }
}
