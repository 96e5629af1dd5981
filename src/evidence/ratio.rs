//! The sample-ratio check: were calls split between the lanes as configured? If not, something chooses who gets gray
//! (a crash that loses calls, a client that retries one lane only), and the lanes are not alike to begin with.
//!
//! [`chi_square`] is the classic test for one look at the end. [`SplitWatch`] is its sequential form, valid at every look:
//! M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", arXiv 2011.03567. Every split is
//! held equally likely (Dirichlet(1, 1)) against the configured one; the Bayes factor is a martingale under the
//! configured one, so `1 / (its highest value)` is a p-value that may be looked at at any time.

use serde::Serialize;

use super::pair::Pair;
use super::rules::Rules;
use super::tail::{chi_square_tail, ln_factorial};
use crate::decide::Permille;

/// Pearson's statistic for these counts under `gray_share` (0 to 1, both excluded), and its p-value at one degree
/// of freedom. For a single look only.
pub fn chi_square(counts: Pair<u64>, gray_share: f64) -> (f64, f64) {
    let all = counts.sum() as f64;
    if all == 0.0 {
        return (0.0, 1.0);
    }
    let term = |count: u64, share: f64| (count as f64 - all * share).powi(2) / (all * share);
    let statistic = term(counts.stable, 1.0 - gray_share) + term(counts.gray, gray_share);
    (statistic, chi_square_tail(statistic))
}

/// Logarithm of the Bayes factor of "any split" (Dirichlet(1, 1)) against `gray_share`: the logarithm of
/// `a! b! / (a + b + 1)! / (share^a (1 - share)^b)`.
pub fn log_bayes_factor(counts: Pair<u64>, gray_share: f64) -> f64 {
    let any = ln_factorial(counts.stable) + ln_factorial(counts.gray) - ln_factorial(counts.sum().saturating_add(1));
    any - counts.stable as f64 * (1.0 - gray_share).ln() - counts.gray as f64 * gray_share.ln()
}

/// What the sample-ratio check says now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SplitLook {
    /// What was counted, while there was a split to check.
    pub counts: Pair<u64>,
    /// Gray calls that the configured shares let expect among them.
    pub expected_gray: f64,
    /// Always-valid p-value; 1 if there is nothing to check.
    pub p_value: f64,
    /// Whether the split is not the configured one.
    pub mismatch: bool,
}

/// The sequential sample-ratio check.
///
/// It counts decisions, not answers: those that the bucket made (`bucket`, `bucket_out`). Developers, groups and regions
/// are no part of the configured split, and a request that the breaker or the shield moved was still decided for gray.
#[derive(Debug, Clone)]
pub struct SplitWatch {
    share: Option<f64>,
    seen: Pair<u64>,
    /// Under the present share.
    counts: Pair<u64>,
    /// Under earlier shares: their counts, the gray calls expected among them, and the sum of their logarithms.
    earlier: Pair<u64>,
    earlier_expected: f64,
    earlier_log: f64,
    highest_log: f64,
}

impl SplitWatch {
    /// A check that begins at these cumulative counts. Without a share, or with one of 0 or 1000, there is nothing to check.
    pub fn starting_at(cumulative: Pair<u64>, share: Option<Permille>) -> Self {
        SplitWatch {
            share: checkable(share),
            seen: cumulative,
            counts: Pair::default(),
            earlier: Pair::default(),
            earlier_expected: 0.0,
            earlier_log: 0.0,
            highest_log: 0.0,
        }
    }

    /// Takes what was decided since the last look. A counter that went back begins again from there.
    pub fn observe(&mut self, cumulative: Pair<u64>) {
        let stable = cumulative.stable.checked_sub(self.seen.stable);
        let gray = cumulative.gray.checked_sub(self.seen.gray);
        self.seen = cumulative;
        if let (Some(stable), Some(gray), Some(share)) = (stable, gray, self.share) {
            self.counts.stable = self.counts.stable.saturating_add(stable);
            self.counts.gray = self.counts.gray.saturating_add(gray);
            self.highest_log = self.highest_log.max(self.earlier_log + log_bayes_factor(self.counts, share));
        }
    }

    /// From now on this share is the configured one. The factors of all shares are multiplied, which keeps the p-value valid.
    pub fn expect(&mut self, share: Option<Permille>) {
        if let Some(before) = self.share {
            self.earlier_log += log_bayes_factor(self.counts, before);
            self.earlier_expected += self.counts.sum() as f64 * before;
            self.earlier.stable = self.earlier.stable.saturating_add(self.counts.stable);
            self.earlier.gray = self.earlier.gray.saturating_add(self.counts.gray);
            self.counts = Pair::default();
        }
        self.share = checkable(share);
    }

    /// Whether the split is the configured one. A mismatch has to be certain (p-value at most the rules' alpha for the
    /// split) and to matter (the odds of gray off by the rules' tolerance).
    pub fn look(&self, rules: &Rules) -> SplitLook {
        let counts = Pair {
            stable: self.earlier.stable.saturating_add(self.counts.stable),
            gray: self.earlier.gray.saturating_add(self.counts.gray),
        };
        let expected_gray = self.earlier_expected + self.counts.sum() as f64 * self.share.unwrap_or(0.0);
        let p_value = (-self.highest_log).exp();
        let mismatch = p_value <= rules.split_alpha() && off_by(counts, expected_gray) >= rules.split_tolerance();
        SplitLook { counts, expected_gray, p_value, mismatch }
    }
}

fn checkable(share: Option<Permille>) -> Option<f64> {
    let thousandths = share?.get();
    (1..1000).contains(&thousandths).then(|| f64::from(thousandths) / 1000.0)
}

/// By what factor the odds of gray are off, 1 and up, to either side.
fn off_by(counts: Pair<u64>, expected_gray: f64) -> f64 {
    let all = counts.sum() as f64;
    if all == 0.0 {
        return 1.0;
    }
    let counted = counts.gray as f64 / counts.stable as f64;
    let factor = counted / (expected_gray / (all - expected_gray));
    factor.max(1.0 / factor)
}
