//! From counters to families of samples: what one scrape sees, in no particular text format.

use std::sync::Arc;
use std::time::Duration;

use super::exemplar::Exemplar;
use super::label::{BreakerCause, Closing, CodeClass, DeadlineField, Limit, LineFate, Refusal, Reload, SourceFault};
use super::label::{CheckResult, ConnectResult, ConnectionState, EjectionResult, EndpointState};
use super::label::{Handshake, InvalidationResult, LookupResult, ProxyHeader, SlowClient, TokenFate};
use super::metrics::{self, Metric};
use super::otlp::{OtlpFate, OtlpSeries, OtlpSignal};
use super::process::ProcessFigures;
use super::registry::{Registry, RouteEntry};
use super::release::ReleaseSeries;
use super::route::{BOUNDS, LaneSeries, RouteCell};
use super::totals::Totals;
use crate::decide::{Level, OverrideError, Reason};

/// One metric with its samples.
pub(super) struct Family {
    pub(super) metric: &'static Metric,
    pub(super) samples: Vec<Sample>,
}

/// One series: label values in the order of the metric's label names, and what it says.
pub(super) struct Sample {
    pub(super) labels: Vec<Arc<str>>,
    pub(super) value: Value,
}

/// What a series says.
pub(super) enum Value {
    Number(f64),
    Histogram {
        /// Cumulated, one per bound of [`BOUNDS`]; the total stands for `+Inf`.
        cumulated: [u64; BOUNDS.len()],
        count: u64,
        sum: Duration,
        /// One of each bucket, `+Inf` last; or none at all.
        exemplars: Vec<Option<Exemplar>>,
    },
}

impl Family {
    fn new(metric: &'static Metric) -> Self {
        Self { metric, samples: Vec::new() }
    }

    fn number(&mut self, labels: &[&Arc<str>], fixed: &[&str], value: f64) {
        let named = labels.iter().map(|label| Arc::clone(label));
        let labels: Vec<Arc<str>> = named.chain(fixed.iter().map(|word| Arc::from(*word))).collect();
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "{}", self.metric.name);
        self.samples.push(Sample { labels, value: Value::Number(value) });
    }

    fn count(&mut self, labels: &[&Arc<str>], fixed: &[&str], value: u64) {
        self.number(labels, fixed, value as f64);
    }
}

/// Sums everything, in the order of the list of metrics.
pub(super) fn collect(
    registry: &Registry,
    totals: &Totals,
    otlp: &OtlpSeries,
    process: &ProcessFigures,
) -> Vec<Family> {
    let mut families = routes(registry);
    families.extend(lanes(registry));
    families.extend(releases(registry));
    families.extend(upstreams(registry));
    families.extend(endpoints(registry));
    families.extend(sources(registry));
    families.extend(entrances(registry, totals));
    families.extend(whole(registry, totals));
    families.push(told(otlp));
    families.extend(program(process));
    let place = |family: &Family| metrics::ALL.iter().position(|metric| *metric == family.metric);
    families.sort_by_key(place);
    families
}

fn told(otlp: &OtlpSeries) -> Family {
    let mut items = Family::new(&metrics::OTLP_ITEMS);
    for signal in OtlpSignal::ALL {
        for fate in OtlpFate::ALL {
            items.count(&[], &[signal.as_str(), fate.as_str()], otlp.sum(signal, fate));
        }
    }
    items
}

fn routes(registry: &Registry) -> Vec<Family> {
    let family = |metric: &'static Metric, cell: RouteCell| {
        let mut family = Family::new(metric);
        for (name, RouteEntry { totals, .. }) in &registry.routes {
            family.count(&[name], &[], totals.sum(cell));
        }
        family
    };
    vec![
        family(&metrics::INFLIGHT, RouteCell::Inflight),
        family(&metrics::CLIENT_DISCONNECTS, RouteCell::Disconnects),
        family(&metrics::SHIELDED, RouteCell::Shielded),
        family(&metrics::REPLAYS, RouteCell::Replays),
        family(&metrics::EXPIRED_DEADLINES, RouteCell::ExpiredDeadlines),
        family(&metrics::GRAY_DRAINED, RouteCell::GrayDrained),
    ]
}

fn lanes(registry: &Registry) -> Vec<Family> {
    let mut requests = Family::new(&metrics::REQUESTS);
    let mut durations = Family::new(&metrics::REQUEST_DURATION);
    let mut states = Family::new(&metrics::BREAKER_STATE);
    let mut transitions = Family::new(&metrics::BREAKER_TRANSITIONS);
    let mut limited = Family::new(&metrics::LIMITED);
    for (route, entry) in &registry.routes {
        for (lane, series) in &entry.lanes {
            lane_requests(&mut requests, route, lane, series);
            durations.samples.push(Sample { labels: vec![route.clone(), lane.clone()], value: histogram(series) });
            states.count(&[route, lane], &[], series.breaker());
            for cause in BreakerCause::ALL {
                let fixed = [cause.to().as_str(), cause.as_str()];
                transitions.count(&[route, lane], &fixed, series.transitions(*cause));
            }
            for limit in Limit::ALL {
                limited.count(&[route, lane], &[limit.as_str()], series.limited(*limit));
            }
        }
    }
    vec![requests, durations, states, transitions, limited]
}

/// Successes and server errors of every level stand there from the start, so that the first failure is an increase
/// from zero and not a series out of nothing; other classes appear when they happen.
fn lane_requests(family: &mut Family, route: &Arc<str>, lane: &Arc<str>, series: &LaneSeries) {
    for level in Level::ALL {
        for class in CodeClass::ALL {
            let value = series.requests(*level, *class);
            let always = matches!(class, CodeClass::Success | CodeClass::ServerError);
            if value > 0 || always {
                family.count(&[route, lane], &[level.as_str(), class.as_str()], value);
            }
        }
    }
}

/// The count is the sum of the buckets as read, so that it always equals `+Inf`, whatever workers add meanwhile.
fn histogram(series: &LaneSeries) -> Value {
    let buckets = series.buckets();
    let mut count = 0;
    let mut cumulated = [0; BOUNDS.len()];
    for (index, bucket) in buckets.iter().enumerate() {
        count += bucket;
        if let Some(slot) = cumulated.get_mut(index) {
            *slot = count;
        }
    }
    Value::Histogram { cumulated, count, sum: series.duration_sum(), exemplars: series.exemplars() }
}

fn releases(registry: &Registry) -> Vec<Family> {
    let mut decisions = Family::new(&metrics::DECISIONS);
    let mut permille = Family::new(&metrics::RELEASE_PERMILLE);
    let mut latched = Family::new(&metrics::RELEASE_LATCHED);
    let mut paused = Family::new(&metrics::RELEASE_PAUSED);
    let mut verdict = Family::new(&metrics::RELEASE_VERDICT);
    for (name, series) in &registry.releases {
        // The empty name collects decisions of routes without a release; it is open for nobody.
        let real = !name.is_empty();
        for level in Level::ALL {
            for reason in Reason::ALL {
                let value = series.decisions(*level, *reason);
                if value > 0 || (real && ReleaseSeries::is_expected(*level, *reason)) {
                    decisions.count(&[name], &[level.as_str(), reason.as_str()], value);
                }
            }
        }
        if real {
            permille.count(&[name], &[], series.permille());
            latched.count(&[name], &[], series.latched());
            paused.count(&[name], &[], series.paused());
            verdict.count(&[name], &[], series.verdict());
        }
    }
    vec![decisions, permille, latched, paused, verdict]
}

fn upstreams(registry: &Registry) -> Vec<Family> {
    let mut connections = Family::new(&metrics::UPSTREAM_CONNECTIONS);
    let mut connects = Family::new(&metrics::UPSTREAM_CONNECTS);
    for (name, series) in &registry.upstreams {
        for state in ConnectionState::ALL {
            connections.count(&[name], &[state.as_str()], series.connections(*state));
        }
        for result in ConnectResult::ALL {
            connects.count(&[name], &[result.as_str()], series.connects(*result));
        }
    }
    let mut panic = Family::new(&metrics::UPSTREAM_PANIC);
    for (name, series) in &registry.upstreams {
        panic.count(&[name], &[], u64::from(series.panic()));
    }
    vec![connections, connects, panic]
}

fn endpoints(registry: &Registry) -> Vec<Family> {
    let mut addresses = Family::new(&metrics::ENDPOINT_ADDRESSES);
    let mut checks = Family::new(&metrics::ENDPOINT_CHECKS);
    let mut ejections = Family::new(&metrics::ENDPOINT_EJECTIONS);
    for ((upstream, endpoint), series) in &registry.endpoints {
        let labels = [upstream, endpoint];
        for state in EndpointState::ALL {
            addresses.count(&labels, &[state.as_str()], series.addresses(*state));
        }
        for result in CheckResult::ALL {
            checks.count(&labels, &[result.as_str()], series.checks(*result));
        }
        for result in EjectionResult::ALL {
            ejections.count(&labels, &[result.as_str()], series.ejections(*result));
        }
    }
    vec![addresses, checks, ejections]
}

fn sources(registry: &Registry) -> Vec<Family> {
    let mut up = Family::new(&metrics::SOURCE_UP);
    let mut contact = Family::new(&metrics::SOURCE_LAST_CONTACT);
    let mut stale = Family::new(&metrics::SOURCE_STALE);
    let mut documents = Family::new(&metrics::SOURCE_DOCUMENTS);
    let mut bytes = Family::new(&metrics::SOURCE_BYTES);
    let mut changes = Family::new(&metrics::SOURCE_CHANGES);
    let mut errors = Family::new(&metrics::SOURCE_ERRORS);
    for (name, series) in &registry.sources {
        up.count(&[name], &[], u64::from(series.is_up()));
        contact.number(&[name], &[], series.last_contact());
        stale.count(&[name], &[], u64::from(series.is_stale()));
        documents.count(&[name], &[], series.documents());
        bytes.count(&[name], &[], series.bytes());
        changes.count(&[name], &[], series.posts());
        for fault in SourceFault::ALL {
            errors.count(&[name], &[fault.as_str()], series.errors(*fault));
        }
    }
    vec![up, contact, stale, documents, bytes, changes, errors]
}

fn entrances(registry: &Registry, totals: &Totals) -> Vec<Family> {
    let mut handshakes = Family::new(&metrics::TLS_HANDSHAKES);
    for how in Handshake::ALL {
        handshakes.count(&[], &[how.as_str()], totals.handshakes(*how));
    }
    let mut expiry = Family::new(&metrics::TLS_EXPIRY);
    for ((owner, file), series) in &registry.certificates {
        expiry.number(&[owner, file], &[], series.not_after() as f64);
    }
    let mut headers = Family::new(&metrics::PROXY_HEADERS);
    for fate in ProxyHeader::ALL {
        headers.count(&[], &[fate.as_str()], totals.proxy_headers(*fate));
    }
    vec![handshakes, expiry, headers]
}

fn whole(registry: &Registry, totals: &Totals) -> Vec<Family> {
    let mut clients = Family::new(&metrics::CLIENT_CONNECTIONS);
    for state in ConnectionState::ALL {
        clients.count(&[], &[state.as_str()], totals.clients(*state));
    }
    let mut closed = Family::new(&metrics::CONNECTIONS_CLOSED);
    for why in Closing::ALL {
        closed.count(&[], &[why.as_str()], totals.closings(*why));
    }
    let mut slow = Family::new(&metrics::SLOW_CLIENTS);
    for how in SlowClient::ALL {
        slow.count(&[], &[how.as_str()], totals.slow_clients(*how));
    }
    let mut refused = Family::new(&metrics::REFUSED_REQUESTS);
    for reason in Refusal::ALL {
        refused.count(&[], &[reason.as_str()], totals.refusals(*reason));
    }
    let mut stripped = Family::new(&metrics::STRIPPED_HEADERS);
    stripped.count(&[], &[], totals.stripped_sum());
    let mut overrides = Family::new(&metrics::OVERRIDES_REJECTED);
    for why in OverrideError::ALL {
        overrides.count(&[], &[why.as_str()], totals.overrides_rejected(*why));
    }
    let mut facts = Family::new(&metrics::FACTS_REJECTED);
    for (name, series) in &registry.facts {
        facts.count(&[name], &[], series.sum());
    }
    let mut rejected = Family::new(&metrics::TOKENS_REJECTED);
    for why in TokenFate::ALL {
        rejected.count(&[], &[why.as_str()], totals.tokens_rejected(*why));
    }
    let mut lookups = Family::new(&metrics::LOOKUPS);
    for (name, series) in &registry.lookups {
        for result in LookupResult::ALL {
            lookups.count(&[name], &[result.as_str()], series.sum(*result));
        }
    }
    let mut deadlines = Family::new(&metrics::IGNORED_DEADLINES);
    for field in DeadlineField::ALL {
        deadlines.count(&[], &[field.as_str()], totals.deadlines_ignored(*field));
    }
    let mut expressions = Family::new(&metrics::EXPRESSIONS_FAILED);
    expressions.count(&[], &[], totals.expressions_failed_sum());
    let mut faults = Family::new(&metrics::FAULTS);
    for ((name, kind), series) in &registry.faults {
        faults.count(&[name], &[kind], series.sum());
    }
    let mut invalidations = Family::new(&metrics::INVALIDATIONS);
    for target in ["redis", "webhook"] {
        for result in InvalidationResult::ALL {
            let count = registry.invalidations.get(&(target, result.as_str())).copied();
            invalidations.count(&[], &[target, result.as_str()], count.unwrap_or(0));
        }
    }
    let mut version = Family::new(&metrics::CONFIG_VERSION);
    version.count(&[], &[], registry.applied);
    let mut info = Family::new(&metrics::CONFIG_INFO);
    if let Some(text) = &registry.version {
        info.count(&[text], &[], 1);
    }
    let mut reloads = Family::new(&metrics::CONFIG_RELOADS);
    reloads.count(&[], &[Reload::Applied.as_str()], registry.applied);
    reloads.count(&[], &[Reload::Refused.as_str()], registry.refused);
    let mut kept = Family::new(&metrics::STATE_KEPT);
    kept.count(&[], &[], u64::from(registry.state_kept));
    let mut last_good = Family::new(&metrics::LAST_GOOD_KEPT);
    last_good.count(&[], &[], u64::from(registry.last_good_kept));
    let mut tokens = Family::new(&metrics::WRONG_ADMIN_TOKENS);
    tokens.count(&[], &[], registry.wrong_admin_tokens);
    let mut lines = Family::new(&metrics::ACCESS_LOG_LINES);
    for fate in LineFate::ALL {
        lines.count(&[], &[fate.as_str()], totals.lines_sum(*fate));
    }
    vec![
        clients,
        closed,
        slow,
        refused,
        stripped,
        deadlines,
        overrides,
        facts,
        rejected,
        lookups,
        invalidations,
        expressions,
        faults,
        version,
        info,
        reloads,
        kept,
        last_good,
        tokens,
        lines,
    ]
}

fn program(process: &ProcessFigures) -> Vec<Family> {
    let mut build = Family::new(&metrics::BUILD_INFO);
    build.count(&[], &[env!("CARGO_PKG_VERSION")], 1);
    let mut families = vec![build];
    let figures = [
        (&metrics::PROCESS_RESIDENT, process.resident_bytes),
        (&metrics::PROCESS_VIRTUAL, process.virtual_bytes),
        (&metrics::PROCESS_OPEN_FDS, process.open_fds),
        (&metrics::PROCESS_MAX_FDS, process.max_fds),
        (&metrics::PROCESS_THREADS, process.threads),
        (&metrics::PROCESS_CPU, process.cpu_seconds),
        (&metrics::PROCESS_START, process.start_seconds),
    ];
    for (metric, figure) in figures {
        let mut family = Family::new(metric);
        if let Some(value) = figure {
            family.number(&[], &[], value);
        }
        families.push(family);
    }
    families
}
