//! `rollback_on`: the figures of a release's lanes other than stable, looked at after every merge. One that is bad for as long
//! as was asked takes the release back.

use std::collections::HashMap;
use std::sync::Arc;

use super::merger::Merging;
use crate::config::{RollbackFigure, RollbackPlan, Settings};
use crate::decide::ReleaseId;
use crate::latch::{Cause, Evidence};
use crate::proxy::{Lately, Route, Snapshot};
use crate::resilience::{BadSince, Criterion, Tick, Unit};

/// Everything that is looked at.
pub(super) struct FigureWatch {
    releases: Vec<Release>,
    /// The places of those that have figures.
    with_figures: Vec<usize>,
    /// Which latches there were when all were looked at; none before the first time.
    latches: Option<u64>,
}

struct Release {
    id: ReleaseId,
    figures: Vec<RollbackFigure>,
    /// One for each route's lane and figure, in the order in which they are looked at.
    since: Vec<BadSince>,
    was_latched: bool,
}

impl FigureWatch {
    /// Begins with nothing seen.
    pub(super) fn of(settings: &Settings) -> Self {
        let release = |(at, plan): (usize, &Arc<RollbackPlan>)| {
            let figures: Vec<RollbackFigure> =
                plan.figures.iter().filter(|figure| figure.criterion.is_some()).cloned().collect();
            let id = ReleaseId::from_index(at)?;
            Some(Release { id, figures, since: Vec::new(), was_latched: false })
        };
        let mut releases = Vec::with_capacity(settings.rollbacks.len());
        releases.extend(settings.rollbacks.iter().enumerate().filter_map(release));
        let with_figures = releases.iter().enumerate().filter(|(_, release)| !release.figures.is_empty());
        let with_figures = with_figures.map(|(place, _)| place).collect();
        Self { releases, with_figures, latches: None }
    }

    /// Goes on with the releases of another configuration. How long a figure was bad counts on where the release and
    /// its routes are the same ones.
    pub(super) fn take_over(&mut self, old: &Snapshot, new: &Snapshot) {
        let before = std::mem::replace(self, Self::of(&new.settings)).releases;
        let name = |known: Release| (old.settings.program.release(known.id).name.as_str(), known);
        let mut before: HashMap<&str, Release> = before.into_iter().map(name).collect();
        for release in &mut self.releases {
            let name = new.settings.program.release(release.id).name.as_str();
            let Some(known) = before.get_mut(name) else { continue };
            release.was_latched = known.was_latched;
            let has_figures = !release.figures.is_empty();
            if has_figures && known.figures == release.figures && lanes(old, known.id) == lanes(new, release.id) {
                release.since = std::mem::take(&mut known.since);
            }
        }
    }

    /// Whether a verdict may change by time alone: a figure is bad, and not for long enough yet.
    pub(super) fn go_by_time(&self) -> bool {
        self.with_figures.iter().any(|place| self.releases[*place].since.iter().any(BadSince::is_bad))
    }

    /// Looks at what the last merge brought. A release without figures is looked at only where some latch changed.
    pub(super) fn tick(&mut self, merging: &mut Merging<'_>, now: Tick) {
        let latches = Some(merging.latches.generation());
        if self.latches == latches {
            self.with_figures.iter().for_each(|place| self.releases[*place].look(merging, now));
        } else {
            self.latches = latches;
            self.releases.iter_mut().for_each(|release| release.look(merging, now));
        }
    }
}

impl Release {
    fn look(&mut self, merging: &mut Merging<'_>, now: Tick) {
        let is_latched = merging.snapshot.is_latched(self.id);
        if std::mem::replace(&mut self.was_latched, is_latched) && !is_latched {
            // What its lanes did before it was taken back must not take it back again.
            merging.watches.start_over(self.id, now);
        }
        if is_latched || self.figures.is_empty() {
            self.since.clear();
            return;
        }
        if let Some(detail) = self.reached(merging, now) {
            let name = &merging.snapshot.settings.program.release(self.id).name;
            let evidence = merging.evidence(self.id, Cause::Figure, "rollback_on", &detail);
            // A release that is not configured any more has nothing to take back.
            let _ = merging.latches.latch(name, evidence);
            // Whoever lifts it before the next look must find empty windows too.
            self.was_latched = true;
        }
    }

    /// The figure that was bad for long enough, in a sentence.
    fn reached(&mut self, merging: &Merging<'_>, now: Tick) -> Option<String> {
        let mut place = 0;
        let mut reached = None;
        for lately in merging.watches.lately(merging.snapshot, self.id) {
            for figure in &self.figures {
                let Some(criterion) = &figure.criterion else { continue };
                if self.since.len() <= place {
                    self.since.push(BadSince::default());
                }
                let value = criterion.sign.of(&lately.figures, lately.least);
                if self.since[place].look(criterion, value, now) {
                    reached = reached.or_else(|| Some(sentence(merging, &lately, figure, criterion, value?)));
                }
                place += 1;
            }
        }
        reached
    }
}

/// The routes of a release with their lanes, in the order in which they are looked at.
fn lanes(snapshot: &Snapshot, release: ReleaseId) -> Vec<(&str, Vec<&str>)> {
    let (program, routes) = (&snapshot.settings.program, &snapshot.routes);
    let governed = program.routes().iter().zip(routes).filter(|(spec, _)| spec.release == Some(release));
    let names = |route: &Route| -> Vec<&str> {
        route.plan.lanes.iter().map(|(lane, _)| snapshot.settings.program.lanes().name(*lane)).collect()
    };
    governed.map(|(_, route)| (&*route.plan.name, names(route))).collect()
}

fn sentence(
    merging: &Merging<'_>,
    lately: &Lately<'_>,
    figure: &RollbackFigure,
    criterion: &Criterion,
    value: f64,
) -> String {
    let plan = &merging.snapshot.routes[lately.route].plan;
    let lane = merging.snapshot.settings.program.lanes().name(plan.lanes[lately.lane].0);
    let (number, unit) = match criterion.sign.unit() {
        Unit::Share => (format!("{value:.4}"), ""),
        Unit::Seconds => (format!("{value:.3}"), " s"),
        Unit::Calls => (format!("{value:.0}"), " calls"),
    };
    let lasting = match figure.duration.is_zero() {
        true => String::new(),
        false => format!(" for {:?} without a break", figure.duration),
    };
    format!(
        "{} of lane `{lane}` on route `{}` is {number}{unit}, and was {} {}{unit}{lasting}",
        criterion.sign.as_str(),
        plan.name,
        criterion.relation.as_str(),
        figure.threshold.normalize(),
    )
}

impl Merging<'_> {
    /// The evidence for taking a release back now, with the figures of the windows where there are some.
    pub(super) fn evidence(&self, release: ReleaseId, cause: Cause, by: &str, detail: &str) -> Evidence {
        let lately = self.watches.figures(self.snapshot, release);
        let evidence = self.snapshot.evidence(release, cause, by, detail);
        // A lane that nobody watches keeps its figures since the start.
        let is_watched = |there: &crate::latch::LaneFigures| {
            lately.iter().any(|known| (&known.route, &known.lane) == (&there.route, &there.lane))
        };
        let rest: Vec<_> = evidence.figures.into_iter().filter(|there| !is_watched(there)).collect();
        Evidence { figures: lately.into_iter().chain(rest).collect(), ..evidence }
    }
}
