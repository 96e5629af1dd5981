//! What a breaker is set to.

use std::time::Duration;

use crate::resilience::tick::nanos_of;
use crate::resilience::window::Limits;

/// The figures at which a lane is taken out: any one of them is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Opens at this share of failures and above, in permille.
    pub error_rate: u16,
    /// Opens above this 99th percentile.
    pub p99: Duration,
    /// Opens above this mean.
    pub mean: Duration,
    /// A call longer than this is slow.
    pub slow_call: Duration,
    /// Opens at this share of slow calls and above, in permille.
    pub slow_call_rate: u16,
    /// Fewest calls of a window before it is judged.
    pub min_calls: u32,
    /// Fewest calls of a window before its 99th percentile is judged; below 200 one slow call would decide.
    pub min_calls_p99: u32,
}

/// The times of a breaker, and how many trials it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The sliding window.
    pub window: Duration,
    /// The short window, that trips too.
    pub short_window: Duration,
    /// How long it stays open the first time; doubled each time after.
    pub open_for: Duration,
    /// The longest it stays open.
    pub max_open: Duration,
    /// Calls that are let through half-open, and then judged.
    pub trials: u32,
}

/// What a breaker is set to, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    thresholds: Thresholds,
    timing: Timing,
}

/// A setting that makes no breaker. Names are those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A share at which every call would open.
    #[error("`{what}` of 0 would open at every call")]
    ShareZero {
        /// The setting.
        what: &'static str,
    },
    /// A share that is never reached.
    #[error("`{what}` of {permille} permille is over 100 % and would never open")]
    ShareOverWhole {
        /// The setting.
        what: &'static str,
        /// What was given.
        permille: u16,
    },
    /// A number or time that has to be positive.
    #[error("`{what}` must not be 0")]
    Zero {
        /// The setting.
        what: &'static str,
    },
    /// A window shorter than the time in which it is looked at.
    #[error("`{what}` of {given:?} is too short; windows are judged every {least:?}")]
    WindowTooShort {
        /// The setting.
        what: &'static str,
        /// What was given.
        given: Duration,
        /// The shortest there is.
        least: Duration,
    },
    /// A time over what is possible.
    #[error("`{what}` of {given:?} is too long; at most {most:?} are possible")]
    TooLong {
        /// The setting.
        what: &'static str,
        /// What was given.
        given: Duration,
        /// The longest there is.
        most: Duration,
    },
    /// The short window is the longer one.
    #[error("`short_window` is longer than `window`")]
    ShortWindowLonger,
    /// The longest open time is shorter than the first.
    #[error("`max_open` is shorter than `open_for`")]
    MaxOpenShorter,
    /// More trials than there is room for.
    #[error("`trials` of {given} is too many; at most {most} are possible")]
    TooManyTrials {
        /// What was given.
        given: u32,
        /// The most there are.
        most: u32,
    },
}

impl Plan {
    /// What a configuration that says nothing means: of breakers, and of lanes that have none and are metered.
    pub const DEFAULT: Plan = Plan {
        thresholds: Thresholds {
            error_rate: 50,
            p99: Duration::from_millis(1200),
            mean: Duration::from_millis(800),
            slow_call: Duration::from_millis(1200),
            slow_call_rate: 300,
            min_calls: 50,
            min_calls_p99: 200,
        },
        timing: Timing {
            window: Duration::from_secs(60),
            short_window: Duration::from_secs(10),
            open_for: Duration::from_secs(5),
            max_open: Duration::from_secs(300),
            trials: 10,
        },
    };
    /// The shortest window: a verdict is due within this time.
    pub const SHORTEST_WINDOW: Duration = Duration::from_millis(50);
    /// The longest window, so that its sums cannot overflow.
    pub const LONGEST_WINDOW: Duration = Duration::from_secs(3600);
    /// The longest time of any other kind.
    pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
    /// The most trials.
    pub const MOST_TRIALS: u32 = 1000;

    /// Checks the settings; the first that is wrong is the error.
    ///
    /// # Errors
    ///
    /// Whatever [`PlanError`] names.
    pub fn new(thresholds: Thresholds, timing: Timing) -> Result<Plan, PlanError> {
        share("error_rate", thresholds.error_rate)?;
        share("slow_call_rate", thresholds.slow_call_rate)?;
        time("p99", thresholds.p99)?;
        time("mean", thresholds.mean)?;
        time("slow_call", thresholds.slow_call)?;
        count("min_calls", thresholds.min_calls)?;
        count("min_calls_p99", thresholds.min_calls_p99)?;
        window("window", timing.window)?;
        window("short_window", timing.short_window)?;
        time("open_for", timing.open_for)?;
        time("max_open", timing.max_open)?;
        count("trials", timing.trials)?;
        if timing.short_window > timing.window {
            return Err(PlanError::ShortWindowLonger);
        }
        if timing.max_open < timing.open_for {
            return Err(PlanError::MaxOpenShorter);
        }
        if timing.trials > Self::MOST_TRIALS {
            return Err(PlanError::TooManyTrials { given: timing.trials, most: Self::MOST_TRIALS });
        }
        Ok(Plan { thresholds, timing })
    }

    /// The figures at which it opens.
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Its times.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// How long a trial may take before it is given up: a call that hangs reports when its time-out strikes, so this
    /// only ends what got lost. It is over the slow limit, so what is given up counts as a slow call.
    pub fn lease(&self) -> Duration {
        (self.thresholds.slow_call * 2).max(Duration::from_secs(30))
    }

    /// What workers compare a latency with. A cancelled call over the lowest limit may be what a figure misses.
    pub(in crate::resilience) fn limits(&self) -> Limits {
        let Thresholds { p99, mean, slow_call, .. } = self.thresholds;
        Limits { slow_nanos: nanos_of(slow_call), telling_nanos: nanos_of(p99.min(mean).min(slow_call)) }
    }
}

fn share(what: &'static str, permille: u16) -> Result<(), PlanError> {
    match permille {
        0 => Err(PlanError::ShareZero { what }),
        1..=1000 => Ok(()),
        _ => Err(PlanError::ShareOverWhole { what, permille }),
    }
}

fn time(what: &'static str, given: Duration) -> Result<(), PlanError> {
    if given.is_zero() {
        return Err(PlanError::Zero { what });
    }
    if given > Plan::LONGEST {
        return Err(PlanError::TooLong { what, given, most: Plan::LONGEST });
    }
    Ok(())
}

fn window(what: &'static str, given: Duration) -> Result<(), PlanError> {
    if given < Plan::SHORTEST_WINDOW {
        return Err(PlanError::WindowTooShort { what, given, least: Plan::SHORTEST_WINDOW });
    }
    if given > Plan::LONGEST_WINDOW {
        return Err(PlanError::TooLong { what, given, most: Plan::LONGEST_WINDOW });
    }
    Ok(())
}

fn count(what: &'static str, given: u32) -> Result<(), PlanError> {
    if given == 0 { Err(PlanError::Zero { what }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::tests::{THRESHOLDS, TIMING};

    fn check(change: impl Fn(&mut Thresholds, &mut Timing), expected: &str) {
        let (mut thresholds, mut timing) = (THRESHOLDS, TIMING);
        change(&mut thresholds, &mut timing);
        assert_eq!(Plan::new(thresholds, timing).unwrap_err().to_string(), expected);
    }

    #[test]
    fn settings_that_make_no_breaker_are_refused_by_name() {
        check(|it, _| it.error_rate = 0, "`error_rate` of 0 would open at every call");
        check(|it, _| it.error_rate = 1001, "`error_rate` of 1001 permille is over 100 % and would never open");
        check(
            |it, _| it.slow_call_rate = u16::MAX,
            "`slow_call_rate` of 65535 permille is over 100 % and would never open",
        );
        check(|it, _| it.p99 = Duration::ZERO, "`p99` must not be 0");
        check(
            |it, _| it.mean = Duration::MAX,
            &format!("`mean` of {:?} is too long; at most 604800s are possible", Duration::MAX),
        );
        check(|it, _| it.min_calls = 0, "`min_calls` must not be 0");
        check(|it, _| it.min_calls_p99 = 0, "`min_calls_p99` must not be 0");
        check(|_, it| it.trials = 0, "`trials` must not be 0");
        check(|_, it| it.trials = 1001, "`trials` of 1001 is too many; at most 1000 are possible");
        check(
            |_, it| it.short_window = Duration::from_millis(49),
            "`short_window` of 49ms is too short; windows are judged every 50ms",
        );
        check(
            |_, it| it.window = Duration::from_secs(3601),
            "`window` of 3601s is too long; at most 3600s are possible",
        );
        check(|_, it| it.short_window = Duration::from_secs(61), "`short_window` is longer than `window`");
        check(|_, it| it.max_open = Duration::from_secs(4), "`max_open` is shorter than `open_for`");
    }

    #[test]
    fn all_and_a_single_permille_are_shares() {
        for permille in [1, 1000] {
            let thresholds = Thresholds { error_rate: permille, slow_call_rate: permille, ..THRESHOLDS };
            assert!(Plan::new(thresholds, TIMING).is_ok());
        }
    }

    #[test]
    fn a_trial_that_is_given_up_counts_as_slow() {
        let thresholds = Thresholds { slow_call: Duration::from_secs(40), ..THRESHOLDS };
        let plan = Plan::new(thresholds, TIMING).unwrap();
        assert!(plan.lease() > thresholds.slow_call);
    }
}
