//! The listeners of the process, as the configuration wants them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::bind::{self, BindError};
use super::inherit::{Inherited, Spares};
use crate::config::Listener;
use crate::live::Live;
use crate::proxy::{Door, Threshold, Turn};

/// Changes that may wait for a worker; it takes them as soon as its connections let it.
const TURNS: usize = 16;

/// Every listener for traffic.
pub(super) struct Doors {
    open: Vec<Listening>,
    next: Door,
    turns: Vec<mpsc::Sender<Turn>>,
    shown: Arc<Live<Vec<SocketAddr>>>,
    spares: Arc<Spares>,
}

#[derive(Clone)]
struct Listening {
    door: Door,
    /// As configured.
    wanted: Listener,
    bound: SocketAddr,
    /// What workers read the same from.
    threshold: Threshold,
}

/// Listeners that are bound and not used yet. Dropped, they are closed, and nothing has happened.
pub(super) struct Plan {
    open: Vec<Listening>,
    next: Door,
    /// For each worker.
    turns: Vec<Turn>,
    spares: Vec<(Door, TcpListener)>,
}

/// What a worker begins with, and how it is told of others.
pub(super) type Entrance = (Turn, mpsc::Receiver<Turn>);

impl Doors {
    /// The first listeners, those that were handed to us where they fit, and for each worker what it begins with and how it
    /// is told of others.
    pub(super) fn open(
        wanted: &[Listener],
        workers: usize,
        inherited: &mut Inherited,
        spares: Arc<Spares>,
    ) -> Result<(Self, Vec<Entrance>), BindError> {
        let (turns, told): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(TURNS)).unzip();
        let mut doors = Self { open: Vec::new(), next: 0, turns, shown: Arc::new(Live::new(Arc::default())), spares };
        let plan = doors.plan_with(wanted, inherited)?;
        let first = doors.take(plan);
        Ok((doors, first.into_iter().zip(told).collect()))
    }

    /// The addresses with the ports they really have.
    pub(super) fn shown(&self) -> Arc<Live<Vec<SocketAddr>>> {
        self.shown.clone()
    }

    /// Binds what is wanted and not open. A listener that stays may ask something else of connections from then on.
    pub(super) fn plan(&self, wanted: &[Listener]) -> Result<Plan, BindError> {
        self.plan_with(wanted, &mut Inherited::default())
    }

    fn plan_with(&self, wanted: &[Listener], inherited: &mut Inherited) -> Result<Plan, BindError> {
        let mut left = self.open.clone();
        let own: Vec<SocketAddr> = left.iter().map(|one| one.bound).collect();
        let mut turns: Vec<Turn> = self.turns.iter().map(|_| Turn::default()).collect();
        let (mut open, mut next, mut spares) = (Vec::new(), self.next, Vec::new());
        for wanted in wanted {
            if let Some(at) = left.iter().position(|known| known.wanted.bind == wanted.bind) {
                let known = left.remove(at);
                if let (Some(tls), Some(earlier)) = (&wanted.tls, &known.wanted.tls) {
                    tls.keep_sessions_of(earlier);
                }
                open.push(Listening { wanted: wanted.clone(), ..known });
                continue;
            }
            let handed = inherited.take(wanted.bind);
            let (bound, sockets) = if handed.is_empty() {
                let (bound, sockets) = bind::listeners(wanted.bind, self.turns.len(), &own)?;
                (bound, sockets.into_iter().enumerate().collect())
            } else {
                (wanted.bind, bind::spread(wanted.bind, self.turns.len(), handed)?)
            };
            let threshold: Threshold = Arc::new(ArcSwap::from_pointee(wanted.clone()));
            for (worker, socket) in sockets {
                spares.push((next, bind::spare(&socket, bound)?));
                turns[worker].open.push((next, threshold.clone(), socket));
            }
            open.push(Listening { door: next, wanted: wanted.clone(), bound, threshold });
            next += 1;
        }
        let closed: Vec<Door> = left.iter().map(|gone| gone.door).collect();
        turns.iter_mut().for_each(|turn| turn.close.clone_from(&closed));
        Ok(Plan { open, next, turns, spares })
    }

    /// Puts a plan in force: every worker opens what is new before it closes what is not wanted any more.
    pub(super) async fn turn(&mut self, plan: Plan) {
        let turns = self.take(plan);
        for (worker, turn) in self.turns.iter().zip(turns) {
            // A worker that has ended listens on nothing.
            let _ = worker.send(turn).await;
        }
    }

    fn take(&mut self, plan: Plan) -> Vec<Turn> {
        let bound = |open: &[Listening]| open.iter().map(|one| one.bound).collect::<Vec<_>>();
        if bound(&plan.open) != bound(&self.open) {
            self.shown.publish(Arc::new(bound(&plan.open)));
        }
        plan.open.iter().for_each(|one| one.threshold.store(Arc::new(one.wanted.clone())));
        (self.open, self.next) = (plan.open, plan.next);
        // Before a worker closes one: a listener that a spare holds open would let connections in that nobody takes.
        self.spares.keep_traffic(|door| self.open.iter().any(|one| one.door == door), plan.spares);
        plan.turns
    }
}
