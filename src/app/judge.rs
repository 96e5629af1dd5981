//! Gray against stable, release by release: what workers counted is compared once a second, told, and acted upon where the
//! configuration says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::merger::Merging;
use crate::decide::{Level, Permille, ReleaseId};
use crate::evidence::{Comparison, Counts, Judgement, Pair, Rules, Verdict};
use crate::latch::Cause;
use crate::live::Live;
use crate::proxy::Snapshot;
use crate::telemetry::RouteSeries;

/// How long from one look to the next. The tests hold at all looks together; more of them would cost, not help.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The judgement of each release, at the place of its id.
pub(super) type Judgements = Live<Vec<Judgement>>;

/// What compares.
pub(super) struct Judge {
    compared: Vec<Compared>,
    judgements: Arc<Judgements>,
    next: Option<Instant>,
}

struct Compared {
    release: ReleaseId,
    rules: Rules,
    share: Option<Permille>,
    comparison: Comparison,
    judgement: Judgement,
    /// The release is latched: nothing is compared, and what was found stands. A new comparison begins once it is open.
    is_over: bool,
}

impl Judge {
    /// Begins with nothing seen.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let ids = (0..snapshot.settings.rollbacks.len()).filter_map(ReleaseId::from_index);
        let compared: Vec<Compared> = ids.map(|release| Compared::begin(snapshot, release)).collect();
        let judgements = Arc::new(Live::new(Arc::new(judgements(&compared))));
        Self { compared, judgements, next: None }
    }

    /// What was found last, for whoever wants to know.
    pub(super) fn judgements(&self) -> Arc<Judgements> {
        self.judgements.clone()
    }

    /// Looks if it is time to.
    pub(super) fn tick(&mut self, now: Instant, merging: &Merging<'_>) {
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        self.next = Some(now + LOOK_EVERY);
        self.compared.iter_mut().for_each(|compared| compared.look(now, merging));
        self.judgements.publish(Arc::new(judgements(&self.compared)));
    }
}

impl Compared {
    fn begin(snapshot: &Snapshot, release: ReleaseId) -> Self {
        let settings = &snapshot.settings;
        let spec = settings.program.release(release);
        let rules = settings.rollbacks[release.index()].worse.unwrap_or_default();
        // Only there the bucket decides who of the rest sees gray.
        let share = (spec.level == Level::Permille).then_some(spec.permille);
        let split = snapshot.release_series(release).split();
        let comparison = Comparison::starting_at(&answered(snapshot, release), split, share);
        let judgement = comparison.judge(&rules);
        Self { release, rules, share, comparison, judgement, is_over: false }
    }

    fn look(&mut self, now: Instant, merging: &Merging<'_>) {
        let snapshot = merging.snapshot;
        if snapshot.is_latched(self.release) {
            self.is_over = true;
            return;
        }
        let (series, answered) = (snapshot.release_series(self.release), answered(snapshot, self.release));
        if std::mem::take(&mut self.is_over) {
            self.comparison = Comparison::starting_at(&answered, series.split(), self.share);
        }
        self.comparison.observe(&answered, series.split());
        let judgement = self.comparison.judge(&self.rules);
        series.set_verdict(judgement.verdict);
        let before = std::mem::replace(&mut self.judgement, judgement);
        let release = &snapshot.settings.program.release(self.release).name;
        if before.verdict != judgement.verdict {
            tell(release, &judgement);
        }
        let evidence = || merging.evidence(self.release, Cause::Worse, "comparison", &judgement.to_string());
        let is_worse = judgement.verdict == Verdict::Worse;
        self.is_over = merging.latches.judged(release, is_worse, now, evidence).is_some();
    }
}

fn answered(snapshot: &Snapshot, release: ReleaseId) -> Vec<Pair<Counts>> {
    snapshot.compared_routes(release).map(RouteSeries::answered).collect()
}

fn judgements(compared: &[Compared]) -> Vec<Judgement> {
    compared.iter().map(|compared| compared.judgement).collect()
}

/// One line for each change of the verdict.
fn tell(release: &str, judgement: &Judgement) {
    match judgement.verdict {
        Verdict::Worse => tracing::warn!(release, "gray against stable: {judgement}"),
        Verdict::NotWorseSoFar | Verdict::NoData => tracing::info!(release, "gray against stable: {judgement}"),
    }
}
