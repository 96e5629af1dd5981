//! Simulated traffic, looked at all the time. Seeded: a failure here is a change of the code, not of luck.

use super::traffic::{Traffic, Weather};
use super::*;

const LOOK_EVERY: u64 = 50;

fn alike(share: u16, errors: f64, slow: f64) -> Weather {
    Weather { share, errors: pair(errors, errors), slow: pair(slow, slow) }
}

/// The share of `runs` in which `alarm` is ever seen at one of the looks over `requests`.
fn alarms(runs: u64, requests: u64, weather: Weather, alarm: impl Fn(&Traffic) -> bool) -> f64 {
    let alarmed = (0..runs).filter(|seed| {
        let mut traffic = Traffic::new(*seed, weather);
        (0..requests / LOOK_EVERY).any(|_| {
            traffic.serve(LOOK_EVERY);
            alarm(&traffic)
        })
    });
    alarmed.count() as f64 / runs as f64
}

fn says_worse(rules: Rules) -> impl Fn(&Traffic) -> bool {
    move |traffic| traffic.comparison.judge(&rules).verdict == Verdict::Worse
}

/// Five percent, so that a rate over it would be seen in some hundred runs; every difference counts.
fn touchy() -> Rules {
    let rules = Rules::default().with_alpha(0.05).unwrap();
    let rules = rules.with_minimum_effect(Figure::Errors, 0.0).unwrap();
    rules.with_minimum_effect(Figure::Slow, 0.0).unwrap()
}

/// What people do instead: a test for one look (one-sided, 5 %), at every look.
fn naive(traffic: &Traffic) -> bool {
    let Pair { stable, gray } = traffic.answered();
    if stable.calls.min(gray.calls) < 100 {
        return false;
    }
    let rate = |counts: Counts| counts.errors as f64 / counts.calls as f64;
    let spread = |counts: Counts| rate(counts) * (1.0 - rate(counts)) / counts.calls as f64;
    rate(gray) - rate(stable) > 1.645 * (spread(gray) + spread(stable)).sqrt()
}

#[test]
fn peeking_at_equal_lanes_alarms_less_often_than_alpha() {
    let weathers = [
        alike(100, 0.0002, 0.01),
        alike(100, 0.02, 0.05),
        alike(500, 0.001, 0.3),
        alike(900, 0.0005, 0.002),
        alike(10, 0.3, 0.5),
    ];
    for weather in weathers {
        let rate = alarms(200, 10_000, weather, says_worse(touchy()));
        assert!(rate < 0.05, "{rate} at {} permille with {} errors", weather.share, weather.errors.gray);
    }
}

#[test]
fn the_same_traffic_fools_who_peeks_with_a_test_for_one_look() {
    let rate = alarms(200, 10_000, alike(500, 0.02, 0.0), naive);
    assert!(rate > 0.15, "{rate}: the simulation would not notice a test that is not valid");
}

#[test]
fn each_test_by_itself_stays_under_alpha() {
    let weather = alike(500, 0.05, 0.0);
    let sequence = |traffic: &Traffic| {
        let judgement = traffic.comparison.judge(&touchy());
        judgement.verdict != Verdict::NoData && judgement.errors.at_least > 0.0
    };
    let ratio = |traffic: &Traffic| traffic.comparison.judge(&touchy()).errors.p_value <= 0.025;
    for rate in [alarms(400, 10_000, weather, sequence), alarms(400, 10_000, weather, ratio)] {
        assert!(rate < 0.025, "{rate}");
    }
}

#[test]
fn a_difference_of_just_the_minimum_effect_alarms_less_often_than_alpha() {
    let rules = touchy().with_minimum_effect(Figure::Errors, 0.02).unwrap();
    let weather = Weather { share: 300, errors: pair(0.03, 0.05), slow: pair(0.0, 0.0) };
    let rate = alarms(400, 20_000, weather, says_worse(rules));
    assert!(rate < 0.05, "{rate}");
}

#[test]
fn outages_of_both_lanes_during_ramps_alarm_less_often_than_alpha() {
    let alarmed = (0..200).filter(|seed| {
        let mut traffic = Traffic::new(*seed, alike(20, 0.0002, 0.01));
        let mut worse = false;
        for (share, errors) in [(50, 0.0002), (100, 0.5), (300, 0.0002), (500, 0.8), (500, 0.01)] {
            for _ in 0..40 {
                traffic.serve(LOOK_EVERY);
                worse |= says_worse(touchy())(&traffic);
            }
            traffic.turn(alike(share, errors, errors));
        }
        worse
    });
    let rate = alarmed.count() as f64 / 200.0;
    assert!(rate < 0.05, "{rate}");
}

#[test]
fn the_right_split_is_taken_for_a_wrong_one_less_often_than_alpha() {
    let rules = Rules::default().with_split_alpha(0.05).unwrap().with_split_tolerance(1.0).unwrap();
    let mismatch = |traffic: &Traffic| traffic.comparison.judge(&rules).split.mismatch;
    for share in [10, 100, 500] {
        let rate = alarms(300, 10_000, alike(share, 0.0, 0.0), mismatch);
        assert!(rate < 0.05, "{rate} at {share} permille");
    }
}

/// Requests of both lanes until `Worse`, at the default rules: the median and the most of 200 runs.
fn requests_to_worse(weather: Weather) -> (u64, u64) {
    let mut needed: Vec<u64> = (0..200)
        .map(|seed| {
            let mut traffic = Traffic::new(seed, weather);
            let mut requests = 0;
            while traffic.comparison.judge(&Rules::default()).verdict != Verdict::Worse {
                traffic.serve(LOOK_EVERY);
                requests += LOOK_EVERY;
                assert!(requests < 100_000, "never found");
            }
            requests
        })
        .collect();
    needed.sort_unstable();
    (needed[100], needed[199])
}

#[test]
fn the_incident_is_found_within_so_many_requests() {
    let incident = Weather { share: 100, errors: pair(0.0002, 0.037), slow: pair(0.001, 0.001) };
    let (median, most) = requests_to_worse(incident);
    assert!(median <= 4_000 && most <= 8_000, "{median} {most}");
}

#[test]
fn a_broken_gray_is_found_within_so_many_requests() {
    let broken = Weather { share: 100, errors: pair(0.0002, 0.92), slow: pair(0.001, 0.001) };
    let (median, most) = requests_to_worse(broken);
    assert!(median <= 1_500 && most <= 1_500, "{median} {most}");
    let slow = Weather { share: 100, errors: pair(0.0002, 0.0002), slow: pair(0.001, 0.3) };
    let (median, most) = requests_to_worse(slow);
    assert!(median <= 1_500 && most <= 1_500, "{median} {most}");
}
