//! What lanes may be sent and when the process has too much: what is refused, and what the defaults are.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::{AdaptiveBounds, H2Limits, LaneLimits, OverLimit, Overload, RateLimit};
use super::{check, lines, load};

/// A configuration whose one route has these limits, from line 3, column 13 on.
fn text(limits: &str) -> String {
    let upstreams = "service: goods\nupstreams: { a: { endpoints: [goods:80] } }\n";
    let routes = "routes: [{ name: all, match: {}, lanes: { stable: a, gold: a } }]\n";
    let routes = routes.replace("gold: a }", &format!("gold: a }},\n  limits: {{ {limits} }}"));
    format!("{upstreams}{routes}")
}

#[track_caller]
fn limits(written: &str) -> [Option<LaneLimits>; 2] {
    match load(text(written)) {
        Ok(loaded) => [0, 1].map(|lane| loaded.settings.routes[0].limits.get(lane).copied().flatten()),
        Err(problems) => panic!("{}", lines(problems.iter())),
    }
}

#[test]
fn limits_stand_at_the_places_of_their_lanes() {
    let number = |number| NonZeroU32::new(number).expect("not 0");
    let gold = LaneLimits {
        concurrency: Some(50),
        adaptive: Some(AdaptiveBounds { least: 5, most: 40 }),
        rate: Some(RateLimit { per_second: number(100), burst: number(20) }),
        over: OverLimit::Stable,
    };
    let written = "gold: { concurrency: 50, adaptive: { least: 5, most: 40 }, rate: 100, burst: 20, over: stable }";
    assert_eq!(limits(written), [None, Some(gold)]);

    let rate = Some(RateLimit { per_second: number(7), burst: number(7) });
    let stable = LaneLimits { concurrency: None, adaptive: None, rate, over: OverLimit::Reject };
    assert_eq!(limits("stable: { rate: 7 }"), [Some(stable), None]);
    let bounds = limits("stable: { adaptive: { most: 9 } }")[0].and_then(|limits| limits.adaptive);
    assert_eq!(bounds, Some(AdaptiveBounds { least: 1, most: 9 }));
    assert_eq!(limits(""), [None, None]);
}

#[test]
fn a_lane_has_to_be_one_of_the_route() {
    check(text("gould: { rate: 5 }"), "4:13: route `all` has no lane `gould` (did you mean `gold`?)");
    check(
        text("stable: { rate: 5, over: stable }"),
        "4:38: `over: stable` is for other lanes: what stable has no room for goes nowhere else",
    );
    check(
        text("gold: { rate: 5, over: stabel }"),
        "4:36: `stabel` is not an answer to a reached limit (did you mean `stable`?)",
    );
}

#[test]
fn numbers_that_make_no_limit_are_refused() {
    check(text("gold: { concurrency: 0 }"), "4:34: `concurrency` is a number from 1 to 1000000, not 0");
    check(text("gold: { rate: 1000001 }"), "4:27: `rate` is a number from 1 to 1000000, not 1000001");
    check(text("gold: { rate: 5, burst: 0 }"), "4:37: `burst` is a number from 1 to 1000000, not 0");
    check(text("gold: { burst: 5 }"), "4:28: `burst` means nothing without `rate`");
    check(text("gold: { adaptive: { least: 5, most: 4 } }"), "4:40: `least` of 5 is more than `most`, 4");
    check(text("gold: { adaptive: { most: 0 } }"), "4:39: `most` is a number from 1 to 1000000, not 0");
    check(text("gold: { adaptive: { least: 5 } }"), "4:33: missing field `most` in `adaptive`");
}

#[test]
fn limits_that_limit_nothing_are_told() {
    let loaded = load(text("gold: { over: stable }")).expect("it is valid");
    let found = lines(loaded.warnings.iter());
    assert!(found.contains("lane `gold` is not limited by this"), "{found}");
}

#[track_caller]
fn overload(keys: &str) -> Overload {
    load(format!("{}overload: {keys}\n", text(""))).expect("it is valid").settings.overload
}

#[test]
fn the_process_refuses_nothing_unless_it_is_told_to() {
    assert_eq!(load(text("")).expect("it is valid").settings.overload, Overload::default());
    assert_eq!(overload("{}"), Overload { inflight: None, memory: None, delay: None });
    let all = overload("{ inflight: 500, memory: 200MiB, delay: 100ms }");
    let delay = Some(Duration::from_millis(100));
    assert_eq!(all, Overload { inflight: Some(500), memory: Some(200 << 20), delay });
}

#[test]
fn an_overload_that_is_always_or_never_is_refused() {
    let check = |keys: &str, expected: &str| check(format!("{}overload: {keys}\n", text("")), expected);
    check("{ inflight: 0 }", "5:23: `inflight` is a number from 1 to 1000000, not 0");
    check("{ memory: 64KiB }", "5:21: `memory` is at least 1MiB");
    check("{ delay: 0s }", "5:20: `delay` cannot be 0");
    check("{ delay: 1ms }", "5:20: `delay` is at least 5ms: timers are not more exact");
}

#[test]
fn limits_of_clients_are_what_is_written_and_bad_ones_are_told() {
    let text = |limits: &str| {
        format!(
            "service: goods\nlimits: {{ {limits} }}\nupstreams: {{ a: {{ endpoints: [goods:80] }} }}\n\
             routes: [{{ name: all, match: {{}}, lanes: {{ stable: a }} }}]\n"
        )
    };
    let of = |written: &str| load(text(written)).map(|loaded| loaded.settings.limits);
    let default = of("idle: 75s").unwrap_or_else(|problems| panic!("{}", lines(problems.iter())));
    assert_eq!((default.connections, default.connections_per_peer, default.header_count), (32_768, 4096, 128));
    assert_eq!(default.h2, H2Limits::default());
    let written = "connections: 7, connections_per_peer: 3, header_count: 10000, h2_streams: 5, h2_resets: 6, \
                   h2_resets_per_second: 8, h2_control_frames_per_second: 9";
    let some = of(written).unwrap_or_else(|problems| panic!("{}", lines(problems.iter())));
    assert_eq!((some.connections, some.connections_per_peer, some.header_count), (7, 3, 10_000));
    let h2 = H2Limits { streams: 5, resets: 6, resets_per_second: 8, control_frames_per_second: 9 };
    assert_eq!(some.h2, h2);
    for (key, most) in [
        ("header_count", 10_000),
        ("connections", 1_000_000),
        ("connections_per_peer", 1_000_000),
        ("h2_streams", 10_000),
        ("h2_resets", 1_000_000),
        ("h2_resets_per_second", 1_000_000),
        ("h2_control_frames_per_second", 1_000_000),
    ] {
        for wrong in [0, most + 1] {
            let Err(problems) = of(&format!("{key}: {wrong}")) else { panic!("{key}: {wrong} was taken") };
            let told = lines(problems.iter());
            assert!(told.contains(&format!("`{key}` is a number from 1 to {most}, not {wrong}")), "{told}");
        }
    }
}
