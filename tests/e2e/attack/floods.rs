//! Floods of HTTP/2 frames: each ends its connection, costs little memory, and nobody else notices.

use std::thread::sleep;
use std::time::Duration;

use super::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Heard, PING, PRIORITY, RST_STREAM, Raw, SETTINGS,
    WINDOW_UPDATE, attacked, block, closed_for, frame, get,
};
use crate::harness::{Origin, Plan, Sidecar, answer, eventually};

const ENHANCE_YOUR_CALM: u32 = 11;
const REFUSED_STREAM: u32 = 7;
const CANCEL: [u8; 4] = 8u32.to_be_bytes();

fn limited(limits: &str) -> (Sidecar, Origin) {
    let origin = Origin::lane("stable");
    (Sidecar::start(&Plan::to(origin.address()).more(&format!("limits: {{ {limits} }}"))), origin)
}

/// Answers nobody but the one who looks on.
fn silent_but_for_others() -> Origin {
    Origin::start(|visit| {
        if let Some(request) = visit.request() {
            if request.head.target() == "/other" {
                let _ = visit.send(answer("200 OK", "Connection: close\r\n", b""));
            } else {
                visit.wait_for_close();
            }
        }
    })
}

/// Told to be calm, where the word arrived: a system that gets bytes behind an end may throw it away.
fn check_calm(heard: &Heard) {
    assert!(heard.goaway().is_none_or(|reason| reason == ENHANCE_YOUR_CALM || reason == 0), "{:?}", heard.goaway());
}

/// The n-th stream of a client.
fn stream(turn: u32) -> u32 {
    2 * turn + 1
}

/// Sends the same frame over and over.
fn check_repeated(what: &str, one: impl Fn(u32) -> Vec<u8>, reasons: &[&str]) {
    let (sidecar, _origin) = limited("h2_streams: 128");
    attacked(&sidecar, what, || {
        let mut raw = Raw::connect(sidecar.traffic(), &[]);
        raw.send(&frame(HEADERS, END_HEADERS, 1, &block("POST")));
        check_calm(&raw.until_ended(|turn| (0..64).flat_map(|n| one(turn * 64 + n)).collect()));
        closed_for(&sidecar, reasons)
    });
}

#[test]
fn row_21_rapid_reset_ends_the_connection() {
    let (sidecar, _origin) = limited("h2_streams: 128");
    attacked(&sidecar, "rapid reset (CVE-2023-44487)", || {
        let raw = Raw::connect(sidecar.traffic(), &[]);
        check_calm(&raw.until_ended(|turn| [get(stream(turn)), frame(RST_STREAM, 0, stream(turn), &CANCEL)].concat()));
        closed_for(&sidecar, &["h2_reset_rate", "h2_calm"])
    });
}

#[test]
fn row_21_resets_at_a_pace_below_the_limit_of_a_second_end_the_connection_too() {
    let (sidecar, origin) = limited("h2_resets: 50, h2_resets_per_second: 100000");
    attacked(&sidecar, "paced reset, below the limit of a second", || {
        let mut raw = Raw::connect(sidecar.traffic(), &[]);
        let mut turns = 0;
        while raw.send(&get(stream(turns))) {
            // The attacker's pace.
            sleep(Duration::from_millis(2));
            if !raw.send(&frame(RST_STREAM, 0, stream(turns), &CANCEL)) {
                break;
            }
            turns += 1;
            assert!(turns < 1000, "{turns} resets were taken");
        }
        check_calm(&raw.heard());
        // On a busy machine many resets may arrive together: then the codec's own bound may come first.
        closed_for(&sidecar, &["h2_resets", "h2_calm"])
    });
    assert!(origin.connections() > 0, "the streams were real requests");
}

#[test]
fn row_21_who_resets_some_of_many_streams_stays() {
    // It is about their share: how many come in a second is up to the machine.
    let (sidecar, _origin) = limited("h2_resets: 20, h2_resets_per_second: 100000");
    let mut raw = Raw::connect(sidecar.traffic(), &[]);
    let is_reset = |stream: u32| stream % 20 == 1;
    for turn in 0..300 {
        assert!(raw.send(&get(stream(turn))), "ended after {turn}");
        if is_reset(stream(turn)) {
            assert!(raw.send(&frame(RST_STREAM, 0, stream(turn), &CANCEL)), "ended after {turn}");
        }
        if turn % 10 == 9 {
            eventually("the streams that were not reset to be answered", || {
                let heard = raw.heard_so_far();
                let answers = heard.frames.iter().filter(|(kind, _, stream, _)| *kind == HEADERS && !is_reset(*stream));
                (answers.count() >= (turn + 1) as usize / 10 * 9).then_some(())
            });
        }
    }
    for reason in ["h2_resets", "h2_reset_rate", "h2_calm", "h2_control_frames"] {
        assert_eq!(sidecar.metric("graylane_connections_closed_total", &[("reason", reason)]), 0.0, "{reason}");
    }
}

/// What a client sends on its n-th stream.
type Frames = fn(u32) -> Vec<u8>;

/// The ways to break a stream so that it is us who reset it (CVE-2025-8671), each with the frames behind its head.
fn broken_streams() -> Vec<(&'static str, Frames)> {
    fn open(turn: u32) -> Vec<u8> {
        frame(HEADERS, END_HEADERS, stream(turn), &block("POST"))
    }
    fn window(turn: u32, by: u32) -> Vec<u8> {
        [open(turn), frame(WINDOW_UPDATE, 0, stream(turn), &by.to_be_bytes())].concat()
    }
    vec![
        ("a window over its limit", |turn| window(turn, 0x7fff_ffff)),
        ("a window opened by nothing", |turn| window(turn, 0)),
        ("DATA behind the end", |turn| [get(stream(turn)), frame(DATA, 0, stream(turn), b"more")].concat()),
        ("HEADERS behind the end", |turn| get(stream(turn)).repeat(2)),
        ("a second head", |turn| open(turn).repeat(2)),
        ("PRIORITY of a wrong length", |turn| [open(turn), frame(PRIORITY, 0, stream(turn), &[0; 4])].concat()),
        ("a stream that depends on itself", |turn| {
            let itself = [&stream(turn).to_be_bytes()[..], &[15]].concat();
            [open(turn), frame(PRIORITY, 0, stream(turn), &itself)].concat()
        }),
        ("a body longer than its length", |turn| {
            let fields = [block("POST"), [&[0x0f, 0x0d, 1][..], b"1"].concat()].concat();
            let head = frame(HEADERS, END_HEADERS, stream(turn), &fields);
            [head, frame(DATA, 0, stream(turn), b"two")].concat()
        }),
        ("a head that is malformed", |turn| {
            let fields = [block("GET"), [&[0, 10][..], b"connection", &[5], b"close"].concat()].concat();
            frame(HEADERS, END_HEADERS | END_STREAM, stream(turn), &fields)
        }),
    ]
}

#[test]
fn row_21_streams_broken_on_purpose_end_the_connection() {
    for (what, broken) in broken_streams() {
        let (sidecar, _origin) = limited("h2_resets: 50");
        attacked(&sidecar, &format!("streams broken on purpose (CVE-2025-8671): {what}"), || {
            let raw = Raw::connect(sidecar.traffic(), &[]);
            // Which error it is that ends it is told by the codec.
            raw.until_ended(broken);
            closed_for(&sidecar, &["h2_calm", "h2_reset_rate", "h2_protocol", "h2_control_frames"])
        });
    }
}

#[test]
fn row_21_pings_without_end_end_the_connection() {
    check_repeated("ping flood (CVE-2019-9512)", |_| frame(PING, 0, 0, &[0; 8]), &["h2_control_frames"]);
}

#[test]
fn row_21_settings_without_end_end_the_connection() {
    check_repeated("settings flood (CVE-2019-9515)", |_| frame(SETTINGS, 0, 0, &[]), &["h2_control_frames"]);
}

#[test]
fn row_21_settings_of_thousands_of_values_end_the_connection() {
    // CVE-2020-11080: each frame is as large as may be, and every value of it has to be taken.
    let values = [0, 3, 0, 0, 0, 100].repeat(2730);
    check_repeated(
        "settings flood, 2730 values a frame (CVE-2020-11080)",
        move |_| frame(SETTINGS, 0, 0, &values),
        &["h2_control_frames"],
    );
}

#[test]
fn row_21_priorities_without_end_end_the_connection() {
    check_repeated(
        "priority flood (CVE-2019-9513)",
        |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 9]),
        &["h2_control_frames"],
    );
}

#[test]
fn row_21_empty_data_without_end_ends_the_connection() {
    check_repeated("empty DATA (CVE-2019-9518)", |_| frame(DATA, 0, 1, &[]), &["h2_control_frames", "h2_calm"]);
}

#[test]
fn row_21_windows_opened_by_one_byte_end_the_connection() {
    let one = 1u32.to_be_bytes();
    check_repeated("windows opened byte by byte", |_| frame(WINDOW_UPDATE, 0, 0, &one), &["h2_control_frames"]);
}

#[test]
fn row_21_unknown_frames_without_end_end_the_connection() {
    check_repeated("unknown frames", |_| frame(0x42, 0, 0, b"what?"), &["h2_control_frames"]);
}

#[test]
fn row_21_continuations_without_end_end_the_connection() {
    // CVE-2024-27316 and others: a header section that never ends, in large pieces, small ones and empty ones.
    for (what, piece) in [
        ("CONTINUATION flood, 16 KiB each", vec![0; 16_384]),
        ("CONTINUATION flood, 1 byte each", vec![0]),
        ("CONTINUATION flood, empty", Vec::new()),
    ] {
        let (sidecar, origin) = limited("h2_streams: 128");
        attacked(&sidecar, what, || {
            let mut raw = Raw::connect(sidecar.traffic(), &[]);
            raw.send(&frame(HEADERS, END_STREAM, 1, &block("GET")));
            check_calm(&raw.until_ended(|_| frame(CONTINUATION, 0, 1, &piece)));
            closed_for(&sidecar, &["h2_calm", "h2_control_frames", "h2_protocol"])
        });
        assert!(origin.requests().iter().all(|request| request.head.target() == "/other"));
    }
}

#[test]
fn row_22_a_header_section_that_is_never_ended_is_timed_out() {
    let origin = silent_but_for_others();
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more("limits: { header_time: 300ms, idle: 60s }"));
    attacked(&sidecar, "a header section without its end, beside an open stream", || {
        let mut raw = Raw::connect(sidecar.traffic(), &[]);
        // A stream under way keeps the connection from being idle.
        raw.send(&[get(1), frame(HEADERS, END_STREAM, 3, &block("GET"))].concat());
        check_calm(&raw.heard());
        closed_for(&sidecar, &["slow_head"])
    });
}

#[test]
fn row_22_a_head_that_drips_within_its_frame_is_timed_out() {
    let origin = silent_but_for_others();
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more("limits: { header_time: 300ms, idle: 60s }"));
    attacked(&sidecar, "a head that drips within one HEADERS frame, beside an open stream", || {
        let mut raw = Raw::connect(sidecar.traffic(), &[]);
        let head = get(3);
        raw.send(&[get(1), head[..12].to_vec()].concat());
        let mut rest = head[12..head.len() - 1].iter();
        check_calm(&raw.until_ended(|_| {
            // The attacker's pace.
            sleep(Duration::from_millis(50));
            rest.next().map(|byte| vec![*byte]).unwrap_or_default()
        }));
        closed_for(&sidecar, &["slow_head"])
    });
}

#[test]
fn row_21_resets_within_the_limit_of_a_second_are_taken_however_they_come() {
    let (sidecar, origin) = limited("h2_resets: 100000, h2_resets_per_second: 500");
    let mut raw = Raw::connect(sidecar.traffic(), &[]);
    // All of them in one piece, so that they are reset before any is served.
    let pairs = (0..400).map(|turn| [get(stream(turn)), frame(RST_STREAM, 0, stream(turn), &CANCEL)].concat());
    raw.send(&pairs.collect::<Vec<_>>().concat());
    raw.send(&get(stream(400)));
    let heard = raw.leave_after("the answer to the last stream", |heard| {
        heard.goaway().is_some()
            || heard.frames.iter().any(|(kind, _, number, _)| (*kind, *number) == (HEADERS, stream(400)))
    });
    assert_eq!(heard.goaway(), None);
    assert!(origin.connections() < 100, "{} upstream connections for nobody", origin.connections());
}

#[test]
fn row_21_a_header_list_that_unfolds_is_refused() {
    // RFC 7541: one entry of 4000 bytes goes into the table, and each further byte is that entry once more.
    let (sidecar, origin) = limited("h2_streams: 128");
    let value = [b'x'; 3900];
    let entry = [&[0x40, 1, b'x', 0x7f][..], &[0xbd, 0x1d], &value].concat();
    attacked(&sidecar, "header list bomb (CVE-2016-6581): 16 KiB that mean 48 MiB", || {
        let mut raw = Raw::connect(sidecar.traffic(), &[]);
        let bomb = [block("GET"), entry.clone(), vec![0xbe; 12_000]].concat();
        for turn in 0..20 {
            raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream(turn), &bomb));
        }
        let answered = |heard: &Heard| heard.frames.iter().filter(|(kind, ..)| *kind == HEADERS).count();
        raw.leave_after("20 answers or an end", |heard| answered(heard) >= 20 || heard.goaway().is_some());
        String::from("refused, none at the origin")
    });
    assert!(origin.requests().iter().all(|request| request.head.target() == "/other"));
}

#[test]
fn row_21_streams_beyond_the_limit_are_refused() {
    let origin = silent_but_for_others();
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more("limits: { h2_streams: 50 }"));
    attacked(&sidecar, "1000 streams at once, 50 allowed", || {
        let mut raw = Raw::connect(sidecar.traffic(), &[]);
        (0..1000).for_each(|turn| _ = raw.send(&get(stream(turn))));
        let refused = |heard: &Heard| heard.resets().iter().filter(|(_, reason)| *reason == REFUSED_STREAM).count();
        let heard = raw.leave_after("950 refused streams", |heard| refused(heard) >= 950);
        assert_eq!(refused(&heard), 950);
        String::from("950 refused (REFUSED_STREAM)")
    });
    sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
}

#[test]
fn row_22_streams_whose_window_stays_shut_are_timed_out() {
    let origin = Origin::answering(|received| match received.head.target() {
        "/other" => answer("200 OK", "", b""),
        _ => answer("200 OK", "", &vec![b'x'; 1024 * 1024]),
    });
    let plan = Plan::new().upstream("stable", origin.address());
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { idle: 400ms }");
    let sidecar = Sidecar::start(&plan);
    attacked(&sidecar, "100 streams with a window of 0", || {
        let mut raw = Raw::connect(sidecar.traffic(), &[(4, 0)]);
        (0..100).for_each(|turn| assert!(raw.send(&get(stream(turn)))));
        let heard = raw.leave_after("100 resets", |heard| heard.resets().len() >= 100);
        assert_eq!(heard.resets().len(), 100, "{:?}", heard.resets());
        String::from("each stream reset after `idle`: `answer`")
    });
    assert!(sidecar.metric("graylane_slow_clients_total", &[("reason", "answer")]) >= 100.0);
    sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
}

#[test]
fn row_22_answers_that_are_taken_byte_by_byte_are_timed_out() {
    let origin = Origin::answering(|received| match received.head.target() {
        "/other" => answer("200 OK", "", b""),
        _ => answer("200 OK", "", &vec![b'x'; 1024 * 1024]),
    });
    let plan = Plan::new().upstream("stable", origin.address());
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { idle: 400ms }");
    let sidecar = Sidecar::start(&plan.more("limits: { h2_control_frames_per_second: 100000 }"));
    attacked(&sidecar, "50 streams whose window opens by one byte at a time", || {
        let mut raw = Raw::connect(sidecar.traffic(), &[(4, 0)]);
        (0..50).for_each(|turn| assert!(raw.send(&get(stream(turn)))));
        let one = 1u32.to_be_bytes();
        while raw.heard_so_far().resets().len() < 50 {
            let opened: Vec<u8> = (0..50).flat_map(|turn| frame(WINDOW_UPDATE, 0, stream(turn), &one)).collect();
            assert!(raw.send(&opened), "{:?}", raw.heard_so_far().goaway());
            // The attacker's pace.
            sleep(Duration::from_millis(20));
        }
        let heard = raw.leave_after("50 resets", |heard| heard.resets().len() >= 50);
        // Some of the answer was taken, and never a whole part of it.
        let taken = heard.frames.iter().filter(|(kind, ..)| *kind == DATA).count();
        assert!(taken > 50, "{taken}");
        String::from("each stream reset after `idle`: `answer`")
    });
    sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
    assert!(sidecar.metric("graylane_slow_clients_total", &[("reason", "answer")]) >= 50.0);
}
