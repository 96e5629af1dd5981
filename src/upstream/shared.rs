//! One upstream: its specification, the addresses its endpoints have now, and how each of them stands.
//!
//! It is shared by the whole process. Workers read atomics; what changes them goes through the [`Roster`] under a lock,
//! which is taken by checks and for ejections, never by a request that goes well.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::balance::next_draw;
use super::moment::Moment;
use super::roster::{Ejected, Roster};
use super::standing::Standing;
use super::{Address, ConnectError, Dialect, EndpointName};
use crate::config::{ClientTls, EndpointPolicy, Health};
use crate::telemetry::{CheckResult, EjectionResult, EndpointSeries, EndpointState, Telemetry, UpstreamSeries};

/// What is configured of an upstream; two upstreams of equal specification share connections over a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointName>,
    /// How long an unused connection is kept. Shorter than what common servers keep theirs (Node.js: 5 s), so that we
    /// close first and a request seldom meets a connection that is just being closed.
    pub idle: Duration,
    /// Unused connections kept per endpoint and worker.
    pub max_idle: usize,
    /// How its endpoints are chosen among and watched.
    pub policy: EndpointPolicy,
    /// What connections begin with, where that is TLS.
    pub tls: Option<Arc<ClientTls>>,
    /// What an HTTP check speaks.
    pub checked_in: Dialect,
}

impl UpstreamSpec {
    /// With everything at its default.
    pub fn new(name: &str, endpoints: Vec<EndpointName>) -> Self {
        Self {
            name: name.into(),
            endpoints,
            idle: Duration::from_secs(4),
            max_idle: 128,
            policy: EndpointPolicy::default(),
            tls: None,
            checked_in: Dialect::Http1,
        }
    }
}

/// An upstream.
pub struct Upstream {
    /// Tells upstreams apart over changes of configuration.
    pub id: u64,
    /// As configured.
    pub spec: UpstreamSpec,
    made: Instant,
    standings: ArcSwap<Vec<Arc<Standing>>>,
    /// Counts how often they changed.
    changes: AtomicU64,
    /// All are used until then; see `Roster::panic_until`.
    panic_until: AtomicU64,
    judged: Mutex<Judged>,
    /// Whether it was told that there is no TLS with it.
    told_of_tls: AtomicBool,
    /// What was found of each endpoint last, in their order; taken when that changes and never for a request.
    found: Mutex<Vec<Option<Vec<Found>>>>,
    /// Whether it was told of each endpoint that its addresses cannot be found out.
    told_of_discovery: Vec<AtomicBool>,
    series: Arc<UpstreamSeries>,
    endpoint_series: Vec<Arc<EndpointSeries>>,
}

/// An address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) address: Address,
    /// It is used only where nothing near can be.
    pub(super) is_far: bool,
}

impl Found {
    pub(super) fn near(address: Address) -> Self {
        Self { address, is_far: false }
    }
}

/// What changes under the lock.
struct Judged {
    roster: Roster,
    random: u64,
    in_panic: bool,
}

/// How one address of an endpoint stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressState {
    /// The address.
    pub address: Address,
    /// How it stands.
    pub state: EndpointState,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Upstream {
    /// With the addresses that need no look-up.
    pub fn new(spec: UpstreamSpec, telemetry: &Telemetry) -> Self {
        let id = NEXT_ID.fetch_add(1, Relaxed);
        let series = |name: &EndpointName| telemetry.endpoint(&spec.name, &name.to_string());
        let upstream = Self {
            id,
            made: Instant::now(),
            standings: ArcSwap::default(),
            changes: AtomicU64::new(0),
            panic_until: AtomicU64::new(Moment::START.to_bits()),
            judged: Mutex::new(Judged { roster: Roster::new(spec.policy.clone()), random: id, in_panic: false }),
            told_of_tls: AtomicBool::new(false),
            found: Mutex::new(spec.endpoints.iter().map(|name| Some(vec![Found::near(name.literal()?)])).collect()),
            told_of_discovery: spec.endpoints.iter().map(|_| AtomicBool::new(false)).collect(),
            series: telemetry.upstream(&spec.name),
            endpoint_series: spec.endpoints.iter().map(series).collect(),
            spec,
        };
        let known = upstream.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let literals = known.into_iter().enumerate();
        let found = literals.flat_map(|(place, known)| known.into_iter().flatten().map(move |one| (one, place)));
        upstream.take_over(found.collect(), upstream.made);
        upstream
    }

    /// Grows whenever the addresses change: cheaper to ask than what they are.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Acquire)
    }

    /// The addresses now.
    pub fn standings(&self) -> arc_swap::Guard<Arc<Vec<Arc<Standing>>>> {
        self.standings.load()
    }

    /// How the addresses of one endpoint, by its place, stand.
    pub fn states(&self, endpoint: usize, now: Instant) -> Vec<AddressState> {
        let (judged, now) = (self.judged(), self.moment(now));
        let standings = self.standings();
        let own = standings.iter().filter(|standing| standing.endpoint == endpoint);
        let state = |standing: &Arc<Standing>| AddressState {
            address: standing.address.clone(),
            state: judged.roster.state(&standing.address, now),
        };
        own.map(state).collect()
    }

    /// Whether all addresses are used because too few are fit.
    pub fn in_panic(&self, now: Instant) -> bool {
        self.panics_at(self.moment(now))
    }

    /// Whether checks or requests can take an address out.
    pub fn is_watched(&self) -> bool {
        self.spec.policy.health.is_some() || self.spec.policy.ejection.is_some()
    }

    /// Tells once that there is no TLS with an address, until there is again.
    pub(super) fn tell_of_tls(&self, failed: Option<(&Address, &ConnectError)>) {
        match failed {
            Some((address, error @ ConnectError::Tls(_))) if !self.told_of_tls.swap(true, Relaxed) => {
                tracing::warn!(upstream = %self.spec.name, %address, %error, "an endpoint cannot be connected to");
            }
            None if self.spec.tls.is_some() => self.told_of_tls.store(false, Relaxed),
            _ => {}
        }
    }

    /// Whether the addresses of any endpoint have to be found.
    pub(super) fn is_found_out(&self) -> bool {
        self.spec.endpoints.iter().any(|name| name.literal().is_none())
    }

    /// The endpoints of which nothing is known yet.
    pub(super) fn unknown(&self) -> Vec<usize> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.iter().enumerate().filter(|(_, known)| known.is_none()).map(|(place, _)| place).collect()
    }

    /// Takes over what was found of one endpoint.
    pub(super) fn learn(&self, place: usize, addresses: Vec<Found>) {
        let count = addresses.len();
        let all = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found[place] = Some(addresses);
            let known =
                found.iter().enumerate().flat_map(|(place, known)| known.iter().flatten().map(move |one| (one, place)));
            known.map(|(one, place)| (one.clone(), place)).collect()
        };
        self.tell_of_discovery(place, &self.spec.endpoints[place], None);
        if self.take_over(all, Instant::now()) {
            let endpoint = &self.spec.endpoints[place];
            tracing::info!(upstream = %self.spec.name, %endpoint, addresses = count, "the addresses of an endpoint are others");
        }
    }

    /// Tells once that the addresses of an endpoint cannot be found out, until they can be again. What was found last
    /// stays.
    pub(super) fn tell_of_discovery(&self, place: usize, endpoint: &EndpointName, failed: Option<&str>) {
        let was_told = self.told_of_discovery[place].swap(failed.is_some(), Relaxed);
        let upstream = &self.spec.name;
        match failed {
            Some(error) if !was_told => tracing::warn!(
                %upstream, %endpoint, error,
                "the addresses of an endpoint cannot be found out; those found last are used"
            ),
            None if was_told => {
                tracing::info!(%upstream, %endpoint, "the addresses of an endpoint can be found out again")
            }
            _ => {}
        }
    }

    /// Takes over addresses, each with the place of its endpoint; those that stay keep their standing. Says whether
    /// anything changed.
    fn take_over(&self, mut found: Vec<(Found, usize)>, now: Instant) -> bool {
        found.sort();
        found.dedup_by(|one, other| one.0.address == other.0.address);
        // Where nothing is near, nothing is far.
        let has_near = found.iter().any(|(one, _)| !one.is_far);
        found.iter_mut().for_each(|(one, _)| one.is_far &= has_near);
        let known = self.standings.load();
        let is_same = |(one, (other, _)): (&Arc<Standing>, &(Found, usize))| {
            one.address == other.address && one.is_far() == other.is_far
        };
        if known.len() == found.len() && known.iter().zip(&found).all(is_same) {
            return false;
        }
        let addresses: Vec<Address> = found.iter().map(|(one, _)| one.address.clone()).collect();
        let keep = |(Found { address, is_far }, place): (Found, usize)| {
            let stays = known.iter().find(|standing| standing.address == address && standing.endpoint == place);
            let standing = stays.cloned().unwrap_or_else(|| Arc::new(Standing::new(address, place)));
            standing.set_far(is_far);
            standing
        };
        let standings: Vec<_> = found.into_iter().map(keep).collect();
        let mut judged = self.judged();
        let now = self.moment(now);
        judged.roster.follow(&addresses, now);
        self.standings.store(Arc::new(standings));
        // Whoever sees that they changed finds what they became.
        self.changes.fetch_add(1, Release);
        self.publish(&mut judged, now);
        true
    }

    pub(super) fn moment(&self, now: Instant) -> Moment {
        Moment::at(now.saturating_duration_since(self.made))
    }

    pub(super) fn panics_at(&self, now: Moment) -> bool {
        now < Moment::from_bits(self.panic_until.load(Relaxed))
    }

    /// Takes in the result of a check.
    pub(super) fn checked(&self, standing: &Standing, health: &Health, result: CheckResult, now: Instant) {
        self.endpoint_series[standing.endpoint].checked(result);
        let mut judged = self.judged();
        let now = self.moment(now);
        let changed = judged.roster.checked(&standing.address, result == CheckResult::Passed, health, now);
        let (upstream, address) = (&self.spec.name, &standing.address);
        match changed {
            Some(true) => tracing::info!(%upstream, %address, "an endpoint is healthy"),
            Some(false) => tracing::warn!(%upstream, %address, check = result.as_str(), "an endpoint is unhealthy"),
            None => return,
        }
        self.publish(&mut judged, now);
    }

    /// Requests to an address failed in a row.
    pub(super) fn eject(&self, standing: &Standing, now: Instant) {
        let mut judged = self.judged();
        let now = self.moment(now);
        let (state, draw) = next_draw(judged.random);
        judged.random = state;
        let (upstream, address) = (&self.spec.name, &standing.address);
        let series = &self.endpoint_series[standing.endpoint];
        match judged.roster.eject(&standing.address, now, draw) {
            Ejected::For(time) => {
                series.ejected(EjectionResult::Ejected);
                tracing::warn!(%upstream, %address, seconds = time.as_secs_f64(), "an endpoint is ejected");
                self.publish(&mut judged, now);
            }
            Ejected::Capped => {
                series.ejected(EjectionResult::Capped);
                tracing::debug!(%upstream, %address, "an endpoint fails and as many are ejected as may be");
            }
            Ejected::Before => {}
        }
    }

    /// Tells what time alone has changed.
    pub(super) fn tell(&self, now: Instant) {
        self.publish(&mut self.judged(), self.moment(now));
    }

    /// Makes known what the roster says.
    fn publish(&self, judged: &mut Judged, now: Moment) {
        let standings = self.standings.load();
        for standing in standings.iter() {
            standing.set_open_from(judged.roster.open_from(&standing.address));
        }
        let until = judged.roster.panic_until(now);
        self.panic_until.store(until.to_bits(), Relaxed);
        let in_panic = now < until;
        let (was, upstream) = (std::mem::replace(&mut judged.in_panic, in_panic), &self.spec.name);
        match (was, in_panic) {
            (false, true) => tracing::warn!(%upstream, "too few endpoints are fit, so all are used"),
            (true, false) => tracing::info!(%upstream, "enough endpoints are fit again"),
            _ => {}
        }
        self.series.set_panic(in_panic);
        for (place, series) in self.endpoint_series.iter().enumerate() {
            let mut counts = [0; EndpointState::ALL.len()];
            let own = standings.iter().filter(|standing| standing.endpoint == place);
            own.for_each(|standing| counts[judged.roster.state(&standing.address, now) as usize] += 1);
            series.set_addresses(counts);
        }
    }

    /// A panic under this lock leaves no half-made state that a later publication would not mend.
    fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::discovery;

    fn upstream(endpoints: &[&str]) -> Upstream {
        let endpoints = endpoints.iter().map(|host| EndpointName::Host((*host).into(), 80)).collect();
        Upstream::new(UpstreamSpec::new("u", endpoints), &Telemetry::new(1))
    }

    #[test]
    fn literals_need_no_look_up() {
        let upstream = upstream(&["127.0.0.1", "[::1]", "127.0.0.1"]);
        assert_eq!(upstream.standings().len(), 2);
        assert!(!upstream.is_found_out());
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_a_failure_keeps_what_was_known() {
        let named = upstream(&["localhost"]);
        assert!(named.standings().is_empty());
        discovery::find(&named, 0).await;
        let known = named.standings().clone();
        assert!(!known.is_empty());
        discovery::find(&named, 0).await;
        assert!(Arc::ptr_eq(&known, &named.standings()), "nothing changed");
        let broken = upstream(&["127.0.0.9", "no-such-name.invalid"]);
        assert_eq!(broken.unknown(), [1]);
        discovery::find(&broken, 1).await;
        assert_eq!(broken.standings().len(), 1);
    }

    #[test]
    fn what_was_found_of_one_endpoint_says_nothing_of_another() {
        let upstream = upstream(&["a.invalid", "b.invalid"]);
        let found = |address: &str, is_far| Found { address: Address::Tcp(address.parse().unwrap()), is_far };
        upstream.learn(0, vec![found("10.0.0.1:80", false), found("10.0.0.2:80", true)]);
        upstream.learn(1, vec![found("10.0.0.3:80", false)]);
        let far = || upstream.standings().iter().map(|standing| standing.is_far()).collect::<Vec<_>>();
        assert_eq!(far(), [false, true, false]);
        upstream.learn(0, vec![found("10.0.0.2:80", true)]);
        upstream.learn(1, Vec::new());
        assert_eq!(far(), [false], "where nothing is near, nothing is far");
    }
}
