//! What rolls a release back, ready to be judged by.

use std::time::Duration;

use serde_json::{Value, json};

use crate::evidence::{Figure, Rules};

/// What rolls a release back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RollbackPlan {
    /// So many openings within so long.
    pub openings: Option<(u32, Duration)>,
    /// Gray is worse than stable, by these rules.
    pub worse: Option<Rules>,
    /// Whether openings and `worse` have to come together; only where both are given.
    pub both: bool,
    /// Figures and how bad they may be.
    pub figures: Vec<RollbackFigure>,
    /// The release's revision: a new one opens a latched release.
    pub revision: u32,
}

/// A figure and how bad it may be for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackFigure {
    /// The metric's name.
    pub metric: String,
    /// How it is compared with the threshold: `GE GT LE LT EQ NE`.
    pub operator: String,
    /// The figure at which it is bad.
    pub threshold: rust_decimal::Decimal,
    /// For how long without a break.
    pub duration: Duration,
}

impl RollbackPlan {
    /// Its limits, for people and logs; `null` where nothing rolls back by itself.
    pub fn thresholds(&self) -> Value {
        if self.openings.is_none() && self.worse.is_none() {
            return Value::Null;
        }
        json!({
            "openings": self.openings.map(|(openings, _)| openings),
            "within_seconds": self.openings.map(|(_, within)| within.as_secs_f64()),
            "worse": self.worse.as_ref().map(rules),
            "require": self.require(),
        })
    }

    /// The word for whether one reason is enough.
    pub fn require(&self) -> &'static str {
        if self.both { "all" } else { "any" }
    }
}

fn rules(rules: &Rules) -> Value {
    json!({
        "alpha": rules.alpha(),
        "min_effect_errors": rules.minimum_effect(Figure::Errors),
        "min_effect_slow": rules.minimum_effect(Figure::Slow),
        "min_calls": rules.min_calls(),
    })
}
