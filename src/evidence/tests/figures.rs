//! Figures from outside, to all digits they were given with.

use super::super::tail::{chi_square_tail, ln_factorial};
use super::*;

/// Equal when rounded to as many decimals as `published` was printed with.
fn check(found: f64, published: &str) {
    let decimals = published.split('.').nth(1).map_or(0, str::len);
    assert_eq!(format!("{found:.decimals$}"), published);
}

fn check_relative(found: f64, published: f64, within: f64) {
    assert!((found / published - 1.0).abs() < within, "{found:e} is not {published:e}");
}

#[test]
fn two_sided_sequence_has_the_published_half_width() {
    check(half_width(Sides::Two, 0.05, 5000, 1000, 1.0), "0.106375470");
}

#[test]
fn one_sided_sequence_has_the_published_half_width() {
    check(half_width(Sides::One, 0.05, 5000, 5000, 1.0), "0.039302328");
}

#[test]
fn chi_square_has_the_published_value_and_tail() {
    let (statistic, p_value) = chi_square(pair(821_588, 815_482), 0.5);
    check(statistic, "22.774369");
    // scipy.stats.chi2.sf(22.774369, 1)
    check_relative(p_value, 1.82e-6, 0.01);
}

#[test]
fn split_has_the_published_bayes_factor() {
    check(log_bayes_factor(pair(600, 400), 0.5), "16.88628066");
    check(log_bayes_factor(pair(400, 600), 0.5), "16.88628066");
}

#[test]
fn chi_square_tail_is_that_of_the_tables() {
    // The customary critical values, and both branches where they meet (erfc(2) = 0.004677734981047266).
    check_relative(chi_square_tail(3.841_458_820_694_124), 0.05, 1e-12);
    check_relative(chi_square_tail(6.634_896_601_021_213), 0.01, 1e-12);
    check_relative(chi_square_tail(10.827_566_170_662_733), 0.001, 1e-12);
    check_relative(chi_square_tail(8.0), 4.677_734_981_047_266e-3, 1e-12);
    check_relative(chi_square_tail(8.0 - 1e-12), 4.677_734_981_047_266e-3, 1e-11);
    assert_eq!(chi_square_tail(0.0), 1.0);
}

#[test]
fn ln_factorial_is_exact_where_the_series_begins() {
    let summed = |n: u64| (2..=n).map(|factor| (factor as f64).ln()).sum::<f64>();
    for n in [0, 1, 2, 63, 64, 65, 170, 1000, 100_000] {
        assert!((ln_factorial(n) - summed(n)).abs() <= 1e-11 * summed(n).max(1.0), "{n}");
    }
    // ln(170!), by arbitrary precision.
    check_relative(ln_factorial(170), 706.573_062_245_787_4, 1e-14);
}
