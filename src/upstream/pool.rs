//! The connections of one worker to one upstream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::balance::{choose, next_draw};
use super::connect::{ConnectError, connect};
use super::endpoint::{Endpoint, Occasion};
use super::h2_pool::H2Pool;
use super::lease::{H1Lease, Lease, LeaseError};
use super::standing::Standing;
use super::{Dialect, Upstream};
use crate::telemetry::{ConnectResult, ConnectionState, UpstreamSeries};
use crate::wire::h1::Connection;

/// Endpoints tried for one request before it is answered that none can be reached.
const MOST_TRIES: usize = 3;

/// Where a pool tells of its connections.
#[derive(Clone)]
pub(super) struct Teller {
    series: Arc<UpstreamSeries>,
    worker: usize,
}

impl Teller {
    pub(super) fn enter(&self, state: ConnectionState) {
        self.series.enter(self.worker, state);
    }

    pub(super) fn leave(&self, state: ConnectionState) {
        self.series.leave(self.worker, state);
    }

    pub(super) fn connect(&self, result: ConnectResult) {
        self.series.connect(self.worker, result);
    }
}

/// One worker's connections to one upstream.
pub struct Pool {
    upstream: Arc<Upstream>,
    /// The changes of addresses that were followed.
    followed: Cell<u64>,
    endpoints: RefCell<Vec<Rc<Endpoint>>>,
    random: Cell<u64>,
    teller: Teller,
}

impl Pool {
    /// An empty pool of this worker; `seed` sets the draws of the balancer.
    pub fn new(upstream: Arc<Upstream>, series: Arc<UpstreamSeries>, worker: usize, seed: u64) -> Self {
        Self {
            upstream,
            followed: Cell::new(0),
            endpoints: RefCell::default(),
            random: Cell::new(seed | 1),
            teller: Teller { series, worker },
        }
    }

    /// The upstream it connects to.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Lends a connection that is open already, where the endpoint drawn has one: what most requests get, without waiting.
    pub fn lease_waiting(&self, dialect: Dialect, now: Instant) -> Option<Lease> {
        self.follow_addresses();
        let (_, endpoint) = self.draw(&[], now)?;
        match dialect {
            Dialect::Http1 => endpoint.take_idle(now, self.upstream.spec.idle).map(Lease::H1),
            Dialect::H2 => endpoint.h2.lease_waiting(&endpoint).map(Lease::H2),
        }
    }

    /// Lends a connection. An endpoint that cannot be reached is passed over for the next; nothing was sent, so that
    /// is safe for any request. `fresh` wants one that was never used.
    pub async fn lease(&self, dialect: Dialect, fresh: bool, within: Duration) -> Result<Lease, LeaseError> {
        self.follow_addresses();
        let mut tried = SmallVec::<[usize; MOST_TRIES]>::new();
        let mut last = LeaseError::NoEndpoint;
        while tried.len() < MOST_TRIES {
            let now = Instant::now();
            let Some((at, endpoint)) = self.draw(&tried, now) else { break };
            if !fresh
                && dialect == Dialect::Http1
                && let Some(lease) = endpoint.take_idle(now, self.upstream.spec.idle)
            {
                return Ok(Lease::H1(lease));
            }
            match self.open(&endpoint, dialect, within).await {
                Ok(lease) => {
                    endpoint.note_connected();
                    self.upstream.tell_of_tls(None);
                    return Ok(lease);
                }
                Err(error) => {
                    self.teller.connect(error.result());
                    self.upstream.tell_of_tls(Some((&endpoint.standing.address, &error)));
                    endpoint.note_unreachable(now, Instant::now());
                    tried.push(at);
                    last = LeaseError::Connect(error);
                }
            }
        }
        Err(last)
    }

    /// Closes what has waited too long.
    pub fn sweep(&self, now: Instant) {
        self.endpoints.borrow().iter().for_each(|endpoint| endpoint.sweep(now, self.upstream.spec.idle));
    }

    fn draw(&self, tried: &[usize], now: Instant) -> Option<(usize, Rc<Endpoint>)> {
        let endpoints = self.endpoints.borrow();
        if let ([only], []) = (&endpoints[..], tried) {
            return Some((0, only.clone()));
        }
        let (state, draw) = next_draw(self.random.get());
        self.random.set(state);
        // Addresses may have changed while a connection was opened: a place is then another endpoint, or none.
        let count = endpoints.len();
        let tried: SmallVec<[usize; MOST_TRIES]> = tried.iter().copied().filter(|at| *at < count).collect();
        let moment = self.upstream.moment(now);
        let occasion = Occasion { now, moment, in_panic: self.upstream.panics_at(moment) };
        let at = choose(count, &tried, draw, |at| endpoints[at].load(&occasion))?;
        Some((at, endpoints[at].clone()))
    }

    async fn open(&self, endpoint: &Rc<Endpoint>, dialect: Dialect, within: Duration) -> Result<Lease, ConnectError> {
        match dialect {
            Dialect::H2 => H2Pool::lease(endpoint, within).await.map(Lease::H2),
            Dialect::Http1 => {
                let socket = connect(&endpoint.standing.address, endpoint.security(dialect), within).await?;
                self.teller.connect(ConnectResult::Connected);
                Ok(Lease::H1(H1Lease::new(Box::new(Connection::new(socket)), endpoint.clone(), false)))
            }
        }
    }

    /// Takes over a changed list of addresses; endpoints that stay keep their connections.
    fn follow_addresses(&self) {
        let changes = self.upstream.changes();
        if changes == self.followed.replace(changes) {
            return;
        }
        let now = self.upstream.standings();
        let mut endpoints = self.endpoints.borrow_mut();
        let old = std::mem::take(&mut *endpoints);
        let kept = |standing: &Arc<Standing>| old.iter().find(|known| Arc::ptr_eq(&known.standing, standing)).cloned();
        endpoints.extend(now.iter().map(|standing| {
            let fresh = || Endpoint::new(standing.clone(), self.upstream.clone(), self.teller.clone());
            kept(standing).unwrap_or_else(|| Rc::new(fresh()))
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Ejection;
    use crate::telemetry::Telemetry;
    use crate::upstream::{EndpointName, Outcome, UpstreamSpec};
    use tokio::net::TcpListener;

    const WITHIN: Duration = Duration::from_secs(1);

    fn pool(ports: &[u16]) -> Pool {
        let endpoints = ports.iter().map(|port| EndpointName::Host("127.0.0.1".into(), *port)).collect();
        let telemetry = Telemetry::new(1);
        let upstream = Upstream::new(UpstreamSpec::new("u", endpoints), &telemetry);
        Pool::new(Arc::new(upstream), telemetry.upstream("u"), 0, 7)
    }

    fn counts(pool: &Pool) -> (u64, u64) {
        let series = &pool.teller.series;
        (series.connections(ConnectionState::Active), series.connections(ConnectionState::Idle))
    }

    async fn h1(pool: &Pool) -> H1Lease {
        match pool.lease(Dialect::Http1, false, WITHIN).await {
            Ok(Lease::H1(lease)) => lease,
            _ => panic!("no HTTP/1 connection"),
        }
    }

    #[tokio::test]
    async fn a_finished_connection_is_lent_again_until_it_has_waited_too_long() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = pool(&[listener.local_addr().unwrap().port()]);
        let start = Instant::now();
        h1(&pool).await.finish(start);
        assert_eq!(counts(&pool), (0, 1));
        let again = h1(&pool).await;
        assert!(again.reused);
        again.finish(start);
        pool.sweep(start + Duration::from_secs(5));
        assert_eq!(counts(&pool).1, 0);
        assert!(!h1(&pool).await.reused);
    }

    #[tokio::test]
    async fn a_dropped_connection_is_not_lent_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = pool(&[listener.local_addr().unwrap().port()]);
        drop(h1(&pool).await);
        assert_eq!(counts(&pool), (0, 0));
        assert!(!h1(&pool).await.reused);
    }

    #[tokio::test]
    async fn an_unreachable_endpoint_is_passed_over() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ports = [gone.local_addr().unwrap().port(), here.local_addr().unwrap().port()];
        drop(gone);
        let pool = pool(&ports);
        for _ in 0..20 {
            drop(h1(&pool).await);
        }
        assert!(pool.teller.series.connects(ConnectResult::Refused) <= 1);
    }

    #[tokio::test]
    async fn without_endpoints_nothing_is_lent() {
        let refused = pool(&[]).lease(Dialect::Http1, false, WITHIN).await;
        assert!(matches!(refused, Err(LeaseError::NoEndpoint)));
    }

    #[tokio::test]
    async fn what_one_worker_sees_of_an_endpoint_keeps_all_workers_from_it() {
        let (one, two) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let ports = [&one, &two].map(|listener| listener.local_addr().unwrap().port());
        let endpoints = ports.map(|port| EndpointName::Host("127.0.0.1".into(), port)).to_vec();
        let mut spec = UpstreamSpec::new("u", endpoints);
        spec.policy.ejection = Some(Ejection { failures: 4, ..Ejection::default() });
        let telemetry = Telemetry::new(2);
        let upstream = Arc::new(Upstream::new(spec, &telemetry));
        let pools = [0, 1].map(|worker| Pool::new(upstream.clone(), telemetry.upstream("u"), worker, 7));
        let bad = format!("127.0.0.1:{}", ports[0]);
        let mut failures = 0;
        for turn in 0..60 {
            let lease = Lease::H1(h1(&pools[turn % 2]).await);
            let Lease::H1(h1) = &lease else { unreachable!("it was HTTP/1") };
            let outcome = if h1.authority() == bad { Outcome::Unavailable } else { Outcome::Answered };
            failures += usize::from(outcome == Outcome::Unavailable);
            let report = lease.report(Duration::ZERO).expect("failures are counted");
            report.ended(outcome, Duration::ZERO, Instant::now());
        }
        assert_eq!(failures, 4, "over both workers");
    }
}
