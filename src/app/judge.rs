//! Gray against stable, release by release: what workers counted is compared once a second, told, and acted upon where the
//! configuration says so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::merger::Merging;
use crate::decide::{Level, Permille, ReleaseId};
use crate::evidence::{Comparison, Counts, Judgement, Pair, Rules, Verdict};
use crate::latch::Cause;
use crate::live::Live;
use crate::proxy::Snapshot;

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
    revision: u32,
    rules: Rules,
    share: Option<Permille>,
    /// What makes the bucket.
    salt: String,
    /// The names of the routes that are compared, in the order in which their counts are told.
    routes: Vec<String>,
    comparison: Comparison,
    judgement: Judgement,
    /// The release is latched: nothing is compared, and what was found stands. A new comparison begins once it is open.
    is_over: bool,
    /// Nothing was looked at yet.
    is_new: bool,
}

impl Judge {
    /// Begins with nothing seen.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let ids = (0..snapshot.settings.rollbacks.len()).filter_map(ReleaseId::from_index);
        let compared: Vec<Compared> = ids.map(|release| Compared::begin(snapshot, release)).collect();
        let judgements = Arc::new(Live::new(Arc::new(judgements(&compared))));
        Self { compared, judgements, next: None }
    }

    /// Goes on with the releases of another configuration. What was counted of one with the same revision on the same
    /// routes stays, and what follows is a stratum of its own where others see gray from now on.
    pub(super) fn take_over(&mut self, old: &Snapshot, new: &Snapshot) {
        let mut before: HashMap<&str, Compared> = HashMap::new();
        for compared in std::mem::take(&mut self.compared) {
            before.insert(&old.settings.program.release(compared.release).name, compared);
        }
        let ids = (0..new.settings.rollbacks.len()).filter_map(ReleaseId::from_index);
        let compared = ids.map(|release| {
            // Its cumulative counts are those of the routes' names, and may be older than this revision.
            let fresh = Compared::begin(new, release);
            match before.remove(&*new.settings.program.release(release).name) {
                Some(before) if before.is_of(&fresh) => before.goes_on(fresh, new),
                _ => fresh,
            }
        });
        self.compared = compared.collect();
        self.judgements.publish(Arc::new(judgements(&self.compared)));
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
        let mut is_changed = false;
        for compared in &mut self.compared {
            is_changed |= compared.look(now, merging);
        }
        if is_changed {
            self.judgements.publish(Arc::new(judgements(&self.compared)));
        }
    }
}

impl Compared {
    fn begin(snapshot: &Snapshot, release: ReleaseId) -> Self {
        let settings = &snapshot.settings;
        let spec = settings.program.release(release);
        let rollback = &settings.rollbacks[release.index()];
        let rules = rollback.worse.unwrap_or_default();
        // Only there the bucket decides who of the rest sees gray.
        let share = (spec.level == Level::Permille).then_some(spec.permille);
        let split = snapshot.release_series(release).split();
        let comparison = Comparison::starting_at(&answered(snapshot, release), split, share);
        let judgement = comparison.judge(&rules);
        let (revision, salt) = (rollback.revision, spec.salt.clone());
        let routes = snapshot.compared_routes(release).map(|route| route.plan.name.to_string()).collect();
        Self { release, revision, rules, share, salt, routes, comparison, judgement, is_over: false, is_new: true }
    }

    /// Whether what was counted says something about the next one: the same revision on the same routes.
    fn is_of(&self, next: &Self) -> bool {
        (self.revision, &self.routes) == (next.revision, &next.routes)
    }

    /// The same comparison under another configuration of the revision.
    fn goes_on(mut self, fresh: Self, new: &Snapshot) -> Self {
        let series = new.release_series(fresh.release);
        if !self.is_over {
            self.comparison.observe(&answered(new, fresh.release), series.split());
            if (self.share, &self.salt) != (fresh.share, &fresh.salt) {
                self.comparison.split_changed(fresh.share);
            }
        }
        Self { comparison: self.comparison, judgement: self.judgement, is_over: self.is_over, ..fresh }
    }

    /// Answers whether there was anything to look at.
    fn look(&mut self, now: Instant, merging: &Merging<'_>) -> bool {
        let snapshot = merging.snapshot;
        if snapshot.is_latched(self.release) {
            self.is_over = true;
            return false;
        }
        let is_new = std::mem::take(&mut self.is_new);
        if !is_new && !self.is_over && is_untouched(snapshot, self.release) {
            return false;
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
        true
    }
}

fn answered(snapshot: &Snapshot, release: ReleaseId) -> Vec<Pair<Counts>> {
    snapshot.compared_routes(release).map(|route| route.series.answered()).collect()
}

/// Whether nobody ever asked for the release: there is nothing to compare.
fn is_untouched(snapshot: &Snapshot, release: ReleaseId) -> bool {
    snapshot.release_series(release).is_untouched()
        && snapshot.compared_routes(release).all(|route| route.series.is_untouched())
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
