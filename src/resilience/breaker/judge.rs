//! Figures against thresholds. Shares are compared as whole numbers, so that 5 of 100 is 5 %.

use super::machine::Cause;
use super::plan::{Plan, Thresholds};
use crate::resilience::window::{Figures, Merged};

/// What was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The short window.
    Short,
    /// The sliding window.
    Long,
    /// The trials of half-open.
    Trials,
}

/// The first figure that is bad, of the short window or else of the long one.
pub(super) fn windows(plan: &Plan, merged: &Merged) -> Option<(Cause, Scope, Figures)> {
    let thresholds = plan.thresholds();
    [(Scope::Short, merged.short), (Scope::Long, merged.long)]
        .into_iter()
        .find_map(|(scope, figures)| Some((worst(thresholds, &figures, thresholds.min_calls)?, scope, figures)))
}

/// The first figure that is bad. Each needs `min_calls` of those calls that it is made of, the percentile its own number.
pub(super) fn worst(thresholds: &Thresholds, figures: &Figures, min_calls: u32) -> Option<Cause> {
    let enough = |calls: u64, least: u32| calls >= u64::from(least);
    if enough(figures.finished, min_calls) && reaches(figures.failures, figures.finished, thresholds.error_rate) {
        return Some(Cause::ErrorRate);
    }
    if !enough(figures.timed, min_calls) {
        return None;
    }
    if enough(figures.timed, thresholds.min_calls_p99) && figures.p99.is_some_and(|p99| p99 > thresholds.p99) {
        return Some(Cause::P99);
    }
    if u128::from(figures.sum_nanos) > thresholds.mean.as_nanos() * u128::from(figures.timed) {
        return Some(Cause::Mean);
    }
    reaches(figures.slow, figures.timed, thresholds.slow_call_rate).then_some(Cause::SlowCalls)
}

fn reaches(part: u64, whole: u64, permille: u16) -> bool {
    u128::from(part) * 1000 >= u128::from(whole) * u128::from(permille)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::resilience::tests::THRESHOLDS;

    const MILLI: u64 = 1_000_000;

    /// A hundred good calls of 100 ms.
    const GOOD: Figures = Figures {
        finished: 1000,
        failures: 0,
        cancelled: 0,
        timed: 1000,
        slow: 0,
        sum_nanos: 1000 * 100 * MILLI,
        p99: Some(Duration::from_millis(120)),
    };

    fn check(figures: Figures, expected: Option<Cause>) {
        assert_eq!(worst(&THRESHOLDS, &figures, THRESHOLDS.min_calls), expected, "{figures:?}");
    }

    #[test]
    fn each_figure_alone_is_enough_and_just_below_is_not() {
        check(GOOD, None);
        check(Figures { failures: 49, ..GOOD }, None);
        check(Figures { failures: 50, ..GOOD }, Some(Cause::ErrorRate));
        check(Figures { p99: Some(Duration::from_millis(1200)), ..GOOD }, None);
        check(Figures { p99: Some(Duration::from_millis(1201)), ..GOOD }, Some(Cause::P99));
        check(Figures { sum_nanos: 1000 * 800 * MILLI, ..GOOD }, None);
        check(Figures { sum_nanos: 1000 * 800 * MILLI + 1, ..GOOD }, Some(Cause::Mean));
        check(Figures { slow: 299, ..GOOD }, None);
        check(Figures { slow: 300, ..GOOD }, Some(Cause::SlowCalls));
    }

    #[test]
    fn too_few_calls_are_no_data() {
        let few = |calls, failures| Figures { finished: calls, timed: calls, failures, sum_nanos: 0, ..GOOD };
        check(few(49, 49), None);
        check(few(50, 50), Some(Cause::ErrorRate));
        check(Figures::default(), None);
        let slow_p99 = |calls| Figures { p99: Some(Duration::from_secs(2)), ..few(calls, 0) };
        check(slow_p99(199), None);
        check(slow_p99(200), Some(Cause::P99));
    }

    #[test]
    fn calls_that_were_all_cancelled_late_are_judged_by_their_time() {
        let hung = Figures { finished: 0, cancelled: 50, timed: 50, sum_nanos: 50 * 900 * MILLI, p99: None, ..GOOD };
        check(hung, Some(Cause::Mean));
        check(Figures { timed: 49, ..hung }, None);
    }

    #[test]
    fn one_failure_beside_many_cancelled_calls_is_not_an_error_rate() {
        check(Figures { finished: 1, failures: 1, cancelled: 60, timed: 61, sum_nanos: 0, p99: None, slow: 0 }, None);
    }

    #[test]
    fn the_short_window_is_named_first() {
        let plan = crate::resilience::tests::plan();
        let bad = Figures { failures: 1000, ..GOOD };
        let scope = |long, short| windows(&plan, &Merged { long, short }).map(|(_, scope, _)| scope);
        assert_eq!(scope(GOOD, GOOD), None);
        assert_eq!(scope(bad, GOOD), Some(Scope::Long));
        assert_eq!(scope(GOOD, bad), Some(Scope::Short));
        assert_eq!(scope(bad, bad), Some(Scope::Short));
    }
}
