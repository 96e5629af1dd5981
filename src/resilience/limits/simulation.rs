//! Adaptive limits before simulated upstreams that never fail: they only get slower, as queues do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::{AdaptiveLimit, AdaptivePermit, AdaptivePlan};
use crate::resilience::outcome::Load;
use crate::resilience::tick::Tick;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;

/// Workers that serve one call at a time each, before which calls wait in order.
struct Upstream {
    workers: usize,
    /// How long the call of this number takes, in nanoseconds.
    takes: fn(u64) -> u64,
}

/// What a run came to.
struct Ran {
    /// The limit, once a tenth of a second.
    limits: Vec<u32>,
    /// Calls answered in the second half.
    answered: u64,
    /// Their mean latency.
    latency: Duration,
    refused: u64,
}

struct Waiting {
    permit: AdaptivePermit,
    arrived: u64,
    takes: u64,
}

/// So many seconds of calls that come evenly, `per_second` of them.
fn run(upstream: &Upstream, per_second: u64, seconds: u64, most: u32) -> Ran {
    let plan = AdaptivePlan { least: 1, most, initial: most, decrease: 900, latency: None, learns_latency: true };
    let limit = AdaptiveLimit::new(plan).unwrap();
    let mut ran = Ran { limits: Vec::new(), answered: 0, latency: Duration::ZERO, refused: 0 };
    let (mut busy, mut queue) = (BinaryHeap::<Reverse<(u64, u64)>>::new(), VecDeque::<Waiting>::new());
    let mut served: std::collections::HashMap<u64, Waiting> = Default::default();
    let (end, mut sum) = (seconds * SECOND, 0_u64);
    for number in 0.. {
        let arrives = number * SECOND / per_second;
        if arrives >= end {
            break;
        }
        while let Some(Reverse((done, which))) = busy.peek().copied().filter(|Reverse((done, _))| *done <= arrives) {
            busy.pop();
            let Waiting { permit, arrived, .. } = served.remove(&which).unwrap();
            permit.done(Load::Fine, Duration::from_nanos(done - arrived), Tick::from_nanos(done));
            if done > end / 2 {
                ran.answered += 1;
                sum += done - arrived;
            }
            if let Some(next) = queue.pop_front() {
                busy.push(Reverse((done + next.takes, which)));
                served.insert(which, next);
            }
        }
        match limit.enter(Tick::from_nanos(arrives)) {
            None => ran.refused += 1,
            Some(permit) => {
                let call = Waiting { permit, arrived: arrives, takes: (upstream.takes)(number) };
                if busy.len() < upstream.workers {
                    busy.push(Reverse((arrives + call.takes, number)));
                    served.insert(number, call);
                } else {
                    queue.push_back(call);
                }
            }
        }
        if arrives / (SECOND / 10) >= ran.limits.len() as u64 {
            ran.limits.push(limit.limit());
        }
    }
    ran.latency = Duration::from_nanos(sum / ran.answered.max(1));
    ran
}

/// Evenly 10 ms, give or take 2.
fn even(number: u64) -> u64 {
    (8 + number * 7 % 5) * MILLI
}

/// Nine hits of 2 ms to a miss of 60.
fn mixed(number: u64) -> u64 {
    if number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xff < 26 { 60 * MILLI } else { 2 * MILLI }
}

#[test]
fn it_finds_what_an_upstream_bears_that_only_gets_slower() {
    // 20 workers of 10 ms are 2000 calls a second and 20 at a time; twice as many come.
    let ran = run(&Upstream { workers: 20, takes: even }, 4_000, 60, 1_000);
    let late = &ran.limits[400..];
    let mean = late.iter().sum::<u32>() as f64 / late.len() as f64;
    assert!((18.0..50.0).contains(&mean), "{mean}: {late:?}");
    assert!(ran.latency < Duration::from_millis(25), "{:?} where 1000 at a time would wait 500 ms", ran.latency);
    let share = ran.answered as f64 / (30.0 * 2_000.0);
    assert!(share > 0.9, "{share} of what the upstream can do is done");
}

#[test]
fn a_mix_of_hits_and_misses_is_no_queue() {
    // 7.8 ms in the mean: 50 workers bear 6400 a second; a third of that comes.
    let ran = run(&Upstream { workers: 50, takes: mixed }, 2_000, 20, 60);
    assert_eq!(ran.refused, 0);
    assert_eq!(ran.limits.last(), Some(&60));
}

#[test]
fn a_mix_that_queues_is_found_all_the_same() {
    let ran = run(&Upstream { workers: 20, takes: mixed }, 5_000, 60, 1_000);
    let late = &ran.limits[400..];
    let mean = late.iter().sum::<u32>() as f64 / late.len() as f64;
    assert!((15.0..120.0).contains(&mean), "{mean}: {late:?}");
    let share = ran.answered as f64 / (30.0 * 20.0 / 0.0079);
    assert!(share > 0.85, "{share} of what the upstream can do is done");
}

#[test]
fn what_the_upstream_bears_is_never_refused() {
    let ran = run(&Upstream { workers: 20, takes: even }, 1_500, 30, 100);
    assert_eq!(ran.refused, 0);
}
