//! What both lanes did since the comparison began, kept so that only calls of the same time are held against each other.
//!
//! The counts come in as cumulative ones, so a look that is missed loses nothing. Calls gather in an open stratum until
//! each lane has [`STRATUM_CALLS`]; then the stratum is compared within itself, added to the sums, and forgotten. A change
//! of the split ends it early. Without strata, a ramp in the middle of an outage that hurts both lanes alike would make gray look
//! worse (Simpson's paradox): gray would have had most of its calls during the outage, stable most of its calls before.
//!
//! A stratum is of one route, too. Routes fail at rates of their own, and where gray's users ask other routes than stable's, or
//! a route has no gray for some of its calls, counts summed over all routes would blame gray for the mix.
//!
//! Nothing here looks at failures to decide when a stratum ends, which is what keeps the tests valid. Memory is fixed: a few
//! numbers a route.

use serde::Serialize;

use super::contrast::Contrast;
use super::pair::Pair;

/// Calls that each lane needs before a stratum is closed: few, so that a verdict is not kept waiting.
const STRATUM_CALLS: u64 = 20;

/// A stratum cut short counts only if each lane has this many calls: a variance takes two.
const FEWEST_CALLS: u64 = 2;

/// What one lane did, counted from any fixed moment on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls that ended.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those of them that took longer than the slow threshold.
    pub slow: u64,
}

impl Counts {
    /// What came since `seen`, and no more failures than calls: the counters are read one after another while workers
    /// write them, so a failure may be seen before its call; it is taken at the next look.
    /// `None` if a counter went back, which a restart does.
    fn since(self, seen: Counts) -> Option<Counts> {
        let calls = self.calls.checked_sub(seen.calls)?;
        let errors = self.errors.checked_sub(seen.errors)?.min(calls);
        let slow = self.slow.checked_sub(seen.slow)?.min(calls);
        Some(Counts { calls, errors, slow })
    }

    fn plus(self, more: Counts) -> Counts {
        Counts {
            calls: self.calls.saturating_add(more.calls),
            errors: self.errors.saturating_add(more.errors),
            slow: self.slow.saturating_add(more.slow),
        }
    }
}

/// The calls of one route that are in no stratum yet.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    seen: Pair<Counts>,
    calls: Pair<Counts>,
}

impl Open {
    fn starting_at(cumulative: Pair<Counts>) -> Self {
        Open { seen: cumulative, calls: Pair::default() }
    }

    /// Takes what came since the last look. If a counter went back, counting begins again from there: what happened between
    /// the last look and the restart cannot be known.
    fn observe(&mut self, cumulative: Pair<Counts>) {
        let stable = cumulative.stable.since(self.seen.stable);
        let gray = cumulative.gray.since(self.seen.gray);
        let (Some(stable), Some(gray)) = (stable, gray) else {
            self.seen = cumulative;
            return;
        };
        self.seen = Pair { stable: self.seen.stable.plus(stable), gray: self.seen.gray.plus(gray) };
        self.calls = Pair { stable: self.calls.stable.plus(stable), gray: self.calls.gray.plus(gray) };
    }

    fn has(&self, calls: u64) -> bool {
        self.calls.map(|counts| counts.calls).least() >= calls
    }
}

/// The sums over all strata, for errors and for slow calls.
#[derive(Debug, Clone)]
pub struct Tally {
    /// One for each route, in the order in which their counts are given.
    open: Vec<Open>,
    compared: Pair<Counts>,
    errors: Contrast,
    slow: Contrast,
}

impl Tally {
    /// A comparison that begins at these cumulative counts of its routes; what is in them already does not count.
    pub fn starting_at(cumulative: &[Pair<Counts>]) -> Self {
        Tally {
            open: cumulative.iter().copied().map(Open::starting_at).collect(),
            compared: Pair::default(),
            errors: Contrast::default(),
            slow: Contrast::default(),
        }
    }

    /// Takes what came since the last look, the routes in the order in which the comparison began with them. One that was
    /// not there then is not compared.
    pub fn observe(&mut self, cumulative: &[Pair<Counts>]) {
        for (route, cumulative) in cumulative.iter().enumerate().take(self.open.len()) {
            self.open[route].observe(*cumulative);
            if self.open[route].has(STRATUM_CALLS) {
                self.close_stratum(route);
            }
        }
    }

    /// To be called whenever the share of gray changes, after a last [`observe`](Self::observe): calls before and
    /// after are not of one split.
    pub fn split_changed(&mut self) {
        for route in 0..self.open.len() {
            if self.open[route].has(FEWEST_CALLS) {
                self.close_stratum(route);
            }
            self.open[route].calls = Pair::default();
        }
    }

    /// The calls that were compared so far, those of open strata left out.
    pub fn compared(&self) -> Pair<Counts> {
        self.compared
    }

    /// The sums for errors.
    pub fn errors(&self) -> &Contrast {
        &self.errors
    }

    /// The sums for slow calls.
    pub fn slow(&self) -> &Contrast {
        &self.slow
    }

    fn close_stratum(&mut self, route: usize) {
        let open = std::mem::take(&mut self.open[route].calls);
        let calls = open.map(|counts| counts.calls);
        self.errors.add(calls, open.map(|counts| counts.errors));
        self.slow.add(calls, open.map(|counts| counts.slow));
        self.compared =
            Pair { stable: self.compared.stable.plus(open.stable), gray: self.compared.gray.plus(open.gray) };
    }
}
