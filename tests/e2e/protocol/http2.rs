//! HTTP/2 with prior knowledge, on either side or both.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

use crate::harness::{H2Origin, Origin, Plan, Sidecar, answer, collect, eventually, h2_client, patient, send_all};

fn to_h2(origin: &H2Origin) -> Sidecar {
    Sidecar::start(&Plan::new().upstream_h2("stable", origin.address()).rest())
}

#[tokio::test]
async fn http_2_comes_in_and_http_1_goes_out() {
    let origin = Origin::answering(|received| answer("201 Created", "X-A: 1\r\n", &received.body));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::post("http://shop.test/orders?x=1")
        .header("x-user-id", "u1")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(())
        .expect("a request");
    let (response, mut body) = client.send_request(request, false).expect("a stream");
    send_all(&mut body, Bytes::from(vec![b'q'; 200_000]), true).await.expect("the body is taken");
    let response = patient("an answer", response).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["x-a"], "1");
    let (echoed, _) = patient("a body", collect(response.into_body())).await.expect("whole");
    assert_eq!(echoed.len(), 200_000);
    let received = origin.only();
    assert_eq!(received.head.start, "POST /orders?x=1 HTTP/1.1");
    assert_eq!(received.head.get("x-user-id").as_deref(), Some("u1"));
    // RFC 9113 section 8.2.3: cookie crumbs are one field in HTTP/1.1.
    assert_eq!(received.head.get("cookie").as_deref(), Some("a=1; b=2"));
    let via = received.head.get("via").expect("a hop");
    assert!(via.starts_with('2'), "received by HTTP/2: {via}");
}

#[test]
fn http_1_comes_in_and_http_2_goes_out() {
    let origin = H2Origin::echo();
    let sidecar = to_h2(&origin);
    let request = b"POST /x?y=1 HTTP/1.1\r\nHost: shop.test:81\r\nTE: trailers\r\nX-CamelCase: 1\r\n\
                    Connection: x-hop\r\nx-hop: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n";
    let response = sidecar.client().exchange(request);
    assert_eq!(response.text(), "hello");
    let trailer = response.trailers.first().expect("the trailer came back");
    assert!(trailer.0.eq_ignore_ascii_case("x-sum"));
    let head = origin.only();
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri.path_and_query().expect("a path"), "/x?y=1");
    assert_eq!(head.uri.authority().expect("an authority"), "shop.test:81");
    assert_eq!(head.headers["x-camelcase"], "1");
    for gone in ["x-hop", "connection", "transfer-encoding", "host"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn row_19_http_2_on_both_sides_with_trailers() {
    let origin = H2Origin::echo();
    let sidecar = to_h2(&origin);
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::put("http://shop.test/x").header("te", "trailers").body(()).expect("a request");
    let (response, mut body) = client.send_request(request, false).expect("a stream");
    let sent = Bytes::from(vec![7; 3_000_000]);
    let sending = async {
        send_all(&mut body, sent.clone(), false).await.expect("the body is taken");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("42"));
        body.send_trailers(trailers).expect("trailers are taken");
    };
    let receiving = async {
        let response = response.await.expect("an answer");
        collect(response.into_body()).await.expect("whole")
    };
    let ((), (echoed, trailers)) = patient("both ways", async { tokio::join!(sending, receiving) }).await;
    assert!(echoed == sent);
    assert_eq!(trailers.expect("trailers come back")["x-sum"], "42");
}

#[tokio::test]
async fn many_streams_share_one_connection() {
    let origin = Origin::answering(|received| answer("200 OK", "", received.head.target().as_bytes()));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let client = h2_client(sidecar.traffic()).await;
    let mut tasks = Vec::new();
    for number in 0..50 {
        let client = client.clone();
        tasks.push(tokio::spawn(async move {
            let mut client = client.ready().await.expect("a stream is free");
            let uri = format!("http://shop.test/{number}");
            let request = Request::get(&uri).body(()).expect("a request");
            let (response, _) = client.send_request(request, true).expect("a stream");
            let response = response.await.expect("an answer");
            let (body, _) = collect(response.into_body()).await.expect("whole");
            assert_eq!(body, format!("/{number}").as_bytes());
        }));
    }
    for task in tasks {
        patient("a stream", task).await.expect("it was answered");
    }
}

#[tokio::test]
async fn row_15_head_and_204_have_no_body_in_http_2_either() {
    let origin = Origin::answering(|received| match received.head.method() {
        "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = h2_client(sidecar.traffic()).await;
    for (method, length) in [("HEAD", Some("1234")), ("GET", None)] {
        let request = Request::builder().method(method).uri("http://shop.test/").body(()).expect("a request");
        let (response, _) = client.send_request(request, true).expect("a stream");
        let response = patient("an answer", response).await.expect("an answer");
        let shown = response.headers().get("content-length");
        assert_eq!(shown.map(|value| value.to_str().expect("text")), length);
        let (body, _) = collect(response.into_body()).await.expect("whole");
        assert!(body.is_empty());
        client = client.ready().await.expect("the connection lives");
    }
}

#[tokio::test]
async fn row_24_an_upstream_that_closes_mid_body_is_a_reset_in_http_2() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            let _ = visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::get("http://shop.test/").body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("a stream");
    // The reset may overtake the head; what may not happen is a whole answer.
    if let Ok(response) = patient("an answer", response).await {
        let outcome = patient("the end", collect(response.into_body())).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
}

#[test]
fn row_24_a_reset_by_an_http_2_upstream_is_an_abort_in_http_1() {
    let arrived = std::sync::Arc::new(tokio::sync::Notify::new());
    let has_arrived = arrived.clone();
    let origin = H2Origin::start(move |_, mut respond| {
        let has_arrived = has_arrived.clone();
        async move {
            let response = Response::builder().body(()).expect("a response");
            let Ok(mut stream) = respond.send_response(response, false) else {
                return;
            };
            let _ = send_all(&mut stream, Bytes::from_static(b"part"), false).await;
            // A reset overtakes what has not left yet.
            has_arrived.notified().await;
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    });
    let sidecar = to_h2(&origin);
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, _) = client.final_head().expect("the answer begins");
    assert_eq!((head.status(), head.get("transfer-encoding").as_deref()), (200, Some("chunked")));
    assert_eq!(client.take(9), b"4\r\npart\r\n");
    arrived.notify_one();
    assert_eq!(client.rest(), b"", "cut without the last chunk");
}

#[test]
fn row_20_a_client_that_leaves_frees_the_upstream_at_once() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            // Never answers.
            visit.wait_for_close();
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for(1);
    drop(client);
    origin.wait_closed(1);
}

#[tokio::test]
async fn row_20_a_cancelled_stream_reaches_an_http_1_upstream() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            visit.wait_for_close();
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::get("http://shop.test/").body(()).expect("a request");
    let (response, mut stream) = client.send_request(request, true).expect("a stream");
    let waiting = tokio::spawn(response);
    tokio::task::spawn_blocking(move || {
        origin.wait_for(1);
        origin
    })
    .await
    .map(|origin| {
        stream.send_reset(h2::Reason::CANCEL);
        tokio::task::spawn_blocking(move || origin.wait_closed(1))
    })
    .expect("the request arrives")
    .await
    .expect("the upstream connection ends");
    assert!(waiting.await.expect("the task ran").is_err());
}

#[tokio::test]
async fn row_20_a_cancelled_stream_reaches_an_http_2_upstream() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let resets = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&resets);
    let origin = H2Origin::start(move |_, mut respond| {
        let counted = Arc::clone(&counted);
        async move {
            let reason = std::future::poll_fn(|context| respond.poll_reset(context)).await;
            if reason.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let sidecar = to_h2(&origin);
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::get("http://shop.test/").body(()).expect("a request");
    let (response, mut stream) = client.send_request(request, true).expect("a stream");
    let waiting = tokio::spawn(response);
    let arrival = tokio::task::spawn_blocking(move || {
        origin.only();
        origin
    });
    let _origin = arrival.await.expect("the request arrives");
    stream.send_reset(h2::Reason::CANCEL);
    let seen = tokio::task::spawn_blocking(move || {
        eventually("the reset at the origin", || (resets.load(Ordering::Relaxed) == 1).then_some(()));
    });
    seen.await.expect("the reset arrives");
    assert!(waiting.await.expect("the task ran").is_err());
}

#[tokio::test]
async fn an_error_of_the_sidecars_own_is_json_in_http_2_too() {
    let sidecar =
        Sidecar::start(&Plan::new().upstream("stable", "127.0.0.1:9").route("only", "/only", "stable: stable", ""));
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::get("http://shop.test/x").body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("a stream");
    let response = patient("an answer", response).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let (body, _) = collect(response.into_body()).await.expect("whole");
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["error"], "no_route", "{body}");
}

#[test]
fn upstream_connections_are_connections_and_not_streams() {
    let origin = H2Origin::start(|request, mut respond| async move {
        if request.uri().path() == "/stay" {
            let _ = std::future::poll_fn(|context| respond.poll_reset(context)).await;
            return;
        }
        let _ = respond.send_response(Response::new(()), true);
    });
    let sidecar = to_h2(&origin);
    let count = |state| sidecar.metric("graylane_upstream_connections", &[("state", state)]);
    assert_eq!(sidecar.get("/", "").status(), 200);
    sidecar.wait_for_metric("graylane_upstream_connections", &[("state", "idle")], 1.0);
    assert_eq!(count("active"), 0.0);
    let mut clients: Vec<_> = (0..5).map(|_| sidecar.client()).collect();
    clients.iter_mut().for_each(|client| client.send(b"GET /stay HTTP/1.1\r\nHost: a\r\n\r\n"));
    eventually("six requests at the origin", || (origin.seen().len() == 6).then_some(()));
    assert_eq!((count("active"), count("idle")), (1.0, 0.0));
    drop(clients);
    sidecar.wait_for_metric("graylane_upstream_connections", &[("state", "idle")], 1.0);
    assert_eq!(count("active"), 0.0);
}

/// Nobody ever answers the attempt to connect, for a minute; a client that leaves is not to wait for it.
fn never_connected() -> (Sidecar, crate::failure::deadlines::Deaf) {
    let deaf = crate::failure::deadlines::deaf();
    let plan = Plan::new().upstream("stable", deaf.address);
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { connect: 60s, first_byte: 60s }");
    (Sidecar::start(&plan.more("access_log: all")), deaf)
}

#[test]
fn row_20_a_client_that_leaves_while_we_connect_is_noticed_at_once() {
    let (sidecar, _deaf) = never_connected();
    let requests: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\nhello",
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let mut client = sidecar.client();
        client.send(request);
        sidecar.wait_for_metric("graylane_inflight_requests", &[], 1.0);
        drop(client);
        sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
        assert_eq!(sidecar.wait_for_log(number + 1)[number]["status"], 499);
    }
}

#[tokio::test]
async fn row_20_a_stream_that_is_reset_while_we_connect_is_noticed_at_once() {
    let (sidecar, _deaf) = never_connected();
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::get("http://shop.test/").body(()).expect("a request");
    let (response, mut stream) = client.send_request(request, true).expect("a stream");
    let waiting = tokio::spawn(response);
    let sidecar = tokio::task::spawn_blocking(move || {
        sidecar.wait_for_metric("graylane_inflight_requests", &[], 1.0);
        sidecar
    });
    let sidecar = sidecar.await.expect("it is under way");
    stream.send_reset(h2::Reason::CANCEL);
    let seen = tokio::task::spawn_blocking(move || sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0));
    seen.await.expect("it is noticed");
    assert!(waiting.await.expect("the task ran").is_err());
}
