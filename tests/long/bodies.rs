//! A gibibyte each way.

use std::time::Instant;

use crate::harness::{Origin, Plan, Sidecar, answer};

const BODY: u64 = 1024 * 1024 * 1024;
const CHUNK: usize = 256 * 1024;
const LIMIT_KIB: u64 = 64 * 1024;

fn report(what: &str, sidecar: &Sidecar, start: Instant) {
    let peak = sidecar.memory_kib("VmHWM:");
    let took = start.elapsed().as_secs_f64();
    println!("1 GiB {what}: {took:.1} s, peak memory {} MiB", peak / 1024);
    assert!(peak < LIMIT_KIB, "the process grew to {peak} KiB");
}

#[test]
fn a_gibibyte_up_stays_under_64_mib() {
    let origin = Origin::start(|visit| {
        let Some(head) = visit.head() else { return };
        let Some(count) = visit.drain_body(&head) else {
            return;
        };
        let _ = visit.send(answer("200 OK", "", count.to_string().as_bytes()));
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let start = Instant::now();
    let mut client = sidecar.client();
    client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n").as_bytes());
    let chunk = vec![0; CHUNK];
    for _ in 0..BODY / CHUNK as u64 {
        client.send(&chunk);
    }
    assert_eq!(client.answer_to("PUT").text(), BODY.to_string());
    report("up", &sidecar, start);
}

#[test]
fn a_gibibyte_down_stays_under_64_mib() {
    let origin = Origin::start(|visit| {
        if visit.request().is_none() {
            return;
        }
        let _ = visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n"));
        let chunk = vec![0; CHUNK];
        for _ in 0..BODY / CHUNK as u64 {
            if visit.send(&chunk).is_none() {
                return;
            }
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let start = Instant::now();
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, _) = client.final_head().expect("an answer");
    assert_eq!(client.drain_body(&head), BODY);
    report("down", &sidecar, start);
}
