//! What clients do, or leave undone, is no verdict over a lane that answers at once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;

use crate::harness::{Broken, Client, H2Origin, Origin, Plan, Sidecar, answer, collect, h2_client, patient};

/// Enough for a verdict.
const CALLS: usize = 25;
/// Far over the mean that opens the breaker.
const PAUSE: Duration = Duration::from_millis(700);
const BREAKER: &str = "breakers:\n  b: { min_calls: 20, mean: 200ms, slow_call: 300ms, p99: 300ms }\n";

fn plan(stable: &Origin, timeouts: &str, limits: &str) -> Plan {
    Plan::new().upstream("stable", stable.address()).more(&format!("{BREAKER}limits: {{ {limits} }}")).route(
        "all",
        "/{*rest}",
        "stable: stable",
        &format!("breaker: b\ntimeouts: {{ {timeouts} }}"),
    )
}

/// So many clients that all send this.
fn crowd(sidecar: &Sidecar, request: &str) -> Vec<Client> {
    let one = || {
        let mut client = sidecar.client();
        client.send(request.as_bytes());
        client
    };
    (0..CALLS).map(|_| one()).collect()
}

fn statuses(clients: &mut [Client]) -> Vec<u16> {
    clients.iter_mut().map(|client| client.answer_to("POST").status()).collect()
}

/// All of these were served, whatever came of them, and the breaker has not moved.
fn check_no_verdict(sidecar: &Sidecar) {
    sidecar.wait_for_metric("graylane_requests_total", &[("route", "all")], CALLS as f64);
    // The time in which a verdict would come, several times.
    sleep(Duration::from_millis(300));
    assert_eq!(sidecar.metric("graylane_breaker_transitions_total", &[("route", "all"), ("to", "open")]), 0.0);
    assert_eq!(sidecar.get("/", "").status(), 200);
}

const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na";

#[test]
fn an_upload_that_takes_its_time_is_not_the_lanes_time() {
    let stable = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&stable, "", "body_idle: 20s"));
    let mut clients = crowd(&sidecar, UPLOAD);
    // The clients' pace.
    sleep(PAUSE);
    clients.iter_mut().for_each(|client| client.send(b"b"));
    assert_eq!(statuses(&mut clients), [200; CALLS]);
    check_no_verdict(&sidecar);
}

#[test]
fn a_client_that_leaves_within_its_upload_has_not_waited_for_the_lane() {
    let stable = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&stable, "", "body_idle: 20s"));
    let clients = crowd(&sidecar, UPLOAD);
    // The clients' patience with themselves.
    sleep(PAUSE);
    drop(clients);
    check_no_verdict(&sidecar);
}

/// Gives a body up that does not come for a while, with these last words.
fn impatient(words: &'static [u8]) -> Origin {
    Origin::start(move |visit| {
        let Some(head) = visit.head() else { return };
        if head.method() == "GET" {
            let _ = visit.send(answer("200 OK", "Connection: close\r\n", b""));
        } else {
            // Its patience.
            sleep(Duration::from_millis(1300));
            let _ = visit.send(words);
        }
    })
}

#[test]
fn an_upstream_that_gives_up_a_body_that_stops_has_not_failed() {
    for (words, status) in [(&b""[..], 502), (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 503)] {
        let stable = impatient(words);
        let endpoints = format!("endpoints: [\"{}\"], ejection: {{ failures: 5 }}", stable.address());
        let plan =
            Plan::new().upstream_of("stable", &endpoints).more(&format!("{BREAKER}limits: {{ body_idle: 20s }}"));
        let keys = "breaker: b\ntimeouts: { first_byte: 20s }";
        let sidecar = Sidecar::start(&plan.route("all", "/{*rest}", "stable: stable", keys));
        let mut clients = crowd(&sidecar, UPLOAD);
        assert_eq!(statuses(&mut clients), [status; CALLS]);
        check_no_verdict(&sidecar);
        assert_eq!(sidecar.metric("graylane_endpoint_ejections_total", &[]), 0.0);
    }
}

#[test]
fn an_upstream_that_breaks_off_within_an_upload_has_failed() {
    let stable = Origin::start(|visit| {
        let _ = visit.head();
    });
    let sidecar = Sidecar::start(&plan(&stable, "", "body_idle: 20s"));
    let mut clients = crowd(&sidecar, UPLOAD);
    assert!(statuses(&mut clients).iter().all(|status| [502, 503].contains(status)));
    sidecar.wait_for_metric("graylane_breaker_state", &[("route", "all"), ("lane", "stable")], 2.0);
}

#[test]
fn a_request_whose_time_ends_within_its_upload_is_not_the_lanes_failure() {
    let stable = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&stable, "request: 400ms", "body_idle: 20s"));
    let mut clients = crowd(&sidecar, UPLOAD);
    assert_eq!(statuses(&mut clients), [504; CALLS]);
    check_no_verdict(&sidecar);
}

#[test]
fn a_client_that_does_not_take_its_answer_in_time_is_not_the_lanes_failure() {
    let stable = Origin::start(|visit| {
        let Some(request) = visit.request() else { return };
        if request.head.target() == "/" {
            let _ = visit.send(answer("200 OK", "", b""));
        } else if visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n").is_some() {
            // More than all buffers on the way take.
            while visit.send([b'x'; 10_000]).is_some() {}
        }
    });
    let sidecar = Sidecar::start(&plan(&stable, "request: 400ms", ""));
    let clients = crowd(&sidecar, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    check_no_verdict(&sidecar);
    drop(clients);
}

#[test]
fn an_upstream_that_gives_up_an_answer_that_is_not_taken_has_not_failed() {
    let stable = Origin::start(|visit| {
        let Some(request) = visit.request() else { return };
        if request.head.target() == "/" {
            let _ = visit.send(answer("200 OK", "Connection: close\r\n", b""));
        } else if visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").is_some() {
            visit.wire.set_patience_to_send(Duration::from_millis(1300));
            while visit.send([b'x'; 10_000]).is_some() {}
        }
    });
    let sidecar = Sidecar::start(&plan(&stable, "idle: 20s", ""));
    let mut clients: Vec<_> = (0..CALLS).map(|_| Client::connect_narrow(sidecar.traffic())).collect();
    clients.iter_mut().for_each(|client| client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"));
    // In the clients' pause the upstream loses patience. Then each takes what there is, to the end.
    stable.wait_closed(CALLS);
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| assert!(matches!(client.try_answer("GET"), Err(Broken::Cut { .. }))));
        }
    });
    check_no_verdict(&sidecar);
    assert_eq!(sidecar.metric("graylane_slow_clients_total", &[("reason", "answer")]), CALLS as f64);
}

#[test]
fn a_client_that_does_not_take_the_head_of_an_answer_is_the_slow_one() {
    let head = format!("HTTP/1.1 200 OK\r\nX-Fill: {}\r\nContent-Length: 1\r\n\r\n", "x".repeat(50_000));
    let stable = Origin::start(move |visit| {
        while visit.request().is_some() && visit.send(&head).is_some() {
            // So that the head goes down before its body has come.
            sleep(Duration::from_millis(5));
            let _ = visit.send("x");
        }
    });
    let sidecar = Sidecar::start(&plan(&stable, "idle: 1s", ""));
    let mut client = sidecar.client();
    // More than all buffers on the way take of heads.
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2000).as_bytes());
    sidecar.wait_for_metric("graylane_slow_clients_total", &[("reason", "answer")], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_within_their_upload_have_not_waited_for_the_lane() {
    let stable = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&stable, "", "body_idle: 20s"));
    let mut client = h2_client(sidecar.traffic()).await;
    let mut uploads = Vec::new();
    for _ in 0..CALLS {
        let request = Request::post("http://shop.test/").body(()).expect("a request");
        let (response, mut stream) = client.send_request(request, false).expect("a stream");
        stream.send_data(Bytes::from_static(b"a"), false).expect("it is taken");
        uploads.push((response, stream));
    }
    // The client's patience with itself.
    tokio::time::sleep(PAUSE).await;
    uploads.iter_mut().for_each(|(_, stream)| stream.send_reset(h2::Reason::CANCEL));
    tokio::task::block_in_place(|| check_no_verdict(&sidecar));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_messages_is_as_slow_as_its_service_and_not_as_its_client() {
    let stable = H2Origin::start(|request, mut respond| async move {
        let Ok((body, _)) = collect(request.into_body()).await else { return };
        let length = body.len().to_string();
        let response = http::Response::builder().header("content-type", "application/grpc").header("x-length", length);
        let Ok(mut stream) = respond.send_response(response.body(()).expect("a response"), false) else { return };
        let trailers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            http::HeaderValue::from_static("0"),
        )]);
        let _ = stream.send_trailers(trailers);
    });
    let plan = Plan::new().upstream_h2("stable", stable.address()).more(BREAKER);
    let sidecar = Sidecar::start(&plan.route("all", "/{*rest}", "stable: stable", "breaker: b"));
    let mut client = h2_client(sidecar.traffic()).await;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let request = Request::post("http://shop.test/s/m").header("content-type", "application/grpc");
        let (response, mut stream) =
            client.send_request(request.body(()).expect("a request"), false).expect("a stream");
        stream.send_data(Bytes::from_static(b"first"), false).expect("it is taken");
        calls.push((response, stream));
    }
    // The client thinks between two messages.
    tokio::time::sleep(PAUSE).await;
    for (_, stream) in &mut calls {
        stream.send_data(Bytes::from_static(b"second"), true).expect("it is taken");
    }
    for (response, _) in calls {
        let response = patient("an answer", response).await.expect("an answer");
        assert_eq!(response.headers()["x-length"], "11");
    }
    tokio::task::block_in_place(|| {
        sidecar.wait_for_metric("graylane_requests_total", &[("route", "all")], CALLS as f64);
        // The time in which a verdict would come, several times.
        sleep(Duration::from_millis(300));
        assert_eq!(sidecar.metric("graylane_breaker_transitions_total", &[("route", "all"), ("to", "open")]), 0.0);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_messages_that_fails_late_has_failed() {
    let stable = H2Origin::start(|request, mut respond| async move {
        // The time after which its database has not answered.
        tokio::time::sleep(Duration::from_millis(1300)).await;
        if request.uri().path() == "/s/reset" {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            return;
        }
        let response = http::Response::builder().header("content-type", "application/grpc").header("grpc-status", "14");
        let _ = respond.send_response(response.body(()).expect("a response"), true);
    });
    for path in ["status", "reset"] {
        let plan = Plan::new().upstream_h2("stable", stable.address()).more(BREAKER);
        let sidecar = Sidecar::start(&plan.route("all", "/{*rest}", "stable: stable", "breaker: b"));
        let mut client = h2_client(sidecar.traffic()).await;
        let mut calls = Vec::new();
        for _ in 0..CALLS {
            let request =
                Request::post(format!("http://shop.test/s/{path}")).header("content-type", "application/grpc");
            let (response, mut stream) =
                client.send_request(request.body(()).expect("a request"), false).expect("a stream");
            stream.send_data(Bytes::from_static(b"first"), false).expect("it is taken");
            calls.push((response, stream));
        }
        // Each waits for a reply before it says more.
        for (response, _stream) in calls {
            let _ = patient("an answer", response).await;
        }
        tokio::task::block_in_place(|| {
            sidecar.wait_for_metric("graylane_breaker_state", &[("route", "all"), ("lane", "stable")], 2.0);
        });
    }
}

#[test]
fn a_lane_that_is_slow_behind_a_slow_upload_is_seen_all_the_same() {
    let stable = Origin::answering(|_| {
        // The time that the answer takes.
        sleep(Duration::from_millis(400));
        answer("200 OK", "", b"")
    });
    let sidecar = Sidecar::start(&plan(&stable, "", "body_idle: 20s"));
    let mut clients = crowd(&sidecar, UPLOAD);
    // The clients' pace.
    sleep(Duration::from_millis(100));
    clients.iter_mut().for_each(|client| client.send(b"b"));
    assert_eq!(statuses(&mut clients), [200; CALLS]);
    sidecar.wait_for_metric("graylane_breaker_state", &[("route", "all"), ("lane", "stable")], 2.0);
}

#[test]
fn a_client_that_gives_up_a_lane_that_is_slow_behind_its_upload_tells_of_it() {
    let stable = Origin::start(|visit| {
        if visit.request().is_some() {
            visit.wait_for_close();
        }
    });
    let sidecar = Sidecar::start(&plan(&stable, "first_byte: 20s", "body_idle: 20s"));
    let mut clients = crowd(&sidecar, UPLOAD);
    clients.iter_mut().for_each(|client| client.send(b"b"));
    stable.wait_for(CALLS);
    // The clients' patience with the lane.
    sleep(PAUSE);
    drop(clients);
    sidecar.wait_for_metric("graylane_breaker_state", &[("route", "all"), ("lane", "stable")], 2.0);
}

#[test]
fn an_expectation_that_is_none_leaves_the_client_the_slow_one() {
    let stable = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&stable, "first_byte: 300ms", "body_idle: 600ms"));
    for expect in ["", "x", "y 100-continue"] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: {expect}\r\nContent-Length: 1\r\n\r\n");
        assert_eq!(sidecar.client().exchange(request.as_bytes()).status(), 408, "{expect:?}");
    }
}

#[test]
fn silence_behind_an_empty_expectation_is_no_verdict() {
    let stable = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&stable, "first_byte: 300ms", "body_idle: 600ms"));
    let mut clients = crowd(&sidecar, "POST / HTTP/1.1\r\nHost: a\r\nExpect:\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(statuses(&mut clients), [408; CALLS]);
    sidecar.wait_for_metric("graylane_slow_clients_total", &[("reason", "body_pause")], CALLS as f64);
    check_no_verdict(&sidecar);
}

const ASK: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";

#[test]
fn a_client_that_waits_for_100_of_a_lane_that_waits_for_the_body_is_no_verdict() {
    // It reads the body and says nothing before.
    let stable = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&stable, "first_byte: 400ms", "body_idle: 20s"));
    let mut clients = crowd(&sidecar, ASK);
    assert_eq!(statuses(&mut clients), [504; CALLS]);
    check_no_verdict(&sidecar);
    // One that sends the body after a while is served, and has waited for nobody but itself.
    let mut client = sidecar.client();
    client.send(ASK.as_bytes());
    sleep(Duration::from_millis(200));
    client.send(b"x");
    assert_eq!(client.answer_to("POST").status(), 200);
}

/// Gray before stable, which asks for the body and waits for it.
fn shielded(gray: impl std::fmt::Display, stable: &Origin, timeouts: &str) -> Plan {
    let keys = "release: r\nbreaker: b\nshield: { on: [503, 504], max_body: 1KiB, budget: 100% }";
    Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray)
        .release("r", "level: full\nsalt: s")
        .more(&format!("{BREAKER}limits: {{ body_idle: 20s }}"))
        .route("all", "/{*rest}", "stable: stable, gray: gray", &format!("{keys}\ntimeouts: {{ {timeouts} }}"))
}

#[test]
fn a_late_answer_to_who_waits_for_100_counts_although_it_is_held_back() {
    let stable = Origin::lane("stable");
    let gray = Origin::start(|visit| {
        if visit.head().is_some() {
            // Longer than what would pass for patience with a client.
            sleep(Duration::from_millis(1300));
            let _ = visit.send(answer("503 Service Unavailable", "Connection: close\r\n", b""));
        }
    });
    let sidecar = Sidecar::start(&shielded(gray.address(), &stable, "first_byte: 20s"));
    let mut clients = crowd(&sidecar, &ASK.replace("POST", "PUT"));
    // The clients wait to be asked.
    sleep(Duration::from_millis(2000));
    clients.iter_mut().for_each(|client| client.send(b"x"));
    assert_eq!(statuses(&mut clients), [200; CALLS]);
    sidecar.wait_for_metric("graylane_breaker_state", &[("route", "all"), ("lane", "gray")], 2.0);
}

#[test]
fn behind_a_100_of_a_lane_that_is_made_good_it_is_the_clients_turn() {
    let stable = Origin::lane("stable");
    let gray = Origin::start(|visit| {
        if visit.head().is_some() && visit.send("HTTP/1.1 100 Continue\r\n\r\n").is_some() {
            let _ = visit.send(answer("503 Service Unavailable", "Connection: close\r\n", b""));
        }
    });
    let sidecar = Sidecar::start(&shielded(gray.address(), &stable, "first_byte: 400ms"));
    let mut client = sidecar.client();
    client.send(ASK.replace("POST", "PUT").as_bytes());
    // Longer than the upstream's word would be waited for.
    sleep(Duration::from_millis(1200));
    client.send(b"x");
    assert_eq!(client.answer_to("PUT").status(), 200);
}

#[test]
fn behind_a_100_it_is_the_clients_turn() {
    let stable = Origin::start(|visit| {
        while let Some(head) = visit.head() {
            if head.method() == "POST" {
                let _ = visit.send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            if visit.rest_of(head).is_none() || visit.send(answer("200 OK", "", b"")).is_none() {
                return;
            }
        }
    });
    let sidecar = Sidecar::start(&plan(&stable, "first_byte: 300ms", "body_idle: 600ms"));
    let start = Instant::now();
    let mut clients = crowd(&sidecar, ASK);
    assert_eq!(statuses(&mut clients), [408; CALLS]);
    assert!(start.elapsed() >= Duration::from_millis(600));
    check_no_verdict(&sidecar);
}

#[test]
fn a_method_that_the_lane_does_not_know_is_not_its_failure() {
    let stable = Origin::answering(|request| {
        let status = if request.head.method() == "GET" { "200 OK" } else { "501 Not Implemented" };
        answer(status, "", b"")
    });
    let sidecar = Sidecar::start(&plan(&stable, "", ""));
    let mut clients = crowd(&sidecar, "FOO / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&mut clients), [501; CALLS]);
    check_no_verdict(&sidecar);
}

#[test]
fn a_lane_that_does_not_know_get_has_failed() {
    for status in ["501 Not Implemented", "505 HTTP Version Not Supported"] {
        let stable = Origin::answering(move |_| answer(status, "", b""));
        let sidecar = Sidecar::start(&plan(&stable, "", ""));
        let _clients = crowd(&sidecar, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        sidecar.wait_for_metric("graylane_breaker_state", &[("route", "all"), ("lane", "stable")], 2.0);
    }
}
