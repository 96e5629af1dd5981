//! All upstreams of a configuration, kept fresh and watched on the control runtime.

use std::sync::Arc;
use std::time::Duration;

use super::{Upstream, UpstreamSpec, check};
use crate::telemetry::Telemetry;

/// All upstreams of a configuration.
#[derive(Default)]
pub struct Directory {
    upstreams: Vec<Arc<Upstream>>,
}

/// How often names are looked up again. The system's resolver does not tell a record's time to live.
const REFRESH: Duration = Duration::from_secs(5);

impl Directory {
    /// For these specifications, in their order; upstreams of `old` that did not change are taken over.
    pub fn build(specs: Vec<UpstreamSpec>, old: &Directory, telemetry: &Telemetry) -> Self {
        let upstreams = specs.into_iter().map(|spec| match old.upstreams.iter().find(|known| known.spec == spec) {
            Some(known) => known.clone(),
            None => Arc::new(Upstream::new(spec, telemetry)),
        });
        Self { upstreams: upstreams.collect() }
    }

    /// In the order of the specifications.
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// Looks up every name once; run on the control runtime before traffic is accepted.
    pub async fn refresh(&self) {
        for upstream in self.upstreams.iter().filter(|upstream| upstream.has_names()) {
            upstream.refresh().await;
        }
    }

    /// Keeps the addresses fresh; runs on the control runtime until dropped.
    pub async fn keep_fresh(&self) {
        if !self.upstreams.iter().any(|upstream| upstream.has_names()) {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(REFRESH).await;
            self.refresh().await;
        }
    }

    /// Checks the endpoints and tells how they stand; runs on the control runtime until dropped, and ends all checks
    /// then. `seed` sets when checks are made.
    pub async fn keep_watched(&self, seed: u64) {
        let mut watching = tokio::task::JoinSet::new();
        for upstream in self.upstreams.iter().filter(|upstream| upstream.is_watched()) {
            watching.spawn(check::watch(upstream.clone(), seed));
        }
        while watching.join_next().await.is_some() {}
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::EndpointName;

    fn spec(host: &str) -> UpstreamSpec {
        UpstreamSpec::new("u", vec![EndpointName::Host(host.into(), 80)])
    }

    #[test]
    fn an_unchanged_upstream_is_taken_over() {
        let telemetry = Telemetry::new(1);
        let build = |specs, old: &_| Directory::build(specs, old, &telemetry);
        let old = build(vec![spec("127.0.0.1"), spec("127.0.0.2")], &Directory::default());
        let new = build(vec![spec("127.0.0.2"), spec("127.0.0.3")], &old);
        assert_eq!(new.upstreams()[0].id, old.upstreams()[1].id);
        assert!(old.upstreams().iter().all(|known| known.id != new.upstreams()[1].id));
    }
}
