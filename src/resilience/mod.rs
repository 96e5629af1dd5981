//! Keeping a bad lane from hurting anyone for long. Pure: no clock, no chance, no I/O; `now` and seeds are arguments.
//!
//! Everything here is a state machine that is asked. Two kinds of threads ask: workers, for every request, which must
//! neither wait nor share a written cache line; and one merger, every [`MERGE_EVERY`], which alone changes a verdict.
//! [`Guard`] is what the workers hold of a route's lane and [`Watch`] what the merger holds; [`guarded`] makes the two.
//! One verdict therefore holds for the whole process.
//!
//! * [`classify`] says what counts as a failure.
//! * `window` remembers what happened lately: counts, sums and a quantile within 1 %.
//! * [`Bell`] tells the merger which lanes had calls, so that it leaves the others alone.
//! * `breaker` judges the window and opens, tries again, closes.
//! * [`Criterion`] is a figure of that window against a limit for a while; [`Meter`] is a window without a breaker.
//! * [`RetryBudget`], [`TokenBucket`], [`ConcurrencyLimit`], [`AdaptiveLimit`] bound what else could grow.
//! * [`Injection`] is a fault on purpose, and [`pick`] says which requests meet one.
//!
//! Time is a [`Tick`], which should not go backwards. Should it do so all the same, nothing here panics or waits for the
//! old time to come again: what was to happen a while after then, happens at most that while after now.

mod tick;

mod bell;

mod outcome;

mod window;

mod breaker;

mod meter;
mod sign;

mod retry_budget;

mod limits;

mod injection;

#[cfg(test)]
mod tests;

pub use bell::{Belfry, Bell, BellMaker, Knock};
pub use breaker::{
    Admission, Cause, Evidence, Guard, Lease, Plan, PlanError, Scope, State, Thresholds, Timing, Transition, Watch,
    guarded, guarded_with,
};
pub use injection::{Delay, DelayError, Injection, pick};
pub use limits::{AdaptiveError, AdaptiveLimit, AdaptivePermit, AdaptivePlan, ConcurrencyLimit, Permit, TokenBucket};
pub use meter::{Meter, MeterWatch, metered};
pub use outcome::{Answer, Fault, Load, Outcome, TooManyRequests, classify, load};
pub use retry_budget::RetryBudget;
pub use sign::{BadSince, Criterion, Relation, Sign, Unit};
pub use tick::Tick;
pub use window::{Figures, Merged, Rest};

/// How often the merger calls [`Watch::tick`]. A verdict is due 50 ms after the call that crosses a threshold; half of
/// that leaves the other half to a late timer.
pub const MERGE_EVERY: std::time::Duration = std::time::Duration::from_millis(25);
