//! What the breaker costs a request, and a tick, and what its metrics cost it: `cargo bench --bench record`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use graylane::decide::{Level, Reason};
use graylane::resilience::{Outcome, Plan, Thresholds, Tick, Timing, guarded};
use graylane::telemetry::{CodeClass, Telemetry, TraceId};

fn plan() -> Plan {
    let millis = Duration::from_millis;
    let thresholds = Thresholds {
        error_rate: 50,
        p99: millis(1200),
        mean: millis(800),
        slow_call: millis(1200),
        slow_call_rate: 300,
        min_calls: 50,
        min_calls_p99: 200,
    };
    let timing = Timing {
        window: millis(60_000),
        short_window: millis(10_000),
        open_for: millis(5000),
        max_open: millis(300_000),
        trials: 10,
    };
    Plan::new(thresholds, timing).expect("the plan of this file is valid")
}

/// Latencies from 0.1 to 200 ms in no order, so that neither cache nor branch predictor knows the next bucket.
fn latencies() -> impl Iterator<Item = u64> {
    let mut state = 7_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        100_000 << ((state >> 33) % 11)
    })
}

fn recording(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker");
    let latencies: Vec<u64> = latencies().take(4096).collect();
    let (guard, mut watch) = guarded(plan(), 2, 7, Tick::START);
    let mut next = 0;
    group.bench_function("record", |bench| {
        bench.iter(|| {
            next = (next + 1) % latencies.len();
            let ended = Tick::from_nanos(latencies[next]);
            guard.record(black_box(0), None, black_box(Outcome::Success), Tick::START, ended);
        });
    });
    group.bench_function("admit closed and record", |bench| {
        bench.iter(|| {
            next = (next + 1) % latencies.len();
            let ended = Tick::from_nanos(latencies[next]);
            let admission = guard.admit(black_box(ended));
            guard.record(black_box(0), None, black_box(Outcome::Success), Tick::START, ended);
            admission
        });
    });
    let mut now = Tick::START;
    group.bench_function("tick without a call", |bench| {
        bench.iter(|| {
            now = now.plus(Duration::from_millis(25));
            watch.tick(black_box(now))
        });
    });
    group.bench_function("a hundred calls and a tick", |bench| {
        bench.iter(|| {
            now = now.plus(Duration::from_millis(25));
            for latency in &latencies[..100] {
                let ended = now.plus(Duration::from_nanos(*latency));
                guard.record(0, None, Outcome::Success, now, ended);
            }
            watch.tick(black_box(now))
        });
    });
    group.finish();
}

/// Everything that is counted for a request that goes well, and its trace on top.
fn counting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics");
    let telemetry = Telemetry::new(2);
    let (route, release) = (telemetry.route("sku", &["stable", "gray"]), telemetry.release("pricing"));
    let latencies: Vec<Duration> = latencies().take(4096).map(Duration::from_nanos).collect();
    let trace = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").expect("32 hex digits");
    let mut next = 0;
    let mut count = |is_traced: bool| {
        next = (next + 1) % latencies.len();
        let took = black_box(latencies[next]);
        route.begin(0);
        release.decided(0, Level::Permille, Reason::Bucket);
        route.record(0, 1, Level::Permille, CodeClass::Success, took);
        if is_traced {
            route.traced(0, 1, trace, took);
        }
        route.end(0);
    };
    group.bench_function("a request", |bench| bench.iter(|| count(false)));
    group.bench_function("a request with a trace", |bench| bench.iter(|| count(true)));
    group.finish();
}

criterion_group!(benches, recording, counting);
criterion_main!(benches);
