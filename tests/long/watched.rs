//! Ten thousand documents in etcd, of which a hundred change every second: memory stays flat, changes are taken together,
//! and the last one is seen.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::eventually;
use crate::source_stage::{EtcdServer, Loader};

const DOCUMENTS: usize = 10_000;
const RUN: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(10);

/// Resident memory of this process in bytes: the sources run in it.
fn resident() -> u64 {
    graylane::telemetry::resident_memory().expect("Linux tells it")
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // utime and stime in ticks of 10 ms.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn document(number: usize, turn: usize) -> String {
    format!("# document {number}, turn {turn}\n{}", "# what a rule of ordinary length takes in bytes\n".repeat(6))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_documents_of_which_a_hundred_change_every_second() {
    let server = EtcdServer::start().await;
    for first in (0..DOCUMENTS).step_by(100) {
        let puts = (first..first + 100).map(|number| {
            let key = STANDARD.encode(format!("/graylane/prod/{number:05}"));
            json!({ "requestPut": { "key": key, "value": STANDARD.encode(document(number, 0)) } })
        });
        server.call("/v3/kv/txn", json!({ "success": puts.collect::<Vec<_>>() })).await;
    }
    let begun = Instant::now();
    let mut loader =
        Loader::start(&format!("sources: [{{ name: shared, etcd: {{ endpoints: ['{}'] }} }}]", server.url()));
    loader.until("all documents", |texts| texts.len() == DOCUMENTS).await;
    println!("{DOCUMENTS} documents read after {:?}", begun.elapsed());

    let (mut writes, mut samples) = (0, Vec::new());
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut ticks = tokio::time::interval(EVERY);
    while start.elapsed() < RUN {
        ticks.tick().await;
        let number = writes * 7919 % DOCUMENTS;
        server.put(&format!("/graylane/prod/{number:05}"), document(number, writes)).await;
        writes += 1;
        if writes % 100 == 0 {
            samples.push(resident());
        }
    }
    let (number, cpu) = ((writes - 1) * 7919 % DOCUMENTS, cpu_seconds() - cpu);
    loader.until_text(&format!("shared:{number:05}"), &document(number, writes - 1)).await;
    let status = eventually("the status", || Some(loader.status()));
    let changes = status.changes - 1;
    // The first third warms up: the allocator keeps what a round needs.
    let third = samples.len() / 3;
    let (early, late) = (samples[third..2 * third].iter().max().unwrap(), samples[2 * third..].iter().max().unwrap());
    println!(
        "{writes} writes in {:?}, {changes} times posted, {} errors, {cpu:.1} s of CPU (writer included); resident \
         memory: at most {} MiB in the second third, {} MiB in the last",
        start.elapsed(),
        status.errors,
        early >> 20,
        late >> 20
    );
    assert!(writes > 3000, "the server took only {writes} writes");
    assert!(changes * 5 < writes as u64, "{changes} posts for {writes} writes");
    assert!(*late < early + (16 << 20), "memory grew from {early} to {late} bytes");
    assert_eq!((status.documents, status.errors), (DOCUMENTS as u64, 0));
}
