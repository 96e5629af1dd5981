//! Documents under a prefix in Etcd.

use super::{Link, Source, SourceError};
use crate::config::EtcdPlan;

/// Etcd as a source.
pub(super) struct Etcd {
    plan: EtcdPlan,
}

impl Etcd {
    pub(super) fn new(plan: EtcdPlan) -> Self {
        Self { plan }
    }
}

impl Source for Etcd {
    async fn session(&mut self, _: &mut Link) -> SourceError {
        SourceError::Unreachable(format!("{:?}", self.plan))
    }
}
