//! The verdict and the figures it rests on.

use serde::Serialize;

use super::pair::Pair;
use super::ratio::SplitLook;
use super::rules::{Figure, Rules};
use super::tally::Tally;

/// What the comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Gray is worse than stable, by more than the minimum effect.
    #[serde(rename = "worse")]
    Worse,
    /// Nothing was shown against gray. It is no proof that gray is good.
    #[serde(rename = "not worse so far")]
    NotWorseSoFar,
    /// There is nothing to judge by.
    #[serde(rename = "no data")]
    NoData,
}

impl Verdict {
    /// The words in configuration, log and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Worse => "worse",
            Verdict::NotWorseSoFar => "not worse so far",
            Verdict::NoData => "no data",
        }
    }
}

/// Why there is nothing to judge by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// A lane has too few calls.
    Calls,
    /// Calls are not split as configured, so the lanes may differ in their users already.
    Split,
}

/// One figure of both lanes. Rates are shares of the calls, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Look {
    /// Which.
    pub figure: Figure,
    /// How many such calls there were.
    pub hits: Pair<u64>,
    /// Their share of the lane's calls; 0 without calls.
    pub rate: Pair<f64>,
    /// Gray less stable, calls of the same time held against each other; so it may differ from the difference of the rates.
    pub difference: f64,
    /// What the difference at least is.
    pub at_least: f64,
    /// From what difference on it matters.
    pub minimum_effect: f64,
    /// The chance of seeing this, at any time, if gray were no worse.
    pub p_value: f64,
    /// The chance allowed.
    pub alpha: f64,
    /// Whether this figure says that gray is worse.
    pub worse: bool,
}

/// The verdict with everything that led to it. Displays as one readable line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judgement {
    /// What it says.
    pub verdict: Verdict,
    /// Why there is none, where there is none.
    pub missing: Option<Missing>,
    /// Calls compared.
    pub calls: Pair<u64>,
    /// Calls each lane has to have.
    pub min_calls: u64,
    /// The error rates.
    pub errors: Look,
    /// The shares over the slow threshold.
    pub slow: Look,
    /// The sample-ratio check.
    pub split: SplitLook,
}

pub(super) fn judge(tally: &Tally, split: SplitLook, rules: &Rules) -> Judgement {
    let calls = tally.compared().map(|counts| counts.calls);
    let errors = look(Figure::Errors, tally, rules);
    let slow = look(Figure::Slow, tally, rules);
    let missing = if calls.least() < rules.min_calls() {
        Some(Missing::Calls)
    } else if split.mismatch {
        Some(Missing::Split)
    } else {
        None
    };
    let verdict = match missing {
        Some(_) => Verdict::NoData,
        None if errors.worse || slow.worse => Verdict::Worse,
        None => Verdict::NotWorseSoFar,
    };
    Judgement { verdict, missing, calls, min_calls: rules.min_calls(), errors, slow, split }
}

fn look(figure: Figure, tally: &Tally, rules: &Rules) -> Look {
    let compared = tally.compared();
    let (contrast, hits) = match figure {
        Figure::Errors => (tally.errors(), compared.map(|counts| counts.errors)),
        Figure::Slow => (tally.slow(), compared.map(|counts| counts.slow)),
    };
    let share = |hits: u64, calls: u64| if calls == 0 { 0.0 } else { hits as f64 / calls as f64 };
    let alpha = rules.alpha_of_each();
    let minimum_effect = rules.minimum_effect(figure);
    let at_least = contrast.at_least(alpha, rules.tightest_at());
    let p_value = contrast.failure_split().p_value();
    Look {
        figure,
        hits,
        rate: Pair { stable: share(hits.stable, compared.stable.calls), gray: share(hits.gray, compared.gray.calls) },
        difference: contrast.difference(),
        at_least,
        minimum_effect,
        p_value,
        alpha,
        worse: p_value <= alpha && at_least > minimum_effect,
    }
}
