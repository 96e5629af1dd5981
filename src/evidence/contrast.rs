//! The difference of two rates, summed over strata with Mantel's and Haenszel's weights.
//!
//! For a stratum of `m` gray calls with `a` failures and `n` stable calls with `b`, the weight is `w = mn / (m + n)`, and
//! the estimate is `sum(w (a/m - b/n)) / sum(w)`. Two variances are kept and the larger one used: the unpooled one
//! is too small while the smaller lane has had no failure by luck, the pooled one (hypergeometric, as in the Mantel-Haenszel
//! test) is too small when gray is the small lane and bad.

use super::likelihood::FailureSplit;
use super::pair::Pair;
use super::sequence::{Sides, half_width};

/// Sums from which estimate, variance and both tests of one figure follow.
#[derive(Debug, Clone, Default)]
pub struct Contrast {
    calls: u64,
    weight: f64,
    difference: f64,
    unpooled: f64,
    pooled: f64,
    split: FailureSplit,
}

impl Contrast {
    /// Adds a stratum. Strata in which a lane has fewer than two calls say nothing of a difference and are left out.
    pub fn add(&mut self, calls: Pair<u64>, hits: Pair<u64>) {
        if calls.least() < 2 {
            return;
        }
        let Pair { stable: n, gray: m } = calls.map(|calls| calls as f64);
        let Pair { stable: b, gray: a } = hits.map(|hits| hits as f64);
        let (all, hit) = (m + n, a + b);
        let weight = m * n / all;
        let spread = |hits: f64, calls: f64| (hits / calls) * (1.0 - hits / calls) / (calls - 1.0);
        self.calls = self.calls.saturating_add(calls.sum());
        self.weight += weight;
        self.difference += weight * (a / m - b / n);
        self.unpooled += weight * weight * (spread(a, m) + spread(b, n));
        self.pooled += weight * hit * (all - hit) / (all * (all - 1.0));
        self.split.add(calls, hits);
    }

    /// The rate of gray less the rate of stable, -1 to 1; 0 before the first stratum.
    pub fn difference(&self) -> f64 {
        if self.weight > 0.0 { self.difference / self.weight } else { 0.0 }
    }

    /// Squared standard error of [`difference`](Self::difference); infinite before the first stratum.
    pub fn variance(&self) -> f64 {
        if self.weight > 0.0 { self.unpooled.max(self.pooled) / (self.weight * self.weight) } else { f64::INFINITY }
    }

    /// What the difference is at least, at all looks together, but for a chance of `alpha`: the lower end of the
    /// one-sided confidence sequence that is tightest at `tightest_at` calls of both lanes. -1 before the first stratum.
    pub fn at_least(&self, alpha: f64, tightest_at: u64) -> f64 {
        self.bound(Sides::One, alpha, tightest_at, -1.0)
    }

    /// Both ends of the two-sided confidence sequence.
    pub fn between(&self, alpha: f64, tightest_at: u64) -> (f64, f64) {
        (self.bound(Sides::Two, alpha, tightest_at, -1.0), self.bound(Sides::Two, alpha, tightest_at, 1.0))
    }

    /// Whether gray has more of the failures than of the calls.
    pub fn failure_split(&self) -> &FailureSplit {
        &self.split
    }

    /// The end of the interval on the side of `limit`, which it never passes.
    fn bound(&self, sides: Sides, alpha: f64, tightest_at: u64, limit: f64) -> f64 {
        if self.weight <= 0.0 {
            return limit;
        }
        // The sequence wants the variance of one call, both lanes' calls counted.
        let variance = self.variance() * self.calls as f64;
        let width = half_width(sides, alpha, tightest_at, self.calls, variance);
        (self.difference() + limit * width).clamp(-1.0, 1.0)
    }
}
