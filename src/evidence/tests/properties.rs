//! What has to hold for all figures.

use proptest::prelude::*;

use super::*;

/// A stratum: calls of both lanes, and failures among them.
fn stratum() -> impl Strategy<Value = (Pair<u64>, Pair<u64>)> {
    (2u64..500, 2u64..500).prop_flat_map(|(stable, gray)| {
        (Just(pair(stable, gray)), (0..=stable, 0..=gray).prop_map(|(stable, gray)| pair(stable, gray)))
    })
}

fn contrast(strata: &[(Pair<u64>, Pair<u64>)]) -> Contrast {
    let mut contrast = Contrast::default();
    for (calls, hits) in strata {
        contrast.add(*calls, *hits);
    }
    contrast
}

fn swapped(strata: &[(Pair<u64>, Pair<u64>)]) -> Vec<(Pair<u64>, Pair<u64>)> {
    let swap = |of: Pair<u64>| pair(of.gray, of.stable);
    strata.iter().map(|(calls, hits)| (swap(*calls), swap(*hits))).collect()
}

proptest! {
    #[test]
    fn interval_narrows_with_calls(n in 1u64..1_000_000, more in 1u64..100_000, alpha in 0.001..0.4f64) {
        for sides in [Sides::One, Sides::Two] {
            prop_assert!(half_width(sides, alpha, 5000, n + more, 1.0) < half_width(sides, alpha, 5000, n, 1.0));
        }
    }

    #[test]
    fn more_certainty_is_wider(n in 1u64..1_000_000, alpha in 0.001..0.2f64) {
        // Each where its own rho makes it tightest.
        for sides in [Sides::One, Sides::Two] {
            let wide = |alpha| half_width(sides, alpha, n, n, 1.0);
            prop_assert!(wide(alpha) > wide(alpha * 2.0));
        }
    }

    #[test]
    fn one_side_is_narrower_than_two_where_both_are_tightest(n in 1u64..1_000_000, alpha in 0.001..0.2f64) {
        prop_assert!(half_width(Sides::One, alpha, n, n, 1.0) < half_width(Sides::Two, alpha, n, n, 1.0));
    }

    #[test]
    fn sequence_is_wider_than_the_interval_of_a_single_look(n in 1u64..10_000_000) {
        // 1.959964 standard errors hold at one look; no look of a sequence may be narrower.
        prop_assert!(half_width(Sides::Two, 0.05, 5000, n, 1.0) > 1.959_964 / (n as f64).sqrt());
        prop_assert!(half_width(Sides::One, 0.05, 5000, n, 1.0) > 1.644_854 / (n as f64).sqrt());
    }

    #[test]
    fn difference_is_antisymmetric(strata in prop::collection::vec(stratum(), 1..20)) {
        let (this, that) = (contrast(&strata), contrast(&swapped(&strata)));
        prop_assert!((this.difference() + that.difference()).abs() < 1e-9);
        prop_assert!((this.variance() - that.variance()).abs() < 1e-9);
        let ((low, high), (other_low, other_high)) = (this.between(0.05, 5000), that.between(0.05, 5000));
        prop_assert!((low + other_high).abs() < 1e-9 && (high + other_low).abs() < 1e-9);
        prop_assert!(low <= this.difference() && this.difference() <= high);
        prop_assert!((-1.0..=1.0).contains(&low) && (-1.0..=1.0).contains(&high));
    }

    #[test]
    fn a_further_failure_on_gray_speaks_more_against_it((calls, hits) in stratum()) {
        prop_assume!(hits.gray < calls.gray);
        let (before, after) = (contrast(&[(calls, hits)]), contrast(&[(calls, pair(hits.stable, hits.gray + 1))]));
        prop_assert!(after.difference() > before.difference());
        // With all the same failures but one moved from stable to gray, the ratio rises too.
        if hits.stable > 0 {
            let moved = contrast(&[(calls, pair(hits.stable - 1, hits.gray + 1))]);
            prop_assert!(moved.failure_split().log_ratio() > before.failure_split().log_ratio());
        }
    }

    #[test]
    fn order_of_strata_does_not_matter(strata in prop::collection::vec(stratum(), 1..20)) {
        let backwards: Vec<_> = strata.iter().rev().copied().collect();
        let (this, that) = (contrast(&strata), contrast(&backwards));
        prop_assert!((this.difference() - that.difference()).abs() < 1e-9);
        prop_assert!((this.failure_split().log_ratio() - that.failure_split().log_ratio()).abs() < 1e-6);
    }

    #[test]
    fn likelihood_ratio_expects_at_most_one_when_gray_is_no_worse(
        (stable, gray) in (2u64..40, 2u64..40), failures in 0u64..80,
    ) {
        // All ways in which the failures can fall on the calls, each equally likely: the hypergeometric law, in full.
        let failures = failures.min(stable + gray);
        let mut expected = 0.0;
        for on_gray in failures.saturating_sub(stable)..=failures.min(gray) {
            let ways = choose(gray, on_gray) + choose(stable, failures - on_gray) - choose(stable + gray, failures);
            let split = contrast(&[(pair(stable, gray), pair(failures - on_gray, on_gray))]);
            expected += (ways + split.failure_split().log_ratio()).exp();
        }
        prop_assert!(expected <= 1.0 + 1e-9, "{expected}");
    }

    #[test]
    fn bayes_factor_expects_one_under_the_configured_split(n in 1u64..60, share in 0.01..0.99f64) {
        let mut expected = 0.0;
        for gray in 0..=n {
            let chance = choose(n, gray) + gray as f64 * share.ln() + (n - gray) as f64 * (1.0 - share).ln();
            expected += (chance + log_bayes_factor(pair(n - gray, gray), share)).exp();
        }
        prop_assert!((expected - 1.0).abs() < 1e-9, "{expected}");
    }

    #[test]
    fn p_values_never_rise(strata in prop::collection::vec(stratum(), 1..40)) {
        let mut contrast = Contrast::default();
        let mut split = SplitWatch::starting_at(Pair::default(), crate::decide::Permille::new(500));
        let (mut cumulative, mut before, mut split_before) = (pair(0, 0), 1.0, 1.0);
        for (calls, hits) in strata {
            contrast.add(calls, hits);
            cumulative = pair(cumulative.stable + calls.stable, cumulative.gray + calls.gray);
            split.observe(cumulative);
            let (now, split_now) = (contrast.failure_split().p_value(), split.look(&Rules::default()).p_value);
            prop_assert!((0.0..=1.0).contains(&now) && now <= before);
            prop_assert!((0.0..=1.0).contains(&split_now) && split_now <= split_before);
            (before, split_before) = (now, split_now);
        }
    }

    #[test]
    fn nothing_panics_and_nothing_is_no_number(
        looks in prop::collection::vec((any::<[u64; 6]>(), any::<[u64; 2]>(), any::<bool>(), 0u16..=1000), 0..20),
    ) {
        let mut comparison = Comparison::starting_at(&[Pair::default()], Pair::default(), None);
        for (c, decided, changed, share) in looks {
            comparison.observe(
                &[pair(counts(c[0], c[1], c[2]), counts(c[3], c[4], c[5]))],
                pair(decided[0], decided[1]),
            );
            if changed {
                comparison.split_changed(crate::decide::Permille::new(share));
            }
            let judgement = comparison.judge(&Rules::default());
            for look in [judgement.errors, judgement.slow] {
                prop_assert!(!look.difference.is_nan() && !look.at_least.is_nan() && !look.p_value.is_nan());
            }
            prop_assert!(!judgement.split.p_value.is_nan());
            prop_assert!(!judgement.to_string().contains("NaN"));
        }
    }
}

/// Logarithm of the number of ways to take `k` of `n`.
fn choose(n: u64, k: u64) -> f64 {
    let ln_factorial = super::super::tail::ln_factorial;
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}
