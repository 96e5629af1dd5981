//! Logged requests against two configurations: which of them would change their lane.
//!
//! A log does not hold everything that a decision looks at. What it does not hold is never guessed: a request whose lane
//! hangs on it is counted as not decidable, with the reason. User ids are keyed hashes in graylane's own log, so a bucket
//! is the logged one, as long as salt and hash key stay what they were.
//!
//! Input streams through in blocks: one thread reads, the others decide, and each keeps counts of its own that are
//! added at the end. Memory hangs on the number of routes and lanes, not on the length of the log. The room opens files
//! and writes nothing: whoever calls shows progress and report.

mod fields;
mod line;

mod facts;
mod judge;

mod distinct;
mod tally;

mod blocks;
mod run;

mod report;

mod probe;

pub use distinct::{Distinct, Mark};
pub use fields::{Fields, FieldsError, Format};
pub use probe::check_log_line;
pub use report::{Counted, First, InputReport, Move, Report, Skipped};
pub use run::{Input, Plan, run};

#[cfg(test)]
mod tests;
