//! Bodies stream: memory does not grow with them, and a slow reader slows the writer instead of filling the sidecar.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Origin, Plan, Sidecar, answer, eventually};

const MIB: u64 = 1024 * 1024;
const BODY: u64 = 64 * MIB;

/// The promise: the process stays below this, whatever the size of the bodies.
const LIMIT_KIB: u64 = 64 * 1024;

fn check_memory(sidecar: &Sidecar) {
    let peak = sidecar.memory_kib("VmHWM:");
    assert!(peak < LIMIT_KIB, "the process grew to {peak} KiB");
}

#[test]
fn a_large_upload_streams_in_little_memory() {
    let origin = Origin::start(|visit| {
        let Some(head) = visit.head() else { return };
        let Some(count) = visit.drain_body(&head) else {
            return;
        };
        let _ = visit.send(answer("200 OK", "", count.to_string().as_bytes()));
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n").as_bytes());
    let chunk = vec![0; 256 * 1024];
    for _ in 0..BODY / (256 * 1024) {
        client.send(&chunk);
    }
    assert_eq!(client.answer_to("PUT").text(), BODY.to_string());
    check_memory(&sidecar);
}

#[test]
fn a_large_download_streams_in_little_memory() {
    let origin = download(Arc::default());
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, _) = client.final_head().expect("an answer");
    assert_eq!(client.drain_body(&head), BODY);
    check_memory(&sidecar);
}

#[test]
fn a_client_that_does_not_read_slows_the_upstream_down() {
    let sent = Arc::new(AtomicU64::new(0));
    let origin = download(Arc::clone(&sent));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, _) = client.final_head().expect("an answer");
    let mut last = (0, Instant::now());
    let held = eventually("the upstream to stop sending", || {
        let now = sent.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(500)).then_some(now)
    });
    // What is under way stands in the buffers of the kernel; the sidecar adds little.
    assert!(held < BODY / 2, "{held} bytes were taken from the upstream");
    check_memory(&sidecar);
    assert_eq!(client.drain_body(&head), BODY);
    check_memory(&sidecar);
}

/// A connection that waits holds its socket and little else: neither buffers nor the work of a request.
#[test]
fn quiet_connections_take_little_memory() {
    const QUIET: u64 = 400;
    let origin = Origin::answering(|_| answer("200 OK", "", b"here"));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let open = || {
        let mut client = sidecar.client();
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer_to("GET").text(), "here");
        client
    };
    let warm: Vec<_> = (0..20).map(|_| open()).collect();
    let before = sidecar.memory_kib("VmRSS:");
    let quiet: Vec<_> = (0..QUIET).map(|_| open()).collect();
    let taken = sidecar.memory_kib("VmRSS:").saturating_sub(before);
    assert!(taken < 3 * QUIET, "{taken} KiB for {QUIET} connections");
    // They are as good as new.
    for mut client in warm.into_iter().chain(quiet) {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer_to("GET").text(), "here");
    }
}

/// Sends a body of 64 MiB and tells how far it is.
fn download(sent: Arc<AtomicU64>) -> Origin {
    Origin::start(move |visit| {
        let Some(_) = visit.request() else { return };
        let _ = visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n"));
        let chunk = vec![0; 64 * 1024];
        for _ in 0..BODY / (64 * 1024) {
            if visit.send(&chunk).is_none() {
                return;
            }
            sent.fetch_add(64 * 1024, Ordering::Relaxed);
        }
    })
}

/// Whoever sends requests ahead of an answer is not read far ahead.
#[test]
fn requests_sent_ahead_of_a_slow_answer_take_little_memory() {
    const WAITING: u64 = 100;
    let (open, opened) = std::sync::mpsc::channel::<()>();
    let opened = std::sync::Mutex::new(opened);
    let origin = Origin::start(move |visit| {
        let Some(_) = visit.request() else { return };
        // Until the test has looked.
        _ = opened.lock().expect("nobody panics with it").recv();
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let before = sidecar.memory_kib("VmRSS:");
    let ahead = format!("GET /ahead HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(6000)).repeat(20);
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| {
            let mut client = sidecar.client();
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            _ = client.try_send(ahead.as_bytes());
            client
        })
        .collect();
    sidecar.wait_for_metric("graylane_inflight_requests", &[("route", "rest")], WAITING as f64);
    // A span in which it could read on.
    std::thread::sleep(Duration::from_millis(500));
    let taken = sidecar.memory_kib("VmRSS:").saturating_sub(before);
    assert!(taken < 64 * WAITING, "{taken} KiB for {WAITING} connections");
    drop((open, waiting));
}

/// A tunnel that was busy holds no more than one that never was.
#[test]
fn tunnels_that_are_silent_after_a_burst_take_little_memory() {
    const TUNNELS: u64 = 100;
    const BURST: usize = 300_000;
    let origin = Origin::start(|visit| {
        let Some(_) = visit.head() else { return };
        let accepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        _ = visit.send(accepted);
        _ = visit.send(vec![b'x'; BURST]);
        visit.wait_for_close();
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let tunnel = || {
        let mut client = sidecar.client();
        client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(client.answer().status(), 101);
        client.take(BURST);
        client
    };
    let warm: Vec<_> = (0..10).map(|_| tunnel()).collect();
    let before = sidecar.memory_kib("VmRSS:");
    let tunnels: Vec<_> = (0..TUNNELS).map(|_| tunnel()).collect();
    let taken = sidecar.memory_kib("VmRSS:").saturating_sub(before);
    assert!(taken < 40 * TUNNELS, "{taken} KiB for {TUNNELS} tunnels");
    drop((warm, tunnels));
}
