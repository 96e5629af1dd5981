//! A mixture sequential probability ratio: do more of the failures fall on gray than of the calls?
//!
//! If gray is no worse, each failure of a stratum falls on gray with a chance of at most `s`, gray's share of the stratum's
//! calls, whatever the failure rate is and however it moves: the rate cancels. If a gray call's odds to fail are
//! `f` times those of a stable call, the chance is `s f / (1 + s (f - 1))`. So with `a` of `e` failures on gray the likelihood ratio is
//! `f^a / (1 + s (f - 1))^e`, and its expectation under "no worse" is at most 1 in every stratum: given `e`, `a` is
//! hypergeometric, and by Hoeffding (1963, theorem 4) that is below the binomial in convex order. The product over
//! strata, averaged over a fixed set of `f`, is therefore a non-negative supermartingale, and by Ville's inequality it
//! ever reaches `1/alpha` with a chance of at most `alpha`. No approximation is in this; rare failures do not disturb it.
//!
//! M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data" (arXiv 2011.03567), test equal rates of two
//! versions the same way, with a Beta mixture; that one needs a constant split, a finite mixture does not.

use super::pair::Pair;

/// How many times a gray call's odds to fail may be those of a stable call; all are held equally likely.
const FACTORS: [f64; 12] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0, 150.0, 500.0];

/// The likelihood ratios for all factors, as logarithms.
#[derive(Debug, Clone, Default)]
pub struct FailureSplit {
    logs: [f64; FACTORS.len()],
    highest: f64,
}

impl FailureSplit {
    /// Adds a stratum's calls and failures.
    pub fn add(&mut self, calls: Pair<u64>, failures: Pair<u64>) {
        if calls.least() == 0 {
            return;
        }
        let share = calls.gray as f64 / calls.sum() as f64;
        let (on_gray, all) = (failures.gray as f64, failures.sum() as f64);
        for (log, factor) in self.logs.iter_mut().zip(FACTORS) {
            *log += on_gray * factor.ln() - all * (share * (factor - 1.0)).ln_1p();
        }
        self.highest = self.highest.max(self.log_ratio());
    }

    /// Logarithm of the mixture of likelihood ratios: above 0 speaks for "gray is worse".
    pub fn log_ratio(&self) -> f64 {
        let top = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.logs.iter().map(|log| (log - top).exp()).sum();
        top + (sum / FACTORS.len() as f64).ln()
    }

    /// The always-valid p-value: the chance that lanes of which gray is no worse ever show as much as was seen. It never rises.
    pub fn p_value(&self) -> f64 {
        (-self.highest).exp()
    }
}
