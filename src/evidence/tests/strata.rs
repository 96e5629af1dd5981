//! How calls get into the tally.

use super::*;
use crate::decide::Permille;

#[test]
fn what_was_counted_before_does_not_count() {
    let mut tally = Tally::starting_at(&[pair(counts(1000, 500, 500), counts(1000, 900, 900))]);
    tally.observe(&[pair(counts(1100, 500, 500), counts(1100, 900, 900))]);
    assert_eq!(tally.compared(), pair(counts(100, 0, 0), counts(100, 0, 0)));
    assert_eq!(tally.errors().difference(), 0.0);
}

#[test]
fn a_missed_look_loses_no_call() {
    let steps = [(30, 1), (60, 3), (90, 6)];
    let fed = |steps: &[(u64, u64)]| {
        let mut tally = Tally::starting_at(&[Pair::default()]);
        for (calls, errors) in steps {
            tally.observe(&[pair(counts(*calls, 0, 0), counts(*calls, *errors, 0))]);
        }
        tally
    };
    assert_eq!(fed(&steps).compared(), fed(&steps[2..]).compared());
    assert!((fed(&steps).errors().difference() - fed(&steps[2..]).errors().difference()).abs() < 1e-12);
}

#[test]
fn a_stratum_waits_for_the_smaller_lane() {
    let mut tally = Tally::starting_at(&[Pair::default()]);
    tally.observe(&[pair(counts(500, 0, 0), counts(19, 0, 0))]);
    assert_eq!(tally.compared().stable.calls, 0);
    tally.observe(&[pair(counts(520, 0, 0), counts(20, 0, 0))]);
    assert_eq!(tally.compared(), pair(counts(520, 0, 0), counts(20, 0, 0)));
}

#[test]
fn a_counter_that_goes_back_begins_again() {
    let mut tally = Tally::starting_at(&[Pair::default()]);
    tally.observe(&[pair(counts(100, 10, 0), counts(100, 10, 0))]);
    tally.observe(&[pair(counts(5, 0, 0), counts(200, 20, 0))]);
    assert_eq!(tally.compared().gray.calls, 100);
    tally.observe(&[pair(counts(105, 1, 0), counts(300, 30, 0))]);
    assert_eq!(tally.compared(), pair(counts(200, 11, 0), counts(200, 20, 0)));
}

#[test]
fn a_failure_seen_before_its_call_is_taken_with_it() {
    let mut tally = Tally::starting_at(&[Pair::default()]);
    tally.observe(&[pair(counts(20, 0, 0), counts(20, 21, 0))]);
    assert_eq!(tally.compared().gray, counts(20, 20, 0));
    tally.observe(&[pair(counts(40, 0, 0), counts(40, 21, 0))]);
    assert_eq!(tally.compared().gray, counts(40, 21, 0));
}

#[test]
fn an_outage_of_both_lanes_during_a_ramp_is_nobodys_fault() {
    // An hour at 10 permille without an error; then 500 permille, and half of all calls fail, in both lanes.
    let mut comparison = Comparison::starting_at(&[Pair::default()], Pair::default(), Permille::new(10));
    let healthy = pair(counts(990_000, 0, 0), counts(10_000, 0, 0));
    comparison.observe(&[healthy], pair(990_000, 10_000));
    comparison.split_changed(Permille::new(500));
    let outage = pair(counts(1_010_000, 10_000, 0), counts(30_000, 10_000, 0));
    comparison.observe(&[outage], pair(1_010_000, 30_000));
    let judgement = comparison.judge(&Rules::default());
    // Summed over everything gray fails 33 % and stable 1 %.
    assert!(judgement.errors.rate.gray > 0.33 && judgement.errors.rate.stable < 0.01);
    assert_eq!(judgement.verdict, Verdict::NotWorseSoFar, "{judgement}");
    assert_eq!(judgement.errors.difference, 0.0);
    assert!(!judgement.split.mismatch);
}
