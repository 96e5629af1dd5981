//! Which failed gray attempts go to stable, and with what.

use crate::harness::{Origin, Plan, Port, Sidecar, answer};

const EVERYONE: &str = "level: full\nsalt: s";
const SHIELD: &str = "shield: { on: [connect, reset, 500, 503, 504], max_body: 1KiB, budget: 100% }";

/// A route whose every request is decided for gray, shielded by `keys`.
fn plan(stable: &Origin, gray: impl std::fmt::Display, keys: &str) -> Plan {
    Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray)
        .release("r", EVERYONE)
        .more("access_log: all")
        .route("all", "/{*rest}", "stable: stable, gray: gray", &format!("release: r\n{keys}"))
}

fn failing(status: &'static str) -> Origin {
    Origin::answering(move |_| answer(status, "", b"gray is broken"))
}

#[test]
fn a_listed_status_of_gray_becomes_stables_answer_and_is_told() {
    let (stable, gray) = (Origin::lane("stable"), failing("503 Service Unavailable"));
    let sidecar = Sidecar::start(&plan(&stable, gray.address(), SHIELD));
    let response = sidecar.get("/p", "x-user-id: u1\r\n");
    assert_eq!((response.status(), response.get("x-lane").as_deref()), (200, Some("stable")));
    assert_eq!(gray.only().head.get("x-gray-lane").as_deref(), Some("gray"));
    assert_eq!(stable.only().head.get("x-gray-lane").as_deref(), Some("stable"));
    sidecar.wait_for_metric("graylane_shielded_total", &[("route", "all")], 1.0);
    let line = &sidecar.wait_for_log(1)[0];
    assert_eq!(
        (&line["lane"], &line["shielded"], &line["status"]),
        (&"stable".into(), &"held_back".into(), &200.into())
    );
}

#[test]
fn a_status_that_is_not_listed_is_the_answer() {
    let (stable, gray) = (Origin::lane("stable"), failing("502 Bad Gateway"));
    let sidecar = Sidecar::start(&plan(&stable, gray.address(), SHIELD));
    let response = sidecar.get("/p", "");
    assert_eq!((response.status(), response.text().as_str()), (502, "gray is broken"));
    assert!(stable.requests().is_empty());
}

#[test]
fn a_gray_that_is_down_costs_nobody_an_answer_whatever_the_method() {
    let (stable, nobody) = (Origin::lane("stable"), Port::reserve());
    let keys = "shield: { on: [connect], budget: 0% }";
    let sidecar = Sidecar::start(&plan(&stable, nobody.address(), keys));
    let mut client = sidecar.client();
    let response = client.exchange(b"POST /o HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(response.status(), 200);
    assert_eq!(stable.only().body, b"hello");
}

#[test]
fn a_gray_that_hangs_up_or_hangs_is_made_good() {
    let stable = Origin::lane("stable");
    let rude = Origin::start(|visit| _ = visit.request());
    let sidecar = Sidecar::start(&plan(&stable, rude.address(), SHIELD));
    assert_eq!(sidecar.get("/p", "").get("x-lane").as_deref(), Some("stable"));

    let mute = Origin::start(|visit| {
        visit.request();
        visit.wait_for_close();
    });
    let keys = format!("{SHIELD}\ntimeouts: {{ first_byte: 200ms }}");
    let sidecar = Sidecar::start(&plan(&stable, mute.address(), &keys));
    assert_eq!(sidecar.get("/p", "").get("x-lane").as_deref(), Some("stable"));
    mute.wait_closed(1);
}

#[test]
fn a_post_whose_bytes_left_is_repeated_only_where_both_lanes_share_one_store() {
    let request = b"POST /o HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let (stable, gray) = (Origin::lane("stable"), failing("500 Internal Server Error"));
    let sidecar = Sidecar::start(&plan(&stable, gray.address(), SHIELD));
    assert_eq!(sidecar.client().exchange(request).status(), 500);
    assert!(stable.requests().is_empty());

    let shared = SHIELD.replace("budget", "shared_idempotency: true, budget");
    let sidecar = Sidecar::start(&plan(&stable, gray.address(), &shared));
    assert_eq!(sidecar.client().exchange(request).status(), 200);
    assert_eq!(stable.only().body, b"hello");
}

#[test]
fn a_body_is_repeated_whole_or_not_at_all() {
    let (stable, gray) = (Origin::lane("stable"), failing("500 Internal Server Error"));
    let keys = SHIELD.replace("max_body: 1KiB", "max_body: 200KiB");
    let sidecar = Sidecar::start(&plan(&stable, gray.address(), &keys));
    let put = |length: usize| {
        let mut request = format!("PUT /o HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        request.extend((0..length).map(|at| b'a' + (at % 26) as u8));
        request
    };
    let kept = put(150 * 1024);
    assert_eq!(sidecar.client().exchange(&kept).status(), 200);
    assert!(kept.ends_with(&stable.only().body) && stable.only().body.len() == 150 * 1024);
    assert_eq!(sidecar.client().exchange(&put(300 * 1024)).status(), 500);
    assert_eq!(stable.requests().len(), 1);
}

#[test]
fn stable_is_asked_once_and_its_failure_is_the_answer() {
    let (stable, gray) = (failing("503 Service Unavailable"), failing("500 Internal Server Error"));
    let sidecar = Sidecar::start(&plan(&stable, gray.address(), SHIELD));
    assert_eq!(sidecar.get("/p", "").status(), 503);
    assert_eq!((gray.requests().len(), stable.requests().len()), (1, 1));
}

#[test]
fn a_request_decided_for_stable_has_no_shield() {
    let (stable, gray) = (failing("503 Service Unavailable"), Origin::lane("gray"));
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: developer")
        .route("all", "/{*rest}", "stable: stable, gray: gray", &format!("release: r\n{SHIELD}"));
    let sidecar = Sidecar::start(&plan);
    assert_eq!(sidecar.get("/p", "").status(), 503);
    assert!(gray.requests().is_empty());
}
