//! Gray against stable, release by release: what workers counted is compared once a second, told, and acted upon where the
//! configuration says so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::merger::Merging;
use crate::beat;
use crate::decide::{Level, Permille, ReleaseId};
use crate::evidence::{Comparison, Counts, Judgement, Pair, Rules, Verdict};
use crate::latch::Cause;
use crate::live::Live;
use crate::proxy::Snapshot;

/// How long from one look to the next. The tests hold at all looks together; more of them would cost, not help.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The judgement of each release, at the place of its id. Those that nobody ever asked for share one, as far as their rules are the
/// same, and another list costs a pointer for each.
pub(super) type Judgements = Live<Vec<Arc<Judgement>>>;

/// What compares.
pub(super) struct Judge {
    /// At the places of the releases. Those that nobody ever asked for have none: of ten thousand that is most.
    compared: Vec<Option<Box<Compared>>>,
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
        let mut judge = Self { compared: Vec::new(), judgements: Arc::new(Live::new(Arc::default())), next: None };
        judge.begin(snapshot, |_, _| None);
        judge
    }

    /// Goes on with the releases of another configuration. What was counted of one with the same revision on the same
    /// routes stays, and what follows is a stratum of its own where others see gray from now on.
    pub(super) fn take_over(&mut self, old: &Snapshot, new: &Snapshot) {
        let mut before: HashMap<&str, Box<Compared>> = HashMap::new();
        for (release, compared) in releases(old).zip(std::mem::take(&mut self.compared)) {
            let asked = || (!is_untouched(old, release)).then(|| Compared::from_nothing(old, release));
            if let Some(compared) = compared.or_else(asked) {
                before.insert(&old.settings.program.release(release).name, compared);
            }
        }
        self.begin(new, |release, fresh| {
            let before = before.remove(&*new.settings.program.release(release).name)?;
            before.is_of(fresh).then_some(before)
        });
    }

    /// Begins with every release; `before` gives what goes on.
    fn begin(&mut self, snapshot: &Snapshot, mut before: impl FnMut(ReleaseId, &Compared) -> Option<Box<Compared>>) {
        let count = snapshot.settings.rollbacks.len();
        let (mut compared, mut judgements) = (Vec::with_capacity(count), Vec::<Arc<Judgement>>::with_capacity(count));
        let mut nothing: Option<Arc<Judgement>> = None;
        for release in releases(snapshot) {
            // Its cumulative counts are those of the routes' names, and may be older than this revision.
            let fresh = Compared::begin(snapshot, release);
            let one = match before(release, &fresh) {
                Some(before) => Some(Box::new(before.goes_on(fresh, snapshot))),
                None if is_untouched(snapshot, release) => {
                    let known = nothing.take().filter(|known| **known == fresh.judgement);
                    let known = known.unwrap_or_else(|| Arc::new(fresh.judgement));
                    judgements.push(known.clone());
                    nothing = Some(known);
                    compared.push(None);
                    continue;
                }
                None => Some(Box::new(fresh)),
            };
            judgements.extend(one.iter().map(|one| Arc::new(one.judgement)));
            compared.push(one);
        }
        self.compared = compared;
        self.judgements.publish(Arc::new(judgements));
    }

    /// What was found last, for whoever wants to know.
    pub(super) fn judgements(&self) -> Arc<Judgements> {
        self.judgements.clone()
    }

    /// Looks if it is time to. Returns when that is again.
    pub(super) fn tick(&mut self, now: Instant, merging: &Merging<'_>) -> Instant {
        if let Some(next) = self.next.filter(|next| now < *next) {
            return next;
        }
        let next = beat::after(now, LOOK_EVERY);
        self.next = Some(next);
        let snapshot = merging.snapshot;
        let mut changed = Vec::new();
        for (place, (release, compared)) in releases(snapshot).zip(&mut self.compared).enumerate() {
            if compared.is_none() && (snapshot.is_latched(release) || !is_untouched(snapshot, release)) {
                *compared = Some(Compared::from_nothing(snapshot, release));
            }
            if let Some(compared) = compared
                && compared.look(now, merging)
            {
                changed.push((place, compared.judgement));
            }
        }
        if !changed.is_empty() {
            let mut all = (*self.judgements.get()).clone();
            changed.into_iter().for_each(|(place, judgement)| all[place] = Arc::new(judgement));
            self.judgements.publish(Arc::new(all));
        }
        next
    }
}

/// Every release of a configuration, in order.
fn releases(snapshot: &Snapshot) -> impl Iterator<Item = ReleaseId> {
    (0..snapshot.settings.rollbacks.len()).filter_map(ReleaseId::from_index)
}

impl Compared {
    /// Of a release that was not asked for when its configuration came into force, and is now.
    fn from_nothing(snapshot: &Snapshot, release: ReleaseId) -> Box<Self> {
        let mut compared = Self::begin(snapshot, release);
        let nothing = vec![Pair::default(); compared.routes.len()];
        compared.comparison = Comparison::starting_at(&nothing, Pair::default(), compared.share);
        compared.judgement = compared.comparison.judge(&compared.rules);
        Box::new(compared)
    }

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

/// One line for each change of the verdict.
fn tell(release: &str, judgement: &Judgement) {
    match judgement.verdict {
        Verdict::Worse => tracing::warn!(release, "gray against stable: {judgement}"),
        Verdict::NotWorseSoFar | Verdict::NoData => tracing::info!(release, "gray against stable: {judgement}"),
    }
}
