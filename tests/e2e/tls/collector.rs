//! A collector behind TLS. Another sidecar ends it, in front of a collector that speaks in the clear.

use super::kit::{Authority, behind};
use crate::harness::{Collector, Mood, Origin, Plan, Sidecar};

#[test]
fn spans_reach_a_collector_by_tls_whose_authority_is_known_and_no_other() {
    let (ours, theirs, origin) = (Authority::new(), Authority::new(), Origin::lane("stable"));
    for protocol in ["http", "grpc"] {
        let collector = Collector::start(protocol, Mood::Taking);
        let plan = Plan::new();
        let plan = match protocol {
            "grpc" => plan.upstream_h2("stable", collector.address()),
            _ => plan.upstream("stable", collector.address()),
        };
        let entrance = Sidecar::start(&behind(plan.rest(), &ours.identity(&["127.0.0.1"]), ""));
        let plan = |keys: &str| {
            let url = format!("https://{}", entrance.traffic());
            let section = format!("tracing: {{ otlp: \"{url}\", protocol: {protocol}, sample: 100%, {keys} }}");
            let plan = Plan::to(origin.address()).admin("insecure_changes: true").more(&section);
            plan.file("ours.pem", ours.pem.as_str()).file("theirs.pem", theirs.pem.as_str())
        };
        let sidecar = Sidecar::start(&plan("tls: { ca_file: theirs.pem }"));
        sidecar.get("/", "");
        sidecar.wait_for_metric("graylane_otlp_items_total", &[("result", "failed")], 2.0);
        assert_eq!(collector.taken().offered, 0, "{protocol}");
        sidecar.reload(&plan("tls: { ca_file: ours.pem }"));
        sidecar.get("/", "");
        assert_eq!(collector.wait_for_spans(2).len(), 2, "{protocol}");
    }
}
