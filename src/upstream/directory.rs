//! All upstreams of a configuration, kept fresh on the control runtime.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Upstream, UpstreamSpec, discovery};
use crate::telemetry::Telemetry;

/// All upstreams of a configuration.
#[derive(Default)]
pub struct Directory {
    upstreams: Vec<Arc<Upstream>>,
}

impl Directory {
    /// For these specifications, in their order; upstreams of `old` that did not change are taken over.
    pub fn build(specs: Vec<UpstreamSpec>, old: &Directory, telemetry: &Telemetry) -> Self {
        let mut named: HashMap<&str, Vec<&Arc<Upstream>>> = HashMap::new();
        old.upstreams.iter().for_each(|known| named.entry(&known.spec.name).or_default().push(known));
        let known = |spec: &UpstreamSpec| named.get(&*spec.name)?.iter().find(|known| known.spec == *spec);
        let upstreams = specs.into_iter().map(|spec| match known(&spec) {
            Some(known) => Arc::clone(known),
            None => Arc::new(Upstream::new(spec, telemetry)),
        });
        Self { upstreams: upstreams.collect() }
    }

    /// In the order of the specifications.
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// Finds the addresses of every endpoint of which nothing is known yet; run on the control runtime before requests go
    /// there. What is not found soon comes later: [`super::Care`] keeps them fresh.
    pub async fn look_up(&self) {
        for upstream in &self.upstreams {
            for place in upstream.unknown() {
                discovery::find(upstream, place).await;
            }
        }
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
