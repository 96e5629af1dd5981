//! Bounds on what a lane is sent: so many a second, so many at a time, as many as it bears.
//!
//! All are of the whole process, since what an upstream bears does not depend on which worker asks; they are single atomic
//! words, which a route pays for only where it has the limit.

mod adaptive;
mod concurrency;
mod queueing;
mod token_bucket;

#[cfg(test)]
mod simulation;

pub use adaptive::{AdaptiveError, AdaptiveLimit, AdaptivePermit, AdaptivePlan};
pub use concurrency::{ConcurrencyLimit, Permit};
pub use token_bucket::TokenBucket;
