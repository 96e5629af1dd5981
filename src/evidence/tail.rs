//! The two special functions that the sample-ratio check takes. `std` has neither in its stable part, and a crate of
//! distributions for forty lines is not worth its lines in the lock file.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// Below it the factorial is multiplied out; from it on three terms of Stirling's series are exact to 1e-15.
const STIRLING_FROM: u64 = 64;

/// Where the error function's series hands over to the continued fraction.
const SERIES_BELOW: f64 = 2.0;

/// `ln(n!)`.
pub(super) fn ln_factorial(n: u64) -> f64 {
    if n < STIRLING_FROM {
        return (2..=n).map(|factor| (factor as f64).ln()).sum();
    }
    let n = n as f64;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * n * n)) / (n * n)) / n;
    n * n.ln() - n + 0.5 * (2.0 * PI * n).ln() + series
}

/// The chance that a chi-square variable with one degree of freedom is at least `value`: `erfc(sqrt(value / 2))`.
pub(super) fn chi_square_tail(value: f64) -> f64 {
    let x = (value / 2.0).max(0.0).sqrt();
    if x < SERIES_BELOW { 1.0 - erf_series(x) } else { erfc_fraction(x) }
}

/// `erf(x) = 2/sqrt(pi) exp(-x^2) sum(2^k x^(2k+1) / (1 * 3 * ... * (2k+1)))`: all terms positive, so nothing cancels.
fn erf_series(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for k in 1..100 {
        term *= 2.0 * x * x / (2.0 * f64::from(k) + 1.0);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// `erfc(x) = exp(-x^2)/sqrt(pi) / (x + (1/2) / (x + (2/2) / (x + (3/2) / ...)))`, from the inside out.
fn erfc_fraction(x: f64) -> f64 {
    let below = (1..=100).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    (-x * x).exp() / PI.sqrt() / below
}
