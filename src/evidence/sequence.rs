//! Asymptotic confidence sequences: intervals that hold at all times together.
//!
//! I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic confidence
//! sequences", arXiv 2103.06476 (equations as numbered in version 7). With `n` observations of variance `v`:
//! - two-sided (9): `sqrt(v) sqrt(2 (n r + 1) / (n^2 r) ln(sqrt(n r + 1) / alpha))`,
//! - one-sided (134): `sqrt(v) sqrt(2 (n r + 1) / (n^2 r) ln(1 + sqrt(n r + 1) / (2 alpha)))`,
//!
//! where `r` is rho squared. It is the mixture of Robbins (1970) over a normal distribution of effects; `r` says how wide
//! that distribution is, and so at which `n` the interval is tightest.

/// Which differences the sequence has to hold against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// One bound: "at least".
    One,
    /// Two bounds: "between".
    Two,
}

/// The rho for which the sequence is tightest at about `tightest_at` observations (equation 161):
/// `sqrt((-2 ln a + ln(-2 ln a + 1)) / N)`, with `a = alpha` for two sides and `a = 2 alpha` for one. It is the
/// closed form that approximates the Lambert W solution; the exact minimum would be less than 0.01 % tighter there.
pub fn rho(sides: Sides, alpha: f64, tightest_at: u64) -> f64 {
    let alpha = match sides {
        Sides::One => 2.0 * alpha,
        Sides::Two => alpha,
    };
    let twice = -2.0 * alpha.ln();
    ((twice + (twice + 1.0).ln()) / tightest_at as f64).sqrt()
}

/// How far the mean of `observations`, each of this `variance`, may be from the truth: at all times together, but
/// for a chance of `alpha` (below 0.5). Infinite without observations.
pub fn half_width(sides: Sides, alpha: f64, tightest_at: u64, observations: u64, variance: f64) -> f64 {
    if observations == 0 {
        return f64::INFINITY;
    }
    let n = observations as f64;
    let n_rho2 = n * rho(sides, alpha, tightest_at).powi(2);
    let odds = match sides {
        Sides::One => 1.0 + (n_rho2 + 1.0).sqrt() / (2.0 * alpha),
        Sides::Two => (n_rho2 + 1.0).sqrt() / alpha,
    };
    (variance * 2.0 * (n_rho2 + 1.0) / (n * n_rho2) * odds.ln()).sqrt()
}
