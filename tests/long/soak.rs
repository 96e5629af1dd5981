//! Everything at once for a long time: HTTP/1.1, HTTP/2, gRPC, tunnels, uploads, clients that leave, changes of the configuration,
//! upstreams that crash. Memory and descriptors stay where they are, and nothing fails that no upstream caused.
//!
//! `make soak` runs it for `SOAK_MINUTES`, the other long tests for one minute.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tonic::Request;

use crate::changing::{Crowd, Versions};
use crate::harness::{Client, GrpcOrigin, Origin, Plan, Sidecar, Text, answer, grpc_client, grpc_path};

/// How often memory and descriptors are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the configuration changes.
const CHANGE_EVERY: Duration = Duration::from_secs(3);
/// Between two requests of one visitor.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of an upload.
const UPLOAD: usize = 200_000;
/// The part of the time in which caches and pools fill, not looked at.
const WARM_UP: f64 = 0.3;
/// Changes at once, before anything is looked at, in runs of ten minutes and more: the audit trail keeps the last 1000 records in
/// memory, and grows until it has them.
const FILLING: usize = 1100;
/// Growth that is called flat, for an hour: KiB, and descriptors.
const FLAT_KIB: f64 = 8.0 * 1024.0;
const FLAT_DESCRIPTORS: f64 = 60.0;

struct Figures {
    at: f64,
    kib: f64,
    descriptors: f64,
}

#[test]
fn nothing_grows_and_nothing_fails_by_itself() {
    let minutes: f64 =
        std::env::var("SOAK_MINUTES").map_or(1.0, |text| text.parse().expect("SOAK_MINUTES is a number"));
    let whole = Duration::from_secs_f64(minutes * 60.0);
    let (uploads, grpc, moody) = (uploads(), GrpcOrigin::start(), moody());
    let finish = |plan: Plan| {
        plan.upstream("uploads", uploads.address())
            .upstream_h2("grpc", grpc.address())
            .upstream("moody", moody.address())
            .route("uploads", "/upload/{*rest}", "stable: uploads", "")
            .route("grpc", "/goods.Prices/{method}", "stable: grpc", "")
            .route("moody", "/moody/{*rest}", "stable: moody", "")
    };
    let mut versions = Versions::new();
    versions.plans = versions.plans.map(finish);
    let sidecar = Sidecar::start(&versions.plans[0]);
    let crowd = Crowd::start(&sidecar, 4, 4, 4, PAUSE);
    let others = Others::start(sidecar.traffic());

    let (began, mut figures, mut changes) = (Instant::now(), Vec::new(), 0);
    let mut next_look = began + whole.mul_f64(WARM_UP);
    let filling = if minutes >= 10.0 { FILLING } else { 0 };
    while changes < filling {
        changes += 1;
        sidecar.reload(&versions.plans[changes % 2]);
    }
    while began.elapsed() < whole {
        // The pace of the changes.
        thread::sleep(CHANGE_EVERY);
        changes += 1;
        sidecar.reload(&versions.plans[changes % 2]);
        if Instant::now() >= next_look {
            next_look = Instant::now() + LOOK_EVERY;
            let (kib, descriptors) = (sidecar.memory_kib("VmRSS:") as f64, sidecar.descriptors() as f64);
            figures.push(Figures { at: began.elapsed().as_secs_f64() / 3600.0, kib, descriptors });
        }
    }
    let (tally, closed) = crowd.end();
    let (done, failed) = others.end();

    let (kib, descriptors) = (slope(&figures, |one| one.kib), slope(&figures, |one| one.descriptors));
    let (first, last) = (figures.first().expect("a look"), figures.last().expect("a look"));
    println!("{minutes} min: {} requests of h1 and h2, {} of others, {changes} changes", tally.requests, done.total());
    println!("of the others {done:?}");
    println!("failed {}, mixed {}, tunnels closed {closed}, others failed {failed}", tally.failed, tally.mixed);
    println!("resident {:.0} to {:.0} KiB, {} looks, slope {kib:.0} KiB/h", first.kib, last.kib, figures.len());
    let part = figures.len().div_ceil(10);
    let course: Vec<String> = figures.chunks(part).map(|part| format!("{:.0}", mean(part, |one| one.kib))).collect();
    println!("resident by tenths of that time: {} KiB", course.join(", "));
    println!("descriptors {} to {}, slope {descriptors:.1}/h", first.descriptors, last.descriptors);
    assert_eq!((tally.failed, tally.mixed, closed, failed), (0, 0, 0, 0));
    assert!(done.each().iter().all(|count| *count > 0), "{done:?}");
    // In minutes a page more or less is a slope; what is grown in an hour counts, or in all that time.
    let grown = last.kib - first.kib;
    assert!(kib < FLAT_KIB || grown < FLAT_KIB / 2.0, "memory grows by {kib} KiB/h");
    assert!(
        descriptors < FLAT_DESCRIPTORS || last.descriptors - first.descriptors < 20.0,
        "descriptors: {descriptors}/h"
    );
}

/// The slope of the line of least squares, an hour.
fn slope(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let (at, value) = (mean(figures, |one| one.at), mean(figures, &of));
    let both: f64 = figures.iter().map(|one| (one.at - at) * (of(one) - value)).sum();
    let square: f64 = figures.iter().map(|one| (one.at - at).powi(2)).sum();
    if square == 0.0 { 0.0 } else { both / square }
}

fn mean(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    figures.iter().map(of).sum::<f64>() / figures.len() as f64
}

/// Tells how many bytes came.
fn uploads() -> Origin {
    Origin::start(|visit| {
        while let Some(head) = visit.head() {
            let Some(count) = visit.drain_body(&head) else { return };
            if visit.send(answer("200 OK", "", count.to_string().as_bytes())).is_none() {
                return;
            }
        }
    })
}

/// Answers, answers half, closes without a word, or takes its time.
fn moody() -> Origin {
    let mood = AtomicUsize::new(0);
    Origin::start(move |visit| {
        while visit.head().is_some() {
            let now = mood.fetch_add(1, Ordering::Relaxed) % 4;
            let sent = match now {
                0 => visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"),
                1 => None,
                2 => {
                    // The time that the answer takes.
                    thread::sleep(Duration::from_millis(300));
                    visit.send(answer("200 OK", "", b"late"))
                }
                _ => visit.send(answer("200 OK", "", b"good")),
            };
            // The half of an answer ends with its connection.
            if sent.is_none() || now == 0 {
                return;
            }
        }
    })
}

/// What was done.
#[derive(Debug, Default)]
struct Done {
    uploads: AtomicUsize,
    calls: AtomicUsize,
    left: AtomicUsize,
    moody: AtomicUsize,
}

impl Done {
    fn each(&self) -> [usize; 4] {
        [&self.uploads, &self.calls, &self.left, &self.moody].map(|count| count.load(Ordering::Relaxed))
    }

    fn total(&self) -> usize {
        self.each().iter().sum()
    }
}

/// The visitors beside the crowd. Each says whether what it did went as it must.
struct Others {
    stop: Arc<AtomicBool>,
    done: Arc<Done>,
    threads: Vec<JoinHandle<usize>>,
}

type Visit = fn(SocketAddr, &Done) -> bool;

impl Others {
    fn start(traffic: SocketAddr) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<Done>::default());
        let visits: [Visit; 4] = [upload, call, leave, meet_a_mood];
        let visit = |visit: Visit| {
            let (stop, done) = (stop.clone(), done.clone());
            thread::spawn(move || {
                let mut failed = 0;
                while !stop.load(Ordering::Relaxed) {
                    failed += usize::from(!visit(traffic, &done));
                    // The visitor's pace.
                    thread::sleep(PAUSE);
                }
                failed
            })
        };
        let threads = visits.map(visit).into();
        Self { stop, done, threads }
    }

    fn end(self) -> (Arc<Done>, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.threads.into_iter().map(|thread| thread.join().expect("a visitor does not panic")).sum();
        (self.done, failed)
    }
}

/// All bytes of a body arrive.
fn upload(traffic: SocketAddr, done: &Done) -> bool {
    let mut client = Client::connect(traffic);
    let head = format!("POST /upload/a HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\n\r\n");
    let sent = client.try_send(head.as_bytes()).and_then(|()| client.try_send(&vec![b'x'; UPLOAD]));
    done.uploads.fetch_add(1, Ordering::Relaxed);
    sent.is_ok() && client.try_answer("POST").is_ok_and(|answer| answer.text() == UPLOAD.to_string())
}

/// A gRPC call on a connection of its own.
fn call(traffic: SocketAddr, done: &Done) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    done.calls.fetch_add(1, Ordering::Relaxed);
    runtime.block_on(async {
        let mut client = grpc_client(traffic).await;
        let answer = client.unary(Request::new("7".to_owned()), grpc_path("Quote"), Text).await;
        answer.is_ok_and(|answer| answer.into_inner() == "price of 7")
    })
}

/// Goes away in the middle of an upload, or before the answer.
fn leave(traffic: SocketAddr, done: &Done) -> bool {
    let mut client = Client::connect(traffic);
    let odd = done.left.fetch_add(1, Ordering::Relaxed) % 2 == 1;
    let request: &[u8] = match odd {
        true => b"POST /upload/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nonly this",
        false => b"GET /moody/a HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    client.try_send(request).is_ok()
}

/// Whatever the upstream does, the client gets it, or is told that it failed, or sees its answer cut; it never hangs.
fn meet_a_mood(traffic: SocketAddr, done: &Done) -> bool {
    let mut client = Client::connect(traffic);
    done.moody.fetch_add(1, Ordering::Relaxed);
    let sent = client.try_send(b"GET /moody/a HTTP/1.1\r\nHost: a\r\n\r\n");
    // The answer panics where none comes in 30 s.
    sent.is_ok() && client.try_answer("GET").map_or(true, |answer| [200, 502].contains(&answer.status()))
}
