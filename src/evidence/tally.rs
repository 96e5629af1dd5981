//! What both lanes did since the comparison began, kept so that only calls of the same time are held against each other.
//!
//! The counts come in as cumulative ones, so a look that is missed loses nothing. Calls gather in an open stratum until
//! each lane has [`STRATUM_CALLS`]; then the stratum is compared within itself, added to the sums, and forgotten. A change
//! of the split ends it early. Without strata, a ramp in the middle of an outage that hurts both lanes alike would make gray look
//! worse (Simpson's paradox): gray would have had most of its calls during the outage, stable most of its calls before.
//!
//! Nothing here looks at failures to decide when a stratum ends, which is what keeps the tests valid. Memory is fixed.

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

/// The sums over all strata, for errors and for slow calls.
#[derive(Debug, Clone)]
pub struct Tally {
    seen: Pair<Counts>,
    open: Pair<Counts>,
    compared: Pair<Counts>,
    errors: Contrast,
    slow: Contrast,
}

impl Tally {
    /// A comparison that begins at these cumulative counts; what is in them already does not count.
    pub fn starting_at(cumulative: Pair<Counts>) -> Self {
        Tally {
            seen: cumulative,
            open: Pair::default(),
            compared: Pair::default(),
            errors: Contrast::default(),
            slow: Contrast::default(),
        }
    }

    /// Takes what came since the last look. If a counter went back, counting begins again from there: what happened between
    /// the last look and the restart cannot be known.
    pub fn observe(&mut self, cumulative: Pair<Counts>) {
        let stable = cumulative.stable.since(self.seen.stable);
        let gray = cumulative.gray.since(self.seen.gray);
        let (Some(stable), Some(gray)) = (stable, gray) else {
            self.seen = cumulative;
            return;
        };
        self.seen = Pair { stable: self.seen.stable.plus(stable), gray: self.seen.gray.plus(gray) };
        self.open = Pair { stable: self.open.stable.plus(stable), gray: self.open.gray.plus(gray) };
        if self.open.map(|counts| counts.calls).least() >= STRATUM_CALLS {
            self.close_stratum();
        }
    }

    /// To be called whenever the share of gray changes, after a last [`observe`](Self::observe): calls before and
    /// after are not of one split.
    pub fn split_changed(&mut self) {
        if self.open.map(|counts| counts.calls).least() >= FEWEST_CALLS {
            self.close_stratum();
        }
        self.open = Pair::default();
    }

    /// The calls that were compared so far, those of the open stratum left out.
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

    fn close_stratum(&mut self) {
        let open = std::mem::take(&mut self.open);
        let calls = open.map(|counts| counts.calls);
        self.errors.add(calls, open.map(|counts| counts.errors));
        self.slow.add(calls, open.map(|counts| counts.slow));
        self.compared =
            Pair { stable: self.compared.stable.plus(open.stable), gray: self.compared.gray.plus(open.gray) };
    }
}
