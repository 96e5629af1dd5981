//! The breakers of all routes and lanes, and meters where there is none: the part workers ask, and the part one merger turns.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::rota::Rota;
use super::snapshot::{Route, Snapshot};
use super::worker::Worker;
use crate::decide::{LaneId, ReleaseId};
use crate::latch::LaneFigures;
use crate::resilience::{
    Bell, BellMaker, Cause, Figures, Guard, Knock, Lease, Meter, MeterWatch, Outcome, Plan, Rest, Thresholds, Tick,
    Transition, Watch, guarded_with, metered,
};
use crate::telemetry::BreakerCause;
use crate::trace::Tracer;

/// The guards of one route's lanes, at the lanes' places; none where the route or the lane has no breaker.
pub(super) type Guards = Box<[Option<Arc<Guard>>]>;

/// The meters of one route's lanes, at the lanes' places; empty where the route has a breaker, or nobody wants figures.
pub(super) type Meters = Box<[Arc<Meter>]>;

/// Everything the merger turns.
#[derive(Default)]
pub struct Watches {
    all: Vec<Watched>,
    /// The places of those of each release.
    releases: Vec<smallvec::SmallVec<[u32; 4]>>,
    rota: Rota,
}

struct Watched {
    route: usize,
    lane: usize,
    eye: Eye,
}

/// What looks at a lane.
enum Eye {
    Breaker(Watch),
    Meter(MeterWatch),
}

impl Eye {
    fn long(&self) -> Figures {
        match self {
            Eye::Breaker(watch) => watch.merged().long,
            Eye::Meter(watch) => watch.merged().long,
        }
    }

    fn bell(&self) -> &Bell {
        match self {
            Eye::Breaker(watch) => watch.bell(),
            Eye::Meter(watch) => watch.bell(),
        }
    }

    fn rest(&self) -> Rest {
        match self {
            Eye::Breaker(watch) => watch.rest(),
            Eye::Meter(watch) => watch.rest(),
        }
    }

    fn tick(&mut self, now: Tick) -> Option<Transition> {
        match self {
            Eye::Breaker(watch) => watch.tick(now),
            Eye::Meter(watch) => {
                watch.tick(now);
                None
            }
        }
    }

    fn plan(&self) -> &Plan {
        match self {
            Eye::Breaker(watch) => watch.plan(),
            Eye::Meter(watch) => watch.plan(),
        }
    }
}

/// What a lane other than stable's did lately.
pub struct Lately<'w> {
    /// The place of the route.
    pub route: usize,
    /// The place of the lane among the route's.
    pub lane: usize,
    /// The figures of the long window.
    pub figures: Figures,
    /// How many calls it takes to tell something by them.
    pub least: &'w Thresholds,
}

/// What a new configuration makes of the watches of the one before.
#[derive(Default)]
pub struct Succession {
    next: Vec<Next>,
    bells: BellMaker,
}

struct Next {
    route: usize,
    lane: usize,
    heir: Heir,
}

enum Heir {
    /// What looked at this place, as it is.
    Kept(Place),
    /// Another one, in the state of that of this place.
    Renewed(Place, Watch),
    New(Eye),
}

/// Route and lane of a breaker in the configuration before.
pub(super) type Place = (usize, usize);

/// The breaker of a lane before, and whether nothing that it has seen is out of date.
pub(super) struct Before<'b> {
    pub(super) place: Place,
    pub(super) guard: &'b Arc<Guard>,
    pub(super) is_same: bool,
}

type Befores<'b> = Vec<Option<Before<'b>>>;

/// A breaker moved.
pub struct Moved {
    /// The place of the route.
    pub route: usize,
    /// The place of the lane among the route's.
    pub lane: usize,
    /// How it moved, and by which figures.
    pub transition: Transition,
}

/// How lanes without a breaker are metered: one plan for all of them.
static METERED: LazyLock<Arc<Plan>> = LazyLock::new(|| Arc::new(Plan::DEFAULT));

impl Succession {
    /// For the breakers of so many lanes: of many routes they are most of what there is, and growing would leave twice the room.
    pub(super) fn of(lanes: usize, making: &Making) -> Self {
        Self { next: Vec::with_capacity(lanes), bells: BellMaker::new(making.knock.clone()) }
    }

    /// The breakers of one route's lanes, which had those `before`.
    pub(super) fn add(&mut self, route: usize, before: Befores<'_>, plan: &Arc<Plan>, making: &Making) -> Guards {
        let Self { next, bells } = self;
        let guard = |(lane, before): (usize, Option<Before<'_>>)| {
            let mut fresh = || {
                // A different spread of open times for each breaker of each process.
                let seed = making.seed.wrapping_add((route as u64) << 16 | lane as u64);
                guarded_with(plan.clone(), making.workers, seed, making.now, bells.bell())
            };
            let (guard, heir) = match before {
                Some(before) if before.is_same => (before.guard.clone(), Heir::Kept(before.place)),
                Some(before) => {
                    let (guard, watch) = fresh();
                    (guard, Heir::Renewed(before.place, watch))
                }
                None => {
                    let (guard, watch) = fresh();
                    (guard, Heir::New(Eye::Breaker(watch)))
                }
            };
            next.push(Next { route, lane, heir });
            Some(guard)
        };
        before.into_iter().enumerate().map(guard).collect()
    }

    /// The meters of one route's lanes, which had those `before`.
    pub(super) fn meter(&mut self, route: usize, before: Vec<Option<(Place, Arc<Meter>)>>, making: &Making) -> Meters {
        let Self { next, bells } = self;
        let meter = |(lane, before): (usize, Option<(Place, Arc<Meter>)>)| {
            let (meter, heir) = match before {
                Some((place, meter)) => (meter, Heir::Kept(place)),
                None => {
                    let (meter, watch) = metered(METERED.clone(), making.workers, making.now, bells.bell());
                    (meter, Heir::New(Eye::Meter(watch)))
                }
            };
            next.push(Next { route, lane, heir });
            meter
        };
        before.into_iter().enumerate().map(meter).collect()
    }
}

impl Watches {
    /// Goes on with another configuration, that of `snapshot`. Breakers that are not part of it are let go.
    pub fn take_over(&mut self, succession: Succession, snapshot: &Snapshot) {
        let old = std::mem::take(&mut self.all).into_iter().map(|one| ((one.route, one.lane), one.eye));
        let mut old: HashMap<Place, Eye> = old.collect();
        self.all = succession.next.into_iter().filter_map(|next| next.watched(&mut old)).collect();
        self.all.shrink_to_fit();
        let program = &snapshot.settings.program;
        self.releases = vec![smallvec::SmallVec::new(); program.releases().len()];
        for (place, watched) in self.all.iter().enumerate() {
            if let Some(release) = program.routes()[watched.route].release {
                self.releases[release.index()].push(u32::try_from(place).expect("there are no more lanes"));
            }
        }
        self.rota = Rota::of(self.all.iter().map(|watched| watched.eye.bell()));
    }

    /// Those of the lanes of a release's routes, in order.
    fn governed(&self, release: ReleaseId) -> impl Iterator<Item = &Watched> {
        self.releases.get(release.index()).into_iter().flatten().map(|place| &self.all[*place as usize])
    }

    /// What the lanes other than stable of a release's routes did lately.
    pub fn lately(&self, snapshot: &Snapshot, release: ReleaseId) -> impl Iterator<Item = Lately<'_>> {
        let gray =
            move |watched: &&Watched| snapshot.routes[watched.route].plan.lanes[watched.lane].0 != LaneId::STABLE;
        self.governed(release).filter(gray).map(|Watched { route, lane, eye }| Lately {
            route: *route,
            lane: *lane,
            figures: eye.long(),
            least: eye.plan().thresholds(),
        })
    }

    /// Forgets what the lanes of a release's routes did: a release that is opened again is judged by what comes.
    pub fn start_over(&mut self, release: ReleaseId, now: Tick) {
        for place in self.releases.get(release.index()).into_iter().flatten() {
            match &mut self.all[*place as usize].eye {
                Eye::Breaker(watch) => watch.start_over(now),
                Eye::Meter(watch) => watch.start_over(now),
            }
        }
    }

    /// What the lanes of a release's routes did in the long windows of breakers and meters.
    pub fn figures(&self, snapshot: &Snapshot, release: ReleaseId) -> Vec<LaneFigures> {
        let lanes = snapshot.settings.program.lanes();
        let figures = self.governed(release).map(|Watched { route, lane, eye }| {
            let (plan, figures) = (&snapshot.routes[*route].plan, eye.long());
            LaneFigures {
                route: plan.name.to_string(),
                lane: lanes.name(plan.lanes[*lane].0).to_owned(),
                over_seconds: Some(eye.plan().timing().window.as_secs_f64()),
                calls: figures.finished,
                failures: figures.failures,
                mean_seconds: figures.mean().map(|mean| mean.as_secs_f64()),
                p99_seconds: figures.p99.map(|p99| p99.as_secs_f64()),
                slow_calls: Some(figures.slow),
            }
        });
        figures.collect()
    }

    /// Takes in what workers recorded and judges; to be called every [`crate::resilience::MERGE_EVERY`]. Tells metrics
    /// what moved. Costs what lanes that were called since the last time, and breakers that are not closed, cost; and once a slice of their
    /// windows, those with calls in them.
    ///
    /// [`Self::rest`] tells when that may be left out.
    pub fn tick(&mut self, now: Tick, snapshot: &Snapshot) -> Vec<Moved> {
        let mut moved = Vec::new();
        let Self { all, rota, .. } = self;
        rota.go_round(now, |place| {
            let Watched { route, lane, eye } = &mut all[place];
            if let Some(transition) = eye.tick(now) {
                snapshot.routes[*route].series.breaker_moved(*lane, cause(transition.cause));
                moved.push(Moved { route: *route, lane: *lane, transition });
            }
            eye.rest()
        });
        moved
    }

    /// How long no tick would change anything, unless a bell rings.
    pub fn rest(&self) -> Rest {
        self.rota.rest()
    }
}

impl Next {
    /// A kept breaker is always there: both configurations were made one from the other.
    fn watched(self, old: &mut HashMap<Place, Eye>) -> Option<Watched> {
        let Self { route, lane, heir } = self;
        let eye = match heir {
            Heir::New(eye) => eye,
            Heir::Kept(place) => old.remove(&place)?,
            Heir::Renewed(place, mut watch) => {
                if let Some(Eye::Breaker(before)) = old.get(&place) {
                    watch.inherit(before);
                }
                Eye::Breaker(watch)
            }
        };
        Some(Watched { route, lane, eye })
    }
}

impl Route {
    /// An attempt on a lane has ended; whoever watches the lane is told.
    pub(super) fn record(
        &self,
        worker: &Worker,
        lane: usize,
        lease: Option<Lease>,
        outcome: Outcome,
        (began, ended): (Instant, Instant),
    ) {
        let (began, ended) = (worker.tick(began), worker.tick(ended));
        if let Some(breaker) = &self.guards[lane] {
            breaker.record(worker.id, lease, outcome, began, ended);
        } else if let Some(meter) = self.meters.get(lane) {
            meter.record(worker.id, outcome, began, ended);
        }
    }
}

/// What making a snapshot takes beside its configuration.
pub struct Making {
    /// Worker threads.
    pub workers: usize,
    /// Any number that differs between processes.
    pub seed: u64,
    /// Now.
    pub now: Tick,
    /// What is told to OpenTelemetry by this configuration.
    pub tracer: Option<Arc<Tracer>>,
    /// Wakes the merger.
    pub knock: Knock,
}

/// The monotonic clock that breakers and workers share.
#[derive(Debug, Clone, Copy)]
pub struct Epoch(Instant);

impl Epoch {
    /// Beginning now.
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// A moment as breakers know it.
    pub fn tick(self, at: Instant) -> Tick {
        Tick::after_start(at.saturating_duration_since(self.0))
    }

    /// When that is.
    pub fn instant(self, tick: Tick) -> Instant {
        self.0 + tick.since(Tick::START)
    }
}

fn cause(cause: Cause) -> BreakerCause {
    match cause {
        Cause::ErrorRate => BreakerCause::ErrorRate,
        Cause::P99 => BreakerCause::P99,
        Cause::Mean => BreakerCause::Mean,
        Cause::SlowCalls => BreakerCause::SlowCalls,
        Cause::TrialsFailed => BreakerCause::TrialsFailed,
        Cause::OpenTimeOver => BreakerCause::OpenTimeOver,
        Cause::TrialsPassed => BreakerCause::TrialsPassed,
    }
}

/// When to ask again, for `Retry-After`: never at once.
pub(super) fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}
