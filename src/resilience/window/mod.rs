//! What happened lately, in two sliding windows.
//!
//! Workers never turn a window: each only adds to counters that grow for ever ([`Recorder`]), one line and one histogram
//! per worker, written by that worker alone. The merger takes what was added since it last looked and adds that to the
//! newest slice of the long and of the short window ([`Window`]), which keep the sum of their slices up to date. A window
//! of N slices reaches back between N-1 and N slices, so the long one 57 to 60 s of 60 and the short one 9 to 10 s of 10.
//!
//! Quantiles come from a histogram of fixed buckets ([`latency`]): at most 0.8 % off from 26 us to 68 s. Rejected: a
//! t-digest (small, but allocates and has no bound on the error), HdrHistogram (needs `&mut`, and twice the buckets).
//!
//! **Cost** (`cargo bench --bench record`, two shared cores under load): 10 ns a call; 0.03 us a tick where nothing happened
//! and 1.9 us one with a hundred calls over eleven powers of two, their recording included.
//!
//! **Memory** has a bound by construction ([`Window::memory`]): 32 histograms of 5.8 KiB for the two windows and their sums
//! (187 KiB), and 11.9 KiB for each worker. A slice is there only while it has calls, what belongs to a worker from its first
//! call on, and the buckets of a power of two while it has calls: so a lane whose calls take one to four milliseconds holds
//! 27 KiB and two more for each worker, and one that nobody calls next to nothing.

mod figures;
mod latency;
mod merge;
mod record;
mod slice;
mod slice_clock;

pub use figures::{Figures, Merged};
pub(super) use latency::rank_of_p99;
pub use merge::Rest;
pub(super) use merge::Window;
pub(super) use record::{Limits, Recorder};
pub(super) use slice_clock::SliceClock;
