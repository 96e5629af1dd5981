//! The balances beside each other, on endpoints that misbehave: events in their order, no clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::balance::{Fitness, Load, choose, next_draw};
use super::ewma::PeakEwma;
use super::slow_start::WHOLE;
use crate::config::Balance;

/// How an endpoint answers at a time: after so long, and whether it failed.
type Behaviour = fn(Duration) -> (Duration, bool);

struct World {
    balance: Balance,
    endpoints: Vec<(Behaviour, PeakEwma, u32)>,
    random: u64,
    start: Instant,
    /// When an answer comes, from whom, when it was asked, whether it failed.
    answers: BinaryHeap<Reverse<(Duration, usize, Duration, bool)>>,
    now: Duration,
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn good(_: Duration) -> (Duration, bool) {
    (ms(5), false)
}

impl World {
    fn new(balance: Balance, behaviours: &[Behaviour]) -> Self {
        let endpoints = behaviours.iter().map(|behaviour| (*behaviour, PeakEwma::default(), 0)).collect();
        Self { balance, endpoints, random: 7, start: Instant::now(), answers: BinaryHeap::new(), now: Duration::ZERO }
    }

    /// A request every so often, for so long; the share in permille of each endpoint.
    fn run(&mut self, every: Duration, time: Duration) -> Vec<u32> {
        let (mut counts, end) = (vec![0u32; self.endpoints.len()], self.now + time);
        while self.now < end {
            self.now += every;
            self.receive();
            let (state, draw) = next_draw(self.random);
            self.random = state;
            let at = choose(self.endpoints.len(), &[], draw, |at| self.load(at)).unwrap();
            counts[at] += 1;
            let (took, failed) = (self.endpoints[at].0)(self.now);
            self.endpoints[at].2 += 1;
            self.answers.push(Reverse((self.now + took, at, self.now, failed)));
        }
        let all: u32 = counts.iter().sum();
        counts.iter().map(|count| count * 1000 / all).collect()
    }

    fn receive(&mut self) {
        while let Some(Reverse((at, ..))) = self.answers.peek()
            && *at <= self.now
        {
            let Some(Reverse((at, from, asked, failed))) = self.answers.pop() else { return };
            let (took, now) = (at - asked, self.start + at);
            let (_, ewma, in_flight) = &mut self.endpoints[from];
            *in_flight -= 1;
            if failed { ewma.failed(took, now) } else { ewma.answered(took, now) }
        }
    }

    fn load(&self, at: usize) -> Load {
        let (_, ewma, in_flight) = &self.endpoints[at];
        let cost = match self.balance {
            Balance::P2c => u64::from(*in_flight),
            Balance::LeastLatency => ewma.cost(*in_flight, self.start + self.now),
        };
        Load { fitness: Fitness::Fit, cost, warmth: WHOLE }
    }
}

#[test]
fn failing_fast_wins_under_p2c_and_loses_under_least_latency() {
    let failing: Behaviour = |_| (Duration::from_micros(200), true);
    let run = |balance| World::new(balance, &[failing, good, good]).run(ms(2), ms(20_000));
    assert!(run(Balance::P2c)[0] > 450, "{:?}", run(Balance::P2c));
    assert!(run(Balance::LeastLatency)[0] < 10, "{:?}", run(Balance::LeastLatency));
}

#[test]
fn an_endpoint_that_fails_after_answering_well_is_left_soon() {
    let turning: Behaviour = |now| if now < ms(5_000) { good(now) } else { (Duration::from_micros(100), true) };
    let mut world = World::new(Balance::LeastLatency, &[turning, good, good]);
    assert!(world.run(ms(2), ms(5_000))[0] > 200);
    assert!(world.run(ms(2), ms(5_000))[0] < 20);
}

#[test]
fn the_slow_one_of_three_is_avoided_and_comes_back_when_it_is_fast_again() {
    let healing: Behaviour = |now| if now < ms(20_000) { (ms(80), false) } else { good(now) };
    let mut world = World::new(Balance::LeastLatency, &[healing, good, good]);
    assert!(world.run(ms(2), ms(20_000))[0] < 60);
    world.run(ms(2), ms(60_000));
    let shares = world.run(ms(2), ms(20_000));
    assert!(shares[0] > 200, "{shares:?}");
}

#[test]
fn a_few_failures_everywhere_leave_the_shares_alike() {
    let faulty: Behaviour = |now| (ms(5), now.as_millis().is_multiple_of(500));
    let mut world = World::new(Balance::LeastLatency, &[faulty, faulty, faulty]);
    let shares = world.run(ms(2), ms(60_000));
    assert!(shares.iter().all(|share| (230..440).contains(share)), "{shares:?}");
}
