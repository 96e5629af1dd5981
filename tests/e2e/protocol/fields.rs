//! Header fields on their way through, in both directions.

use http::Request;

use crate::harness::{H2Origin, Head, Origin, Plan, Response, Sidecar, answer, h2_client, patient};

fn through(request: &str, reply: &'static str) -> (Head, Response) {
    let origin = Origin::answering(move |_| reply.as_bytes().to_vec());
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let response = sidecar.client().exchange(request.as_bytes());
    (origin.only().head, response)
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn row_10_hop_by_hop_fields_of_a_request_end_here() {
    let (head, _) = through(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-One, keep-alive\r\nConnection: x-two\r\nX-One: 1\r\n\
         X-Two: 2\r\nX-Three: 3\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authenticate: Basic\r\nTE: gzip\r\nUpgrade: websocket\r\n\r\n",
        EMPTY,
    );
    for gone in ["x-one", "x-two", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "upgrade"] {
        assert_eq!(head.get(gone), None, "{gone}");
    }
    assert_eq!(head.get("x-three").as_deref(), Some("3"));
    for value in head.all("connection") {
        assert!(!value.to_ascii_lowercase().contains("x-"), "{value}");
    }
}

#[test]
fn row_10_hop_by_hop_fields_of_an_answer_end_here() {
    let (_, response) = through(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Internal\r\nX-Internal: 10.0.0.1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Public: 1\r\nContent-Length: 0\r\n\r\n",
    );
    for gone in ["x-internal", "keep-alive", "proxy-connection"] {
        assert_eq!(response.get(gone), None, "{gone}");
    }
    assert_eq!(response.get("x-public").as_deref(), Some("1"));
}

#[test]
fn row_10_fields_named_by_connection_are_removed_from_trailers_too() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n\
          2\r\nok\r\n0\r\nX-Hop: 1\r\nX-Sum: 9\r\n\r\n"
            .to_vec()
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nTE: trailers\r\n\
                    Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Hop: 1\r\nX-Sum: 9\r\n\r\n";
    let response = sidecar.client().exchange(request);
    for trailers in [&response.trailers, &origin.only().trailers] {
        let names: Vec<String> = trailers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert_eq!(names, ["x-sum"]);
    }
}

#[test]
fn row_10_connection_cannot_remove_what_the_proxy_stands_for() {
    let (head, _) = through(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Host, X-Forwarded-For, X-Gray-Lane, Content-Length\r\n\r\n",
        EMPTY,
    );
    assert_eq!(head.get("host").as_deref(), Some("a"));
    assert!(head.get("x-forwarded-for").is_some());
    assert_eq!(head.get("x-gray-lane").as_deref(), Some("stable"));
}

#[test]
fn row_11_via_is_added_behind_the_hops_before() {
    let (head, _) = through("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 edge\r\n\r\n", EMPTY);
    let list = head.all("via").join(", ");
    let hops: Vec<&str> = list.split(", ").collect();
    assert_eq!(hops.len(), 2, "{list}");
    assert_eq!(hops[0], "1.0 edge");
    assert!(hops[1].starts_with("1.1 "), "{list}");
}

#[test]
fn row_11_via_names_the_version_of_the_message_that_came() {
    let (head, _) = through("GET / HTTP/1.0\r\nHost: a\r\n\r\n", EMPTY);
    assert!(head.get("via").is_some_and(|via| via.starts_with("1.0 ")), "{head:?}");
}

#[test]
fn row_25_header_case_order_and_repeats_pass_unharmed() {
    let (head, response) = through(
        "GET / HTTP/1.1\r\nhOsT: a\r\nX-CamelCase: 1\r\nx-list: a\r\nX-List: b\r\nAccept: */*\r\n\r\n",
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nX-CamelCase: 1\r\nSet-Cookie: b=2, c=3\r\n\
         DATE: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: Goods/2.4.1\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(head.spelling("x-camelcase"), Some("X-CamelCase"));
    assert_eq!(head.all("x-list"), ["a", "b"]);
    assert_eq!(response.head.spelling("x-camelcase"), Some("X-CamelCase"));
    assert_eq!(response.head.all("set-cookie"), ["a=1; Path=/", "b=2, c=3"]);
    assert_eq!(response.get("date").as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(response.get("server").as_deref(), Some("Goods/2.4.1"));
}

#[test]
fn row_25_unknown_methods_and_statuses_pass_unharmed() {
    let origin = Origin::answering(|_| answer("299 Fine by us", "", b"body"));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let request = b"BREW /pot HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbeans";
    let response = sidecar.client().exchange(request);
    assert_eq!(response.status(), 299);
    assert_eq!(response.text(), "body");
    let received = origin.only();
    assert_eq!(received.head.method(), "BREW");
    assert_eq!(received.body, b"beans");
}

#[test]
fn row_25_bytes_above_ascii_in_values_pass_unharmed() {
    let origin = Origin::answering(|_| {
        let mut reply = b"HTTP/1.1 200 OK\r\nX-Name: ".to_vec();
        reply.extend_from_slice(b"\xe5\x95\x86\xe5\x93\x81 \xff");
        reply.extend_from_slice(b"\r\nContent-Length: 0\r\n\r\n");
        reply
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: \xe5\x95\x86\xe5\x93\x81 \xff\r\n\r\n";
    let response = sidecar.client().exchange(request);
    let value = |head: &Head| {
        let found = head.fields.iter().find(|(name, _)| name == "X-Name");
        found.expect("it passes").1.clone()
    };
    assert_eq!(value(&response.head), b"\xe5\x95\x86\xe5\x93\x81 \xff");
    assert_eq!(value(&origin.only().head), b"\xe5\x95\x86\xe5\x93\x81 \xff");
}

#[test]
fn trace_context_passes_unharmed() {
    let fields = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                  tracestate: shop=1\r\nbaggage: user=7\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let (head, _) = through(&request, EMPTY);
    assert_eq!(head.get("traceparent").as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    assert_eq!(head.get("tracestate").as_deref(), Some("shop=1"));
    assert_eq!(head.get("baggage").as_deref(), Some("user=7"));
}

#[test]
fn row_25_an_answer_without_a_date_gets_one() {
    let (_, passed) = through("GET / HTTP/1.1\r\nHost: a\r\n\r\n", EMPTY);
    let nobody = Sidecar::start(&Plan::new().upstream("stable", "127.0.0.1:1").rest());
    for response in [passed, nobody.get("/", "")] {
        let date = response.get("date").expect("RFC 9110 section 6.6.1");
        let read = jiff::fmt::rfc2822::parse(&date).expect("a date as mail and HTTP write it");
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
        assert!(read.timestamp().duration_since(jiff::Timestamp::now()).abs() < jiff::SignedDuration::from_mins(1));
    }
}

#[tokio::test]
async fn row_25_an_answer_without_a_date_gets_one_in_http_2_too() {
    let origin = H2Origin::echo();
    let sidecar = Sidecar::start(&Plan::new().upstream_h2("stable", origin.address()).rest());
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::post("http://shop.test/").body(()).expect("a request");
    let (response, mut body) = client.send_request(request, false).expect("a stream");
    body.send_data("x".into(), true).expect("it has room");
    let response = patient("an answer", response).await.expect("an answer");
    assert_eq!(response.headers().get_all("date").iter().count(), 1);
}

#[tokio::test]
async fn white_space_at_the_ends_of_values_of_an_http_2_client_ends_here() {
    let origin = H2Origin::echo();
    let sidecar = Sidecar::start(&Plan::new().upstream_h2("stable", origin.address()).rest());
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::post("http://shop.test/").header("x-name", " a b\t").header("cookie", "a=1 ");
    let request = request.header("cookie", "b=2").body(()).expect("a request");
    let (response, mut body) = client.send_request(request, false).expect("a stream");
    body.send_data("x".into(), true).expect("it has room");
    assert_eq!(patient("an answer", response).await.expect("an answer").status(), 200);
    let head = origin.only();
    assert_eq!(
        (&head.headers["x-name"], &head.headers["cookie"]),
        (&"a b".parse().unwrap(), &"a=1; b=2".parse().unwrap())
    );
}

#[test]
fn white_space_at_the_ends_of_values_of_an_http_2_service_ends_here() {
    let origin = H2Origin::start(|_, mut respond| async move {
        let answer = http::Response::builder().header("x-name", " a b\t").header("x-other", "c");
        respond.send_response(answer.body(()).expect("an answer"), true).expect("it waits for the answer");
    });
    let sidecar = Sidecar::start(&Plan::new().upstream_h2("stable", origin.address()).rest());
    let response = sidecar.get("/", "");
    let value = |name| response.head.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    assert_eq!(value("x-name").as_deref(), Some(&b"a b"[..]));
    assert_eq!(value("x-other").as_deref(), Some(&b"c"[..]));
}
