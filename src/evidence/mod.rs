//! Gray against stable: whether gray is worse than stable, asked again and again while the calls come in. Pure: no clock,
//! no chance, no environment, no file, no network; counts go in, a verdict with its figures comes out.
//!
//! A [`Comparison`] is fed with cumulative counts of both lanes as often as anybody likes. [`Comparison::judge`] answers
//! [`Verdict::Worse`], [`Verdict::NotWorseSoFar`] or [`Verdict::NoData`], and may be asked after every feed: the tests
//! below hold at all looks together, so stopping at the first `Worse` is what they are made for.
//!
//! Two tests have to agree on `Worse`, because each lacks what the other has:
//! - the mixture sequential probability ratio ([`FailureSplit`]) asks whether gray gets more of the failures than of the calls.
//!   It is exact however rare failures are and however the common rate moves (an outage behind both lanes), but says
//!   nothing of size;
//! - the asymptotic confidence sequence ([`half_width`]) says how large the difference at least is, so that a certain but
//!   negligible one does not roll back; it alone would not be trustworthy with a handful of failures.
//!
//! And the lanes must be what they are said to be: when calls are not split as configured ([`SplitWatch`]), there is no verdict.

mod pair;

mod contrast;
mod tally;

mod likelihood;
mod sequence;

mod ratio;
mod tail;

mod rules;

mod comparison;
mod verdict;

mod reason;

#[cfg(test)]
mod tests;

pub use comparison::Comparison;
pub use contrast::Contrast;
pub use likelihood::FailureSplit;
pub use pair::Pair;
pub use ratio::{SplitLook, SplitWatch, chi_square, log_bayes_factor};
pub use rules::{Figure, Rules, RulesError};
pub use sequence::{Sides, half_width, rho};
pub use tally::{Counts, Tally};
pub use verdict::{Judgement, Look, Missing, Verdict};
