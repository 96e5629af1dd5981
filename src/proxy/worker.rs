//! What one worker thread has of its own: the hot path touches nothing that another thread writes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::breaker::Epoch;
use super::crowd::Crowd;
use super::drain::Connections;
use super::entrance::Waiting;
use super::fault_table::Faults;
use super::limit::Delay;
use super::runners::Runners;
use super::servant::Servants;
use super::snapshot::{Route, Snapshot};
use crate::beat;
use crate::decide::RouteId;
use crate::live::Live;
use crate::resilience::{RetryBudget, Tick};
use crate::telemetry::Telemetry;
use crate::telemetry::access::WorkerLog;
use crate::upstream::Pool;
use crate::wire::{RequestHead, ResponseHead, Spares, sweep_buffers};

/// How often waiting connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);
/// Second attempts a second that a shielded route may make however few requests pay for them.
const FREE_RETRIES: u32 = 3;
/// Heads kept for reuse.
const KEPT_HEADS: usize = 256;

/// One worker's state.
pub struct Worker {
    /// Its number, from 0.
    pub(super) id: usize,
    pub(super) epoch: Epoch,
    /// How late its event loop is.
    pub(super) delay: Delay,
    live: Arc<Live<Snapshot>>,
    view: RefCell<Rc<View>>,
    pools: RefCell<HashMap<u64, Rc<Pool>>>,
    budgets: RefCell<HashMap<u64, Budget>>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) log: WorkerLog,
    pub(super) connections: Rc<Connections>,
    pub(super) waiting: Waiting,
    pub(super) runners: Runners,
    pub(super) servants: Servants,
    request_heads: Spares<RequestHead>,
    response_heads: Spares<ResponseHead>,
    random: Cell<u64>,
    pub(super) faults: Arc<Faults>,
    pub(super) crowd: Arc<Crowd>,
}

/// What a worker is made of.
pub struct Parts {
    /// Its number, from 0.
    pub id: usize,
    /// Sets its draws (balancing, request ids).
    pub seed: u64,
    /// The clock it shares with the breakers.
    pub epoch: Epoch,
    /// The configuration in force.
    pub live: Arc<Live<Snapshot>>,
    /// Where it counts.
    pub telemetry: Arc<Telemetry>,
    /// Where it logs.
    pub log: WorkerLog,
    /// The faults on purpose that its requests may meet.
    pub faults: Arc<Faults>,
    /// Every client of the process.
    pub crowd: Arc<Crowd>,
}

/// A snapshot with this worker's pools to its upstreams; what one request keeps from its start to its end.
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) pools: Vec<Rc<Pool>>,
    /// At the index of their `RouteId`: what the shield may spend.
    budgets: Vec<Option<Budget>>,
}

/// What one shielded route may spend on second attempts in this worker.
type Budget = Rc<RefCell<RetryBudget>>;

impl Worker {
    /// Ready to run on its thread.
    pub fn new(parts: Parts) -> Self {
        let Parts { id, seed, epoch, live, telemetry, log, faults, crowd } = parts;
        let random = Cell::new(seed | 1);
        let (pools, budgets) = (RefCell::default(), RefCell::default());
        let view = View::new(live.get(), &pools, &budgets, id, &random);
        Self {
            id,
            epoch,
            delay: Delay::default(),
            live,
            view: RefCell::new(Rc::new(view)),
            pools,
            budgets,
            telemetry,
            log,
            connections: Rc::default(),
            waiting: Waiting::default(),
            runners: Runners::default(),
            servants: Servants::default(),
            request_heads: Spares::new(KEPT_HEADS),
            response_heads: Spares::new(KEPT_HEADS),
            random,
            faults,
            crowd,
        }
    }

    /// The configuration in force, for one request.
    pub(super) fn view(&self) -> Rc<View> {
        let view = self.view.borrow();
        if self.live.is_current(&view.snapshot) {
            return view.clone();
        }
        drop(view);
        let fresh = Rc::new(View::new(self.live.get(), &self.pools, &self.budgets, self.id, &self.random));
        *self.view.borrow_mut() = fresh.clone();
        fresh
    }

    /// Lets go of a configuration that is not in force any more.
    pub(super) fn renew(&self) {
        self.view();
    }

    /// Now, as breakers know it.
    pub(super) fn tick(&self, at: Instant) -> Tick {
        self.epoch.tick(at)
    }

    /// A random number; enough for names and balancing, not for secrets.
    pub(super) fn draw(&self) -> u64 {
        draw(&self.random)
    }

    pub(super) fn request_head(&self) -> RequestHead {
        self.request_heads.take().unwrap_or_default()
    }

    pub(super) fn keep_request_head(&self, mut head: RequestHead) {
        head.clear();
        self.request_heads.give(head);
    }

    pub(super) fn response_head(&self) -> ResponseHead {
        self.response_heads.take().unwrap_or_default()
    }

    pub(super) fn keep_response_head(&self, mut head: ResponseHead) {
        head.clear();
        self.response_heads.give(head);
    }

    /// Closes waiting upstream connections in time, and lets go of what a burst left behind; runs until dropped.
    pub(super) async fn sweep(&self) {
        loop {
            beat::next(SWEEP).await;
            let now = Instant::now();
            let pools: Vec<_> = self.pools.borrow().values().cloned().collect();
            pools.iter().for_each(|pool| pool.sweep(now));
            self.forget_pools();
            self.runners.sweep();
            self.servants.sweep();
            sweep_buffers();
            self.request_heads.sweep();
            self.response_heads.sweep();
        }
    }

    /// Drops pools and budgets that no configuration in use here holds.
    fn forget_pools(&self) {
        self.view();
        self.pools.borrow_mut().retain(|_, pool| Rc::strong_count(pool) > 1);
        self.budgets.borrow_mut().retain(|_, budget| Rc::strong_count(budget) > 1);
    }
}

impl View {
    fn new(
        snapshot: Arc<Snapshot>,
        pools: &RefCell<HashMap<u64, Rc<Pool>>>,
        budgets: &RefCell<HashMap<u64, Budget>>,
        worker: usize,
        random: &Cell<u64>,
    ) -> Self {
        let mut known = pools.borrow_mut();
        let upstreams = snapshot.directory.upstreams().iter().zip(&snapshot.upstreams);
        let pools = upstreams
            .map(|(upstream, series)| {
                let fresh = || Rc::new(Pool::new(upstream.clone(), series.clone(), worker, draw(random)));
                known.entry(upstream.id).or_insert_with(fresh).clone()
            })
            .collect();
        let mut known = budgets.borrow_mut();
        let mut budget = |route: &Route| {
            let share = route.plan.shield.as_ref()?.budget.get();
            let free = if share == 0 { 0 } else { FREE_RETRIES };
            let fresh = || Rc::new(RefCell::new(RetryBudget::new(share, free, snapshot.workers, Tick::START)));
            Some(known.entry(route.budget).or_insert_with(fresh).clone())
        };
        let budgets = snapshot.routes.iter().map(&mut budget).collect();
        Self { snapshot, pools, budgets }
    }

    /// A request of a shielded route pays for the second attempts of others.
    pub(super) fn deposit(&self, route: RouteId, now: Tick) {
        if let Some(budget) = &self.budgets[route.index()] {
            budget.borrow_mut().request(now);
        }
    }

    /// Takes a second attempt from the route's budget, if it has one left.
    pub(super) fn withdraw(&self, route: RouteId, now: Tick) -> bool {
        self.budgets[route.index()].as_ref().is_some_and(|budget| budget.borrow_mut().take(now))
    }
}

/// The next number of a small generator (xorshift64*, Vigna 2016).
fn draw(state: &Cell<u64>) -> u64 {
    let mut x = state.get();
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    state.set(x);
    x.wrapping_mul(0x2545_f491_4f6c_dd1d)
}
