//! Releases that were taken back, and stay so: the latch of each, its evidence, and the folder where both outlive the
//! process.
//!
//! A latched release serves nobody but developers, until a person or another revision opens it. Workers read a
//! [`Flag`], one relaxed load for a decision; everything else happens beside the data path, under a lock that no
//! request takes. Nothing here judges a lane: whoever does calls [`Latches::opening`] or [`Latches::latch`].
//!
//! Keeping state is never a condition of serving. Where the folder cannot be written, latches hold for as long as the
//! process does, and log, metric and admin port say so. Where it cannot be read, nobody knows which releases were
//! taken back, so all of them start latched: the worst that does is to show everybody stable.

mod evidence;
mod openings;

mod book;
mod store;

mod keeping;
mod latches;

#[cfg(test)]
mod tests;

pub use book::{Latched, Paused, ReleaseState};
pub use evidence::{Cause, Evidence, FailedCall, Incident, LaneFigures, MOST_FAILURES, Moment};
pub use keeping::Keeping;
pub use latches::{Action, Change, Flag, LatchError, Latches, Opening, Outcome};
pub use openings::Openings;
