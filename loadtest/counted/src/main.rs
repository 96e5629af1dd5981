//! A fixed number of decisions or records, for counting instructions: `make instructions` runs this under callgrind with
//! few and with many, and the difference is what one takes.

use std::hint::black_box;
use std::time::Duration;

use graylane::decide::{AllowEncoded, Inputs, NormalPath, Program};
use graylane::extract::{Extractor, Peer};
use graylane::resilience::{Outcome, Plan, Thresholds, Tick, Timing, guarded};

#[path = "../../../benches/world/mod.rs"]
#[allow(dead_code, reason = "it is shared with a bench, which uses more of it")]
mod world;

use world::{by_expression, request, world};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let times = words.get(1).and_then(|times| times.parse().ok());
    match (words.first().map(String::as_str), times) {
        (Some("find"), Some(times)) => find(times),
        (Some("decide"), Some(times)) => decide_among(1, times),
        (Some("decide-10000-routes"), Some(times)) => decide_among(10_000, times),
        (Some("decide-expression"), Some(times)) => {
            let (program, extractor) = by_expression();
            decide(&program, &extractor, 1, times);
        }
        (Some("record"), Some(times)) => record(times),
        _ => eprintln!("counted WHAT TIMES; `make instructions` says what"),
    }
}

fn find(times: u64) {
    let ((program, _), request) = (world(1), request(1));
    for _ in 0..times {
        black_box(program.find(&request, black_box(&request.path)).map(|found| found.route));
    }
}

fn decide_among(routes: usize, times: u64) {
    let (program, extractor) = world(routes);
    decide(&program, &extractor, routes, times);
}

fn decide(program: &Program, extractor: &Extractor, routes: usize, times: u64) {
    let request = request(routes);
    for _ in 0..times {
        let path = NormalPath::new(black_box(&request.path), AllowEncoded::default()).expect("the path is normal");
        let found = program.find(&request, path.as_str()).expect("the path has a route");
        let facts = extractor.facts(&request, &found, Peer::local());
        black_box(program.decide(found.route, &Inputs::of(&facts)));
    }
}

fn record(times: u64) {
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
    let plan = Plan::new(thresholds, timing).expect("the plan of this file is valid");
    let (guard, _watch) = guarded(plan, 2, 7, Tick::START);
    for number in 0..times {
        let ended = Tick::from_nanos(100_000 << (number % 11));
        let _admission = black_box(guard.admit(black_box(ended)));
        guard.record(black_box(0), None, black_box(Outcome::Success), Tick::START, ended);
    }
}
