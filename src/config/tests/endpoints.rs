//! How endpoints are watched and chosen among: what is refused, and what the defaults are.

use std::time::Duration;

use super::super::{Balance, Ejection, EndpointPolicy, Health, Probe};
use super::{check, lines, load};

/// A configuration whose one upstream has these further keys, from line 3, column 3 on.
fn text(keys: &str) -> String {
    text_with("goods:80", keys)
}

fn text_with(endpoints: &str, keys: &str) -> String {
    let upstreams = format!("service: goods\nupstreams: {{ up: {{ endpoints: [{endpoints}],\n  {keys} }} }}");
    format!("{upstreams}\nroutes: [{{ name: all, match: {{}}, lanes: {{ stable: up }} }}]\n")
}

#[track_caller]
fn policy(keys: &str) -> EndpointPolicy {
    match load(text(keys)) {
        Ok(loaded) => {
            assert_eq!(lines(loaded.warnings.iter()), "");
            loaded.settings.upstreams[0].policy.clone()
        }
        Err(problems) => panic!("{}", lines(problems.iter())),
    }
}

#[test]
fn without_a_word_nothing_is_watched() {
    let policy = policy("");
    assert_eq!(policy, EndpointPolicy::default());
    assert_eq!((policy.balance, policy.panic.get()), (Balance::P2c, 300));
    assert_eq!((policy.health, policy.ejection, policy.slow_start), (None, None, None));
}

#[test]
fn every_key_is_read() {
    let keys = "balance: least_latency, slow_start: 30s, panic: 0%, ejection: { failures: 3, base: 1s, max: 8s, share: 20% },
        health: { http: /healthz, host: goods.internal, interval: 2s, timeout: 500ms, healthy_after: 1, unhealthy_after: 4 }";
    let policy = policy(keys);
    assert_eq!((policy.balance, policy.panic.get()), (Balance::LeastLatency, 0));
    assert_eq!(policy.slow_start, Some(Duration::from_secs(30)));
    let ejection = policy.ejection.expect("it is written");
    assert_eq!((ejection.failures, ejection.base.as_secs(), ejection.max.as_secs()), (3, 1, 8));
    assert_eq!(ejection.share.get(), 200);
    let expected = Health {
        host: Some("goods.internal".into()),
        interval: Duration::from_secs(2),
        timeout: Duration::from_millis(500),
        healthy_after: 1,
        unhealthy_after: 4,
        ..Health::new(Probe::Http("/healthz".into()))
    };
    assert_eq!(policy.health, Some(expected));
}

#[test]
fn defaults_fit_what_is_written() {
    assert_eq!(policy("ejection: {}").ejection, Some(Ejection::default()));
    assert_eq!(policy("health: { tcp: true }").health, Some(Health::new(Probe::Tcp)));
    assert_eq!(policy("health: { grpc: \"\" }").health, Some(Health::new(Probe::Grpc(String::new()))));
    let quick = policy("health: { grpc: goods.Prices, interval: 200ms }").health.expect("it is written");
    assert_eq!(quick.timeout, Duration::from_millis(200), "a check never takes longer than the interval");
    let long = policy("ejection: { base: 10m }").ejection.expect("it is written");
    assert_eq!(long.max, Duration::from_secs(600));
}

#[test]
fn the_only_address_is_warned_of() {
    for endpoints in ["127.0.0.1:80", "\"[::1]:80\"", "unix:/run/a.sock"] {
        let loaded = load(text_with(endpoints, "ejection: {}")).expect("it is valid");
        let told = lines(loaded.warnings.iter());
        assert_eq!(told, "3:13: the only endpoint of an upstream is never ejected");
    }
    assert!(
        load(text_with("127.0.0.1:80, 127.0.0.1:81", "ejection: {}")).is_ok_and(|loaded| loaded.warnings.is_empty())
    );
}

#[test]
fn a_check_is_of_one_kind() {
    check(text("health: {}"), "3:11: `health` has one of `http`, `grpc`, `tcp`");
    check(text("health: { http: /, tcp: true }"), "3:13: `health` has one of `http`, `grpc`, `tcp`");
    check(text("health: { tcp: false }"), "3:18: only `tcp: true` checks anything");
    check(text("health: { htpt: / }"), "3:13: unknown field `htpt` in `health` (did you mean `http`?)");
    check(text("health: /healthz"), "3:11: expected `health`: a map, found a text");
    check(text("health: { tcp: true, host: a }"), "3:30: a `tcp` check asks for no host");
}

#[test]
fn what_a_check_asks_can_be_asked() {
    check(text("health: { http: healthz }"), "3:19: `healthz` is no path of a check");
    check(text("health: { http: \"/a b\" }"), "3:19: `/a b` is no path of a check");
    check(text("health: { http: \"/a\\r\\nx: y\" }"), "3:19: `/a\\r\\nx: y` is no path of a check");
    check(text("health: { grpc: \"a b\" }"), "3:19: `a b` is no gRPC service");
    check(text("health: { http: /, host: \"a b\" }"), "3:28: `a b` is no host");
    check(text("health: { http: /, host: \"\" }"), "3:28: `` is no host");
}

#[test]
fn times_and_rows_are_within_reason() {
    check(text("health: { tcp: true, interval: 0s }"), "3:34: `interval` cannot be 0");
    check(text("health: { tcp: true, interval: 1ms }"), "3:34: `interval` is at least 10ms");
    check(text("health: { tcp: true, timeout: 0s }"), "3:33: `timeout` cannot be 0");
    check(text("health: { tcp: true, timeout: 6s }"), "3:33: `timeout` is longer than `interval`");
    check(text("health: { tcp: true, healthy_after: 0 }"), "3:39: `healthy_after` is a number from 1 to 1000, not 0");
    check(text("health: { tcp: true, unhealthy_after: -1 }"), "3:41: expected a whole number, found `-1`");
    check(text("ejection: { failures: 0 }"), "3:25: `failures` is a number from 1 to 1000, not 0");
    check(text("ejection: { base: 0s }"), "3:21: `base` cannot be 0");
    check(text("ejection: { max: 0s }"), "3:20: `max` cannot be 0");
    check(text("ejection: { base: 10s, max: 5s }"), "3:31: `max` is shorter than `base`");
    check(text("ejection: { share: 0% }"), "3:22: `share` of 0 would never eject");
    check(text("ejection: { share: 101% }"), "3:22: `101%` is more than 100%");
    check(text("slow_start: 0s"), "3:15: `slow_start` cannot be 0");
    check(text("panic: 30"), "3:10: `30` needs a unit: write `5%` or `50‰`");
    check(text("balance: round_robin"), "3:12: `round_robin` is not a balance");
    check(text("balance: least_latencies"), "3:12: `least_latencies` is not a balance (did you mean `least_latency`?)");
}
