//! What a lane may be sent, and when the whole process has too much.

use std::num::NonZeroU32;
use std::time::Duration;

use super::file::OverLimit;

/// What one lane of a route may be sent; each limit is of the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits {
    /// Most requests at a time.
    pub concurrency: Option<u32>,
    /// Most requests at a time, following what the upstream bears.
    pub adaptive: Option<AdaptiveBounds>,
    /// Most requests a second.
    pub rate: Option<RateLimit>,
    /// What becomes of a request that finds no room.
    pub over: OverLimit,
}

/// Between what an adaptive limit moves. It starts at `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveBounds {
    /// The limit never falls below this; at least 1.
    pub least: u32,
    /// The limit never rises above this; at least `least`.
    pub most: u32,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Tokens that come back each second.
    pub per_second: NonZeroU32,
    /// Tokens there are at most.
    pub burst: NonZeroU32,
}

/// When the process has so much to do that it refuses further requests; each is off where it is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overload {
    /// Most requests at a time, over all routes and workers.
    pub inflight: Option<u32>,
    /// Most resident memory, in bytes.
    pub memory: Option<u64>,
    /// Longest lasting delay of a worker's event loop.
    pub delay: Option<Duration>,
}
