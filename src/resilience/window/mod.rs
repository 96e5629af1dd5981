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
//! **Cost** (`cargo bench --bench record`, two shared cores under load): 12 ns a call; 0.05 us a tick where nothing happened
//! and 2.5 us one with a hundred calls over eleven powers of two, their recording included.
//!
//! **Memory** has a bound by construction ([`Window::memory`]): 32 histograms of 5.5 KiB for the two windows and their sums
//! (178 KiB), and 11.4 KiB for each worker. A slice is there only while it has calls, and what belongs to a worker from its
//! first call on, so a lane that nobody calls holds next to nothing.

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
