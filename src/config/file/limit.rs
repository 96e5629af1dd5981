//! Limits of lanes, and of the process.

use crate::config::read::{mirror, words};
use crate::config::text::At;
use crate::config::units::{Size, Time};

mirror! {
    /// What one lane of a route may be sent by this process.
    #[schemars(rename = "LaneLimits")]
    struct FileLaneLimits("a lane's limits") {
        /// Most requests at a time.
        #[schemars(extend("minimum" = 1, "maximum" = 1000000))]
        concurrency: At<u32>,
        /// Most requests at a time, following what the upstream bears.
        adaptive: FileAdaptive,
        /// Most requests a second.
        #[schemars(extend("minimum" = 1, "maximum" = 1000000))]
        rate: At<u32>,
        /// Of these, so many may come at once. Default: a second's worth.
        #[schemars(extend("minimum" = 1, "maximum" = 1000000))]
        burst: At<u32>,
        /// What becomes of a request that finds no room: `reject` answers 429, `stable` sends it to stable.
        #[schemars(extend("default" = "reject"))]
        over: At<OverLimit>,
    }
}

mirror! {
    /// Between what an adaptive limit moves.
    #[schemars(rename = "Adaptive")]
    struct FileAdaptive("`adaptive`") {
        /// It never falls below this.
        #[schemars(extend("default" = 1, "minimum" = 1, "maximum" = 1000000))]
        least: At<u32>,
        /// It never rises above this, and starts here.
        #[schemars(extend("minimum" = 1, "maximum" = 1000000))]
        [required] most: At<u32>,
    }
}

mirror! {
    /// When the process has so much to do that it refuses further requests. Without a value, never.
    #[schemars(rename = "Overload")]
    struct FileOverload("`overload`") {
        /// Most requests at a time, over all routes.
        #[schemars(extend("minimum" = 1, "maximum" = 1000000))]
        inflight: At<u32>,
        /// Most resident memory.
        #[schemars(extend("examples" = ["200MiB"]))]
        memory: At<Size>,
        /// How late an event loop may be for longer than a moment.
        #[schemars(extend("examples" = ["100ms"]))]
        delay: At<Time>,
    }
}

words! {
    /// What becomes of a request that finds no room.
    pub enum OverLimit("an answer to a reached limit") {
        /// 429 with `Retry-After`.
        Reject = "reject",
        /// It goes to stable.
        Stable = "stable",
    }
}
