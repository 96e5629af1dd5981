//! How certain a verdict has to be, and from what size a difference matters.

use serde::Serialize;
use thiserror::Error;

/// What is compared. Each gets half of alpha, so that looking at both does not double the false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// The share of calls that failed.
    Errors,
    /// The share of calls that took longer than the slow threshold.
    Slow,
}

impl Figure {
    /// All of them.
    pub const ALL: [Figure; 2] = [Figure::Errors, Figure::Slow];

    /// The word in configuration, metrics and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Figure::Errors => "errors",
            Figure::Slow => "slow",
        }
    }
}

/// Why a rule cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum RulesError {
    /// An alpha of 0 never says anything, one of 0.5 is a coin.
    #[error("alpha is {0}, but has to be above 0 and below 0.5")]
    Alpha(f64),
    /// A share of calls.
    #[error("the minimum effect is {0}, but has to be from 0 to below 1: it is a share of the calls")]
    MinimumEffect(f64),
    /// A variance takes two calls.
    #[error("the minimum of calls is {0}, but has to be at least 2")]
    MinCalls(u64),
    /// The sequence is tightest somewhere.
    #[error("the number of calls to be tightest at is 0, but has to be at least 1")]
    TightestAt,
    /// A factor that odds are off by.
    #[error("the tolerance of the split is {0}, but has to be at least 1, which is none")]
    SplitTolerance(f64),
}

/// The rules of a comparison; what is not set has its default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    alpha: f64,
    errors_by: f64,
    slow_by: f64,
    min_calls: u64,
    tightest_at: u64,
    split_alpha: f64,
    split_tolerance: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            alpha: 0.01,
            errors_by: 0.001,
            slow_by: 0.01,
            min_calls: 100,
            tightest_at: 5000,
            split_alpha: 0.001,
            split_tolerance: 1.25,
        }
    }
}

impl Rules {
    /// The chance of a false alarm over the whole comparison, both figures together. Default 0.01.
    pub fn with_alpha(self, alpha: f64) -> Result<Self, RulesError> {
        Ok(Rules { alpha: chance(alpha)?, ..self })
    }

    /// By how much gray's share of such calls has to be over stable's to matter. Default 0.001 for errors (a tenth of a
    /// percentage point), 0.01 for slow calls.
    pub fn with_minimum_effect(self, figure: Figure, effect: f64) -> Result<Self, RulesError> {
        if !(0.0..1.0).contains(&effect) {
            return Err(RulesError::MinimumEffect(effect));
        }
        Ok(match figure {
            Figure::Errors => Rules { errors_by: effect, ..self },
            Figure::Slow => Rules { slow_by: effect, ..self },
        })
    }

    /// Calls each lane needs before there is a verdict. Default 100.
    pub fn with_min_calls(self, calls: u64) -> Result<Self, RulesError> {
        if calls < 2 { Err(RulesError::MinCalls(calls)) } else { Ok(Rules { min_calls: calls, ..self }) }
    }

    /// At how many calls of both lanes the confidence sequence is tightest. Default 5000.
    pub fn with_tightest_at(self, calls: u64) -> Result<Self, RulesError> {
        if calls == 0 { Err(RulesError::TightestAt) } else { Ok(Rules { tightest_at: calls, ..self }) }
    }

    /// The chance that a right split is ever taken for a wrong one. Default 0.001.
    pub fn with_split_alpha(self, alpha: f64) -> Result<Self, RulesError> {
        Ok(Rules { split_alpha: chance(alpha)?, ..self })
    }

    /// By what factor the odds of gray have to be off before a certain mismatch withholds the verdict. Default 1.25: users
    /// are split, requests are counted, and the requests of one user go one way. 1 is right where each user counts once.
    pub fn with_split_tolerance(self, factor: f64) -> Result<Self, RulesError> {
        if factor.is_finite() && factor >= 1.0 {
            Ok(Rules { split_tolerance: factor, ..self })
        } else {
            Err(RulesError::SplitTolerance(factor))
        }
    }

    /// The chance of a false alarm over the whole comparison.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// The part of alpha that one figure gets.
    pub fn alpha_of_each(&self) -> f64 {
        self.alpha / Figure::ALL.len() as f64
    }

    /// From what difference on this figure matters.
    pub fn minimum_effect(&self, figure: Figure) -> f64 {
        match figure {
            Figure::Errors => self.errors_by,
            Figure::Slow => self.slow_by,
        }
    }

    /// Calls each lane needs before there is a verdict.
    pub fn min_calls(&self) -> u64 {
        self.min_calls
    }

    /// At how many calls of both lanes the confidence sequence is tightest.
    pub fn tightest_at(&self) -> u64 {
        self.tightest_at
    }

    /// The chance that a right split is ever taken for a wrong one.
    pub fn split_alpha(&self) -> f64 {
        self.split_alpha
    }

    /// By what factor the odds of gray have to be off.
    pub fn split_tolerance(&self) -> f64 {
        self.split_tolerance
    }
}

fn chance(alpha: f64) -> Result<f64, RulesError> {
    if alpha > 0.0 && alpha < 0.5 { Ok(alpha) } else { Err(RulesError::Alpha(alpha)) }
}
