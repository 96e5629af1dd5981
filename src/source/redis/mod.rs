//! Documents under a prefix in Redis.

use super::{Link, Source, SourceError};
use crate::config::RedisPlan;

/// Redis as a source.
pub(super) struct Redis {
    plan: RedisPlan,
}

impl Redis {
    pub(super) fn new(plan: RedisPlan) -> Self {
        Self { plan }
    }
}

impl Source for Redis {
    async fn session(&mut self, _: &mut Link) -> SourceError {
        SourceError::Unreachable(format!("{:?}", self.plan))
    }
}
