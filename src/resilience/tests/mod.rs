//! What the tests of this room share, and those of breaker, gate and window together.

mod drill;
mod model;

use std::time::Duration;

use super::{Plan, Thresholds, Tick, Timing};

/// The thresholds of the product.
pub(super) const THRESHOLDS: Thresholds = Thresholds {
    error_rate: 50,
    p99: Duration::from_millis(1200),
    mean: Duration::from_millis(800),
    slow_call: Duration::from_millis(1200),
    slow_call_rate: 300,
    min_calls: 50,
    min_calls_p99: 200,
};

/// The times of the product.
pub(super) const TIMING: Timing = Timing {
    window: Duration::from_secs(60),
    short_window: Duration::from_secs(10),
    open_for: Duration::from_secs(5),
    max_open: Duration::from_secs(300),
    trials: 10,
};

/// The plan of the product.
pub(super) fn plan() -> Plan {
    Plan::new(THRESHOLDS, TIMING).expect("these are valid")
}

/// So many milliseconds after the start.
pub(super) fn at(millis: u64) -> Tick {
    Tick::after_start(Duration::from_millis(millis))
}
