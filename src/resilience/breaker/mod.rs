//! Opens a lane that hurts, tries it again, closes.
//!
//! [`Plan`] is what a breaker is set to, checked. `gate` is the part that workers ask, without a lock; `machine` is the
//! state machine, turned by the merger alone, with its diagram at the top of the file; `judge` compares figures with
//! thresholds. [`Guard`] and [`Watch`] put gate, machine and window together so that they cannot be used apart.

mod plan;

mod guard;

mod machine;

mod gate;
mod judge;

pub use gate::{Admission, Lease};
pub use guard::{Guard, Watch, guarded, guarded_with};
pub use judge::Scope;
pub use machine::{Cause, Evidence, State, Transition};
pub use plan::{Plan, PlanError, Thresholds, Timing};
