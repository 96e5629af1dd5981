//! One comparison from its beginning to its end: of one revision of a release, over all its routes.

use super::pair::Pair;
use super::ratio::SplitWatch;
use super::rules::Rules;
use super::tally::{Counts, Tally};
use super::verdict::{Judgement, judge};
use crate::decide::Permille;

/// Tally and sample-ratio check, fed together. Its memory is fixed by the number of routes. A new revision begins a new one.
#[derive(Debug, Clone)]
pub struct Comparison {
    tally: Tally,
    split: SplitWatch,
}

impl Comparison {
    /// Begins at these cumulative counts. `answered` are the calls each lane answered or failed, by route; `decided` the decisions
    /// that the bucket made (see [`SplitWatch`]); `share` is the configured permille of gray, absent where the bucket
    /// does not decide alone.
    pub fn starting_at(answered: &[Pair<Counts>], decided: Pair<u64>, share: Option<Permille>) -> Self {
        Comparison { tally: Tally::starting_at(answered), split: SplitWatch::starting_at(decided, share) }
    }

    /// Takes what came since the last look.
    pub fn observe(&mut self, answered: &[Pair<Counts>], decided: Pair<u64>) {
        self.tally.observe(answered);
        self.split.observe(decided);
    }

    /// To be called after a last [`observe`](Self::observe) when who gets gray changes: another permille, another level.
    pub fn split_changed(&mut self, share: Option<Permille>) {
        self.tally.split_changed();
        self.split.expect(share);
    }

    /// The counts per lane that were compared so far.
    pub fn compared(&self) -> Pair<Counts> {
        self.tally.compared()
    }

    /// The verdict now. Asking often costs no certainty.
    pub fn judge(&self, rules: &Rules) -> Judgement {
        judge(&self.tally, self.split.look(rules), rules)
    }
}
