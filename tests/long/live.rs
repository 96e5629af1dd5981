//! The same ten thousand documents through a running sidecar: what changes a hundred times a second is put in force taken
//! together, memory stays flat, and no request fails. `GRAYLANE_LIVE_DOCUMENTS` and `GRAYLANE_LIVE_SECONDS` make it shorter.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::{Origin, Plan, Sidecar, eventually};
use crate::source_stage::EtcdServer;

fn set(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// One upstream and one route, with the turn in a setting, so that each turn is another configuration.
fn document(number: u64, turn: u64) -> String {
    let idle = 1000 + turn;
    format!(
        "upstreams: {{ u{number}: {{ endpoints: ['127.0.0.1:9'], idle: {idle}ms }} }}\n\
         routes: [{{ name: r{number}, match: {{ path: /r{number} }}, lanes: {{ stable: u{number} }} }}]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_documents_change_below_a_sidecar_that_serves() {
    let (documents, seconds) = (set("GRAYLANE_LIVE_DOCUMENTS", 10_000), set("GRAYLANE_LIVE_SECONDS", 60));
    let server = EtcdServer::start().await;
    for first in (0..documents).step_by(100) {
        let puts = (first..documents.min(first + 100)).map(|number| {
            let key = STANDARD.encode(format!("/graylane/prod/{number:05}"));
            json!({ "requestPut": { "key": key, "value": STANDARD.encode(document(number, 0)) } })
        });
        server.call("/v3/kv/txn", json!({ "success": puts.collect::<Vec<_>>() })).await;
    }
    let origin = Origin::lane("stable");
    let sources =
        format!("sources: [{{ name: shared, etcd: {{ endpoints: ['{}'] }} }}]\nsources_wait: 60s", server.url());
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more(&sources).more("state: { dir: state }"));
    let (start, mut writes, mut samples, mut slowest) = (Instant::now(), 0, Vec::new(), Duration::ZERO);
    let mut client = sidecar.client();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while start.elapsed() < Duration::from_secs(seconds) {
        ticks.tick().await;
        let number = writes * 7919 % documents;
        server.put(&format!("/graylane/prod/{number:05}"), document(number, writes)).await;
        writes += 1;
        let asked = Instant::now();
        assert_eq!(client.get("/a", "").status(), 200);
        slowest = slowest.max(asked.elapsed());
        if writes % 100 == 0 {
            samples.push(sidecar.memory_kib("VmRSS:") >> 10);
        }
    }
    let took = start.elapsed();
    let revision = |sidecar: &Sidecar| sidecar.admin_get("/api/v1/sources").json()["sources"][0].clone();
    let settled = Instant::now();
    eventually("what was written last to be in force", || {
        let (status, config) = (revision(&sidecar), sidecar.admin_get("/api/v1/config").json());
        (status["verdict"]["revision"] == status["revision"] && status["verdict"]["version"] == config["version"])
            .then_some(())
    });
    let applied = sidecar.metric("graylane_config_reloads_total", &[("result", "applied")]);
    let refused = sidecar.metric("graylane_config_reloads_total", &[("result", "refused")]);
    let third = samples.len() / 3;
    let most = |part: &[u64]| part.iter().max().copied().unwrap_or_default();
    println!(
        "{documents} documents, {writes} writes in {took:?}: {applied} configurations in force, {refused} refused, the last one \
         {:?} after the last write; the slowest request {slowest:?}; resident: at most {} MiB in the second third, {} MiB in the last",
        settled.elapsed(),
        most(&samples[third..2 * third]),
        most(&samples[2 * third..]),
    );
    assert_eq!(refused, 0.0);
    assert!(applied > 1.0 && applied * 2.0 < writes as f64, "{applied} configurations for {writes} writes");
}
