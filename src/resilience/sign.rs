//! A figure of a lane against a limit, and for how long: what takes a release back besides breakers and the comparison.
//!
//! ```text
//!          the figure is bad                      bad for as long as was asked
//!   good ───────────────────▶ bad since some tick ────────────────────────────▶ reached
//!    ▲                           │
//!    └───────────────────────────┘
//!      it is good, or there are too few calls to tell: the time begins anew
//! ```

use std::time::Duration;

use super::breaker::Thresholds;
use super::tick::Tick;
use super::window::Figures;

/// A figure that the sidecar itself has of a lane, over the long window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Failed calls among the finished ones, 0 to 1.
    ErrorRate,
    /// Calls that did not fail among the finished ones, 0 to 1.
    SuccessRate,
    /// The 99th percentile of latency in seconds, within 1 %.
    P99,
    /// The mean latency in seconds.
    Mean,
    /// Slow calls among those that latency is judged over, 0 to 1.
    SlowCallRate,
    /// Finished calls.
    Calls,
    /// Failed calls.
    Failures,
    /// Calls that the client cancelled.
    Cancelled,
}

/// What a figure's number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share, 0 to 1.
    Share,
    /// A time in seconds.
    Seconds,
    /// A number of calls.
    Calls,
}

impl Sign {
    /// Every figure.
    pub const ALL: [Sign; 8] = [
        Sign::ErrorRate,
        Sign::SuccessRate,
        Sign::P99,
        Sign::Mean,
        Sign::SlowCallRate,
        Sign::Calls,
        Sign::Failures,
        Sign::Cancelled,
    ];

    /// The name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Sign::ErrorRate => "graylane_error_rate",
            Sign::SuccessRate => "graylane_success_rate",
            Sign::P99 => "graylane_p99_seconds",
            Sign::Mean => "graylane_mean_seconds",
            Sign::SlowCallRate => "graylane_slow_call_rate",
            Sign::Calls => "graylane_calls",
            Sign::Failures => "graylane_failures",
            Sign::Cancelled => "graylane_cancelled",
        }
    }

    /// The figure of this name; the prefix `graylane_` and the unit `_seconds` may be left out.
    pub fn named(name: &str) -> Option<Sign> {
        let short = |name: &str| name.strip_prefix("graylane_").unwrap_or(name).to_owned();
        let wanted = short(name);
        Self::ALL.into_iter().find(|sign| {
            let known = short(sign.as_str());
            wanted == known || known.strip_suffix("_seconds") == Some(wanted.as_str())
        })
    }

    /// What its number is.
    pub const fn unit(self) -> Unit {
        match self {
            Sign::ErrorRate | Sign::SuccessRate | Sign::SlowCallRate => Unit::Share,
            Sign::P99 | Sign::Mean => Unit::Seconds,
            Sign::Calls | Sign::Failures | Sign::Cancelled => Unit::Calls,
        }
    }

    /// Whether more of it is always worse.
    pub const fn is_worse_upward(self) -> bool {
        !matches!(self, Sign::SuccessRate | Sign::Calls)
    }

    /// The figure now; none where there are too few calls to tell.
    pub fn of(self, figures: &Figures, least: &Thresholds) -> Option<f64> {
        let enough = |calls: u64, least: u32| calls >= u64::from(least);
        let finished = enough(figures.finished, least.min_calls);
        let timed = enough(figures.timed, least.min_calls);
        match self {
            Sign::ErrorRate => figures.error_rate().filter(|_| finished),
            Sign::SuccessRate => {
                let good = figures.finished.saturating_sub(figures.failures);
                finished.then(|| good as f64 / figures.finished as f64)
            }
            Sign::P99 => {
                figures.p99.filter(|_| enough(figures.timed, least.min_calls_p99)).map(|p99| p99.as_secs_f64())
            }
            Sign::Mean => figures.mean().filter(|_| timed).map(|mean| mean.as_secs_f64()),
            Sign::SlowCallRate => figures.slow_rate().filter(|_| timed),
            Sign::Calls => Some(figures.finished as f64),
            Sign::Failures => Some(figures.failures as f64),
            Sign::Cancelled => Some(figures.cancelled as f64),
        }
    }
}

/// How a figure is compared with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// At the limit and above.
    Ge,
    /// Above.
    Gt,
    /// At the limit and below.
    Le,
    /// Below.
    Lt,
    /// At the limit.
    Eq,
    /// Anywhere else.
    Ne,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Relation; 6] = [Relation::Ge, Relation::Gt, Relation::Le, Relation::Lt, Relation::Eq, Relation::Ne];

    /// The word in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Relation::Ge => "GE",
            Relation::Gt => "GT",
            Relation::Le => "LE",
            Relation::Lt => "LT",
            Relation::Eq => "EQ",
            Relation::Ne => "NE",
        }
    }

    fn holds(self, figure: f64, limit: f64) -> bool {
        match self {
            Relation::Ge => figure >= limit,
            Relation::Gt => figure > limit,
            Relation::Le => figure <= limit,
            Relation::Lt => figure < limit,
            Relation::Eq => figure == limit,
            Relation::Ne => figure != limit,
        }
    }
}

/// When a figure is bad, and for how long it has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Criterion {
    /// The figure.
    pub sign: Sign,
    /// How it is compared.
    pub relation: Relation,
    /// With what, in the figure's unit.
    pub limit: f64,
    /// For how long it has to be bad without a break; nothing means at once.
    pub lasting: Duration,
}

/// Since when a figure is bad without a break.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BadSince(Option<Tick>);

impl BadSince {
    /// Takes the figure of now, which is none where nobody can tell. Whether it was bad for long enough.
    pub fn look(&mut self, criterion: &Criterion, figure: Option<f64>, now: Tick) -> bool {
        if !figure.is_some_and(|figure| criterion.relation.holds(figure, criterion.limit)) {
            self.0 = None;
            return false;
        }
        // A start that is still to come was noted before the clock went backwards.
        let since = self.0.filter(|since| *since <= now).unwrap_or(now);
        self.0 = Some(since);
        now.since(since) >= criterion.lasting
    }

    /// Whether the figure was bad at the last look, so that time alone may make it bad for long enough.
    pub fn is_bad(&self) -> bool {
        self.0.is_some()
    }

    /// What was seen does not count any more.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::tests::{THRESHOLDS, at};

    const GOOD: Figures = Figures {
        finished: 1000,
        failures: 50,
        cancelled: 7,
        timed: 1000,
        slow: 300,
        sum_nanos: 1000 * 250_000_000,
        p99: Some(Duration::from_millis(1500)),
    };

    #[test]
    fn every_figure_is_found_by_its_name_with_and_without_what_may_be_left_out() {
        for sign in Sign::ALL {
            assert_eq!(Sign::named(sign.as_str()), Some(sign));
            assert_eq!(Sign::named(&sign.as_str()["graylane_".len()..]), Some(sign));
        }
        assert_eq!((Sign::named("p99"), Sign::named("graylane_mean")), (Some(Sign::P99), Some(Sign::Mean)));
        for name in ["", "graylane_", "redis_hotkey_hit_rate", "error_rate_seconds", "_seconds"] {
            assert_eq!(Sign::named(name), None, "{name}");
        }
    }

    #[test]
    fn figures_are_shares_seconds_and_calls() {
        let of = |sign: Sign| sign.of(&GOOD, &THRESHOLDS);
        assert_eq!(Sign::ALL.map(of).map(Option::unwrap), [0.05, 0.95, 1.5, 0.25, 0.3, 1000.0, 50.0, 7.0]);
    }

    #[test]
    fn too_few_calls_tell_no_share_and_no_time_but_their_number() {
        let few = Figures { finished: 49, timed: 49, ..GOOD };
        let of = |sign: Sign| sign.of(&few, &THRESHOLDS).is_some();
        assert_eq!(Sign::ALL.map(of), [false, false, false, false, false, true, true, true]);
        let more = Figures { finished: 199, timed: 199, ..GOOD };
        assert_eq!((Sign::P99.of(&more, &THRESHOLDS), Sign::Mean.of(&more, &THRESHOLDS).is_some()), (None, true));
    }

    #[test]
    fn a_share_that_is_exactly_the_limit_is_at_it() {
        let holds = |relation: Relation| relation.holds(Sign::ErrorRate.of(&GOOD, &THRESHOLDS).unwrap(), 0.05);
        assert_eq!(Relation::ALL.map(holds), [true, false, true, false, true, false]);
    }

    /// A limit of 5 % errors for 10 s; what each look says.
    fn check(looks: &[(u64, Option<f64>)], expected: &[bool]) {
        let lasting = Duration::from_secs(10);
        let criterion = Criterion { sign: Sign::ErrorRate, relation: Relation::Ge, limit: 0.05, lasting };
        let mut since = BadSince::default();
        let found: Vec<bool> =
            looks.iter().map(|(second, figure)| since.look(&criterion, *figure, at(second * 1000))).collect();
        assert_eq!(found, expected, "{looks:?}");
    }

    #[test]
    fn it_has_to_be_bad_for_so_long_without_a_break() {
        let (bad, good) = (Some(0.05), Some(0.049));
        check(&[(0, bad), (9, bad), (10, bad), (11, bad)], &[false, false, true, true]);
        check(&[(0, bad), (9, good), (10, bad), (19, bad), (20, bad)], &[false, false, false, false, true]);
        check(&[(0, bad), (9, None), (10, bad), (19, bad)], &[false; 4]);
        check(&[(100, bad), (5, bad), (14, bad), (15, bad)], &[false, false, false, true]);
    }

    #[test]
    fn it_is_bad_from_the_first_bad_look_until_a_good_one() {
        let lasting = Duration::from_secs(10);
        let criterion = Criterion { sign: Sign::ErrorRate, relation: Relation::Ge, limit: 0.05, lasting };
        let mut since = BadSince::default();
        let looks =
            [(1, Some(0.04)), (2, Some(0.06)), (13, Some(0.06)), (14, Some(0.04)), (15, Some(0.06)), (16, None)];
        let bad = looks.map(|(second, figure)| {
            since.look(&criterion, figure, at(second * 1000));
            since.is_bad()
        });
        assert_eq!(bad, [false, true, true, false, true, false]);
    }

    #[test]
    fn without_a_duration_once_is_enough() {
        let lasting = Duration::ZERO;
        let criterion = Criterion { sign: Sign::Calls, relation: Relation::Lt, limit: 10.0, lasting };
        assert!(BadSince::default().look(&criterion, Some(9.0), at(1)));
        assert!(!BadSince::default().look(&criterion, Some(10.0), at(1)));
    }
}
