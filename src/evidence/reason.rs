//! A judgement as a line for people.

use std::fmt;

use super::ratio::SplitLook;
use super::verdict::{Judgement, Look, Missing, Verdict};

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.verdict)?;
        match (self.missing, self.errors.worse, self.slow.worse) {
            (Some(Missing::Calls), ..) => write!(
                f,
                "{} gray and {} stable calls compared, {} of each needed",
                self.calls.gray, self.calls.stable, self.min_calls
            ),
            (Some(Missing::Split), ..) => self.split.fmt(f),
            (None, true, false) => write!(f, "{}{}", self.errors, Calls(self)),
            (None, false, true) => write!(f, "{}{}", self.slow, Calls(self)),
            (None, ..) => write!(f, "{}; {}{}", self.errors, self.slow, Calls(self)),
        }
    }
}

/// The calls that a line's rates are shares of.
struct Calls<'a>(&'a Judgement);

impl fmt::Display for Calls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " (of {} gray and {} stable calls)", self.0.calls.gray, self.0.calls.stable)
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on gray {}, on stable {}: {:+.2} points, at least {:+.2} where over {:.2} counts; chance {} of {} allowed",
            self.figure.as_str(),
            Percent(self.rate.gray),
            Percent(self.rate.stable),
            100.0 * self.difference,
            100.0 * self.at_least,
            100.0 * self.minimum_effect,
            Chance(self.p_value),
            Chance(self.alpha),
        )
    }
}

impl fmt::Display for SplitLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.counts.sum();
        let share = |part: f64| if all == 0 { 0.0 } else { part / all as f64 };
        write!(
            f,
            "gray was given {} of {all} calls ({}), configured were {}; chance {} of that by luck",
            self.counts.gray,
            Percent(share(self.counts.gray as f64)),
            Percent(share(self.expected_gray)),
            Chance(self.p_value),
        )
    }
}

/// A share, 0 to 1.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} %", 100.0 * self.0)
    }
}

/// A chance: small ones by their power of ten.
struct Chance(f64);

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            chance if chance < 1e-99 => f.write_str("under 1e-99"),
            chance if chance < 0.001 => write!(f, "{chance:.0e}"),
            chance => write!(f, "{chance:.3}"),
        }
    }
}
