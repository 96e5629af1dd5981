//! When there is a verdict, which, and what is said.

use super::*;
use crate::decide::Permille;

/// One look at a comparison of stable and gray, each (calls, errors, slow), decided as `decided` at `share` permille.
fn judged(stable: Counts, gray: Counts, decided: Pair<u64>, share: Option<u16>) -> Judgement {
    judged_by(&Rules::default(), stable, gray, decided, share)
}

fn judged_by(rules: &Rules, stable: Counts, gray: Counts, decided: Pair<u64>, share: Option<u16>) -> Judgement {
    let share = share.and_then(Permille::new);
    let mut comparison = Comparison::starting_at(&[Pair::default()], Pair::default(), share);
    comparison.observe(&[pair(stable, gray)], decided);
    comparison.judge(rules)
}

fn check(judgement: &Judgement, verdict: Verdict, reason: &str) {
    assert_eq!((judgement.verdict, judgement.to_string().as_str()), (verdict, reason));
}

#[test]
fn the_incident_is_worse() {
    let judgement = judged(counts(9000, 2, 10), counts(1000, 37, 1), pair(9000, 1000), Some(100));
    check(
        &judgement,
        Verdict::Worse,
        "worse: errors on gray 3.70 %, on stable 0.02 %: +3.68 points, at least +1.53 where over 0.10 counts; \
         chance 2e-33 of 0.005 allowed (of 1000 gray and 9000 stable calls)",
    );
}

#[test]
fn slower_alone_is_worse() {
    let judgement = judged(counts(9000, 9, 90), counts(1000, 1, 100), pair(9000, 1000), Some(100));
    assert_eq!(judgement.verdict, Verdict::Worse);
    assert!(judgement.slow.worse && !judgement.errors.worse);
    assert!(judgement.to_string().starts_with("worse: slow on gray 10.00 %, on stable 1.00 %"), "{judgement}");
}

#[test]
fn equal_lanes_are_not_worse_so_far_however_bad() {
    let judgement = judged(counts(9000, 8280, 9), counts(1000, 920, 1), pair(9000, 1000), Some(100));
    check(
        &judgement,
        Verdict::NotWorseSoFar,
        "not worse so far: errors on gray 92.00 %, on stable 92.00 %: +0.00 points, at least -3.25 where over 0.10 counts; \
         chance 1.000 of 0.005 allowed; slow on gray 0.10 %, on stable 0.10 %: +0.00 points, at least -0.38 where over 1.00 \
         counts; chance 1.000 of 0.005 allowed (of 1000 gray and 9000 stable calls)",
    );
}

#[test]
fn better_gray_is_not_worse_so_far() {
    let judgement = judged(counts(5000, 500, 500), counts(5000, 0, 0), pair(5000, 5000), Some(500));
    assert_eq!(judgement.verdict, Verdict::NotWorseSoFar);
    assert!(judgement.errors.difference < 0.0);
}

#[test]
fn a_certain_but_small_difference_is_not_worse() {
    let (stable, gray) = (counts(10_000_000, 1000, 0), counts(10_000_000, 5000, 0));
    let judgement = judged(stable, gray, pair(10_000_000, 10_000_000), Some(500));
    assert_eq!(judgement.verdict, Verdict::NotWorseSoFar);
    assert!(judgement.errors.p_value < 1e-9 && judgement.errors.at_least > 0.0);
    let rules = Rules::default().with_minimum_effect(Figure::Errors, 0.0).unwrap();
    let judgement = judged_by(&rules, stable, gray, pair(10_000_000, 10_000_000), Some(500));
    assert_eq!(judgement.verdict, Verdict::Worse);
}

#[test]
fn few_calls_are_no_data() {
    let judgement = judged(counts(9000, 0, 0), counts(99, 99, 99), pair(9000, 99), Some(11));
    check(&judgement, Verdict::NoData, "no data: 99 gray and 9000 stable calls compared, 100 of each needed");
    let judgement = judged(Counts::default(), Counts::default(), Pair::default(), None);
    check(&judgement, Verdict::NoData, "no data: 0 gray and 0 stable calls compared, 100 of each needed");
    assert_eq!(judgement.missing, Some(Missing::Calls));
}

#[test]
fn a_wrong_split_withholds_the_verdict() {
    let judgement = judged(counts(600, 0, 0), counts(400, 400, 0), pair(600, 400), Some(500));
    assert!(judgement.errors.worse);
    assert_eq!(judgement.missing, Some(Missing::Split));
    check(
        &judgement,
        Verdict::NoData,
        "no data: gray was given 400 of 1000 calls (40.00 %), configured were 50.00 %; chance 5e-8 of that by luck",
    );
}

#[test]
fn a_split_that_is_off_by_little_withholds_only_without_tolerance() {
    let bad = counts(8_154_820, 81_540, 0);
    let decided = pair(8_215_880, 8_154_820);
    let judgement = judged(counts(8_215_880, 0, 0), bad, decided, Some(500));
    assert_eq!(judgement.verdict, Verdict::Worse);
    let strict = Rules::default().with_split_tolerance(1.0).unwrap();
    let judgement = judged_by(&strict, counts(8_215_880, 0, 0), bad, decided, Some(500));
    assert_eq!(judgement.missing, Some(Missing::Split), "{judgement}");
}

#[test]
fn without_a_configured_share_the_split_is_not_checked() {
    for share in [None, Some(0), Some(1000)] {
        let judgement = judged(counts(600, 0, 0), counts(400, 400, 0), pair(600, 400), share);
        assert_eq!(judgement.verdict, Verdict::Worse);
        assert_eq!(judgement.split.p_value, 1.0);
    }
}

#[test]
fn a_ramp_is_no_mismatch() {
    let mut comparison = Comparison::starting_at(&[Pair::default()], Pair::default(), Permille::new(50));
    let rules = Rules::default().with_split_tolerance(1.0).unwrap();
    comparison.observe(&[Pair::default()], pair(9500, 500));
    comparison.split_changed(Permille::new(500));
    comparison.observe(&[Pair::default()], pair(14_500, 5500));
    let look = comparison.judge(&rules).split;
    assert!(!look.mismatch);
    assert_eq!((look.counts, look.expected_gray), (pair(14_500, 5500), 5500.0));
    // And a wrong split after it is still found.
    comparison.observe(&[Pair::default()], pair(16_500, 6500));
    assert!(comparison.judge(&rules).split.mismatch);
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let rules = Rules::default();
    for alpha in [0.0, -0.1, 0.5, 1.0, f64::NAN, f64::INFINITY] {
        assert!(rules.with_alpha(alpha).is_err() && rules.with_split_alpha(alpha).is_err(), "{alpha}");
    }
    for effect in [-0.1, 1.0, f64::NAN] {
        assert!(rules.with_minimum_effect(Figure::Slow, effect).is_err(), "{effect}");
    }
    for factor in [0.99, f64::NAN, f64::INFINITY] {
        assert!(rules.with_split_tolerance(factor).is_err(), "{factor}");
    }
    assert_eq!(rules.with_min_calls(1), Err(RulesError::MinCalls(1)));
    assert_eq!(rules.with_tightest_at(0), Err(RulesError::TightestAt));
    let message = rules.with_alpha(0.5).unwrap_err().to_string();
    assert_eq!(message, "alpha is 0.5, but has to be above 0 and below 0.5");
}

#[test]
fn a_judgement_is_written_as_evidence() {
    let judgement = judged(counts(9000, 2, 10), counts(1000, 37, 1), pair(9000, 1000), Some(100));
    let written = serde_json::to_value(judgement).unwrap();
    assert_eq!(written["verdict"], "worse");
    assert_eq!(written["calls"]["gray"], 1000);
    assert_eq!(written["errors"]["rate"]["gray"], 0.037);
    assert_eq!(written["split"]["mismatch"], false);
}
