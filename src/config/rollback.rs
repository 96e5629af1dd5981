//! What rolls a release back, ready to be judged by.

use std::time::Duration;

use serde_json::{Value, json};

use crate::evidence::{Figure, Rules};
use crate::resilience::Criterion;

/// What rolls a release back.
#[derive(Debug, Clone, PartialEq)]
pub struct RollbackPlan {
    /// So many openings within so long.
    pub openings: Option<(u32, Duration)>,
    /// Gray is worse than stable, by these rules.
    pub worse: Option<Rules>,
    /// Whether openings and `worse` have to come together; only where both are given.
    pub both: bool,
    /// Figures and how bad they may be.
    pub figures: Vec<RollbackFigure>,
    /// How long exchanges that run on gray may live once the release was taken back.
    pub gray_drain: Duration,
    /// The release's revision: a new one opens a latched release.
    pub revision: u32,
}

impl Default for RollbackPlan {
    fn default() -> Self {
        RollbackPlan {
            openings: None,
            worse: None,
            both: false,
            figures: Vec::new(),
            gray_drain: GRAY_DRAIN,
            revision: 0,
        }
    }
}

/// The default of `gray_drain`.
const GRAY_DRAIN: Duration = Duration::from_secs(300);

/// A figure and how bad it may be for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct RollbackFigure {
    /// The metric's name as written.
    pub metric: String,
    /// How it is compared with the threshold: `GE GT LE LT EQ NE`.
    pub operator: String,
    /// The figure at which it is bad.
    pub threshold: rust_decimal::Decimal,
    /// For how long without a break.
    pub duration: Duration,
    /// The same as it is judged by; none where the metric is not one of the sidecar's own figures, and nobody judges.
    pub criterion: Option<Criterion>,
}

impl RollbackFigure {
    /// It, for people and logs. The threshold is in the figure's unit: a share from 0 to 1, seconds, or calls.
    pub fn shown(&self) -> Value {
        json!({
            "metric": self.metric,
            "operator": self.operator,
            "threshold": self.threshold.normalize().to_string(),
            "duration_seconds": self.duration.as_secs_f64(),
            "enforced": self.criterion.is_some(),
        })
    }
}

impl RollbackPlan {
    /// Its limits, for people and logs; `null` where nothing rolls back by itself.
    pub fn thresholds(&self) -> Value {
        if !self.is_given() {
            return Value::Null;
        }
        json!({
            "openings": self.openings.map(|(openings, _)| openings),
            "within_seconds": self.openings.map(|(_, within)| within.as_secs_f64()),
            "worse": self.worse.as_ref().map(rules),
            "require": self.require(),
            "figures": self.figures.iter().map(RollbackFigure::shown).collect::<Vec<_>>(),
        })
    }

    /// Whether anything is named that takes the release back.
    pub fn is_given(&self) -> bool {
        self.openings.is_some() || self.worse.is_some() || !self.figures.is_empty()
    }

    /// Whether anybody wants to know what its lanes did lately.
    pub fn wants_figures(&self) -> bool {
        self.worse.is_some() || self.figures.iter().any(|figure| figure.criterion.is_some())
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
