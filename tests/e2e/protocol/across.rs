//! The rows in both protocols and across them: HTTP/1 to HTTP/1, HTTP/1 to HTTP/2, HTTP/2 to HTTP/1, HTTP/2 to HTTP/2.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};

use crate::harness::{H2Origin, Origin, Plan, Sidecar, answer, collect, h2_client, patient, send_all};

/// An upstream of either protocol that says what it saw: the head comes back in `x-saw-*`, and hop-by-hop fields that must
/// not pass stand in the answer of HTTP/1.
enum Upstream {
    H1(Origin),
    H2(H2Origin),
}

impl Upstream {
    fn both() -> [Self; 2] {
        let h1 = Origin::answering(|received| {
            let head = &received.head;
            let shown = |name: &str| head.all(name).join(", ");
            let fields = format!(
                "X-Saw-Method: {}\r\nX-Saw-Via: {}\r\nX-Saw-For: {}\r\nX-Saw-Host: {}\r\nX-Saw-List: {}\r\n\
                 Connection: x-hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n\
                 X-Twice: a\r\nX-Twice: b\r\n",
                head.method(),
                shown("via"),
                shown("x-forwarded-for"),
                shown("host"),
                shown("x-list"),
            );
            let status = if head.method() == "PURGE" { "299 Odd" } else { "200 OK" };
            let mut interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".to_vec();
            interim.extend(answer(status, &fields, &received.body));
            interim
        });
        let h2 = H2Origin::start(|request, mut respond| async move {
            let (parts, body) = request.into_parts();
            let Ok((body, _)) = collect(body).await else { return };
            let hint = Response::builder().status(103).header("link", "</a.css>").body(()).expect("a response");
            let _ = respond.send_informational(hint);
            let shown = |name: &str| {
                let all: Vec<_> =
                    parts.headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect();
                all.join(", ")
            };
            let status = if parts.method == "PURGE" { 299 } else { 200 };
            let response = Response::builder()
                .status(status)
                .header("x-saw-method", parts.method.as_str())
                .header("x-saw-via", shown("via"))
                .header("x-saw-for", shown("x-forwarded-for"))
                .header("x-saw-host", parts.uri.authority().map(ToString::to_string).unwrap_or_default())
                .header("x-saw-list", shown("x-list"))
                .header("x-twice", "a")
                .header("x-twice", "b")
                .body(())
                .expect("a response");
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            let _ = send_all(&mut stream, body.into(), false).await;
            let _ = stream.send_data(Bytes::new(), true);
        });
        [Self::H1(h1), Self::H2(h2)]
    }

    fn sidecar(&self, limits: &str) -> Sidecar {
        let plan = match self {
            Self::H1(origin) => Plan::new().upstream("stable", origin.address()),
            Self::H2(origin) => Plan::new().upstream_h2("stable", origin.address()),
        };
        Sidecar::start(&plan.rest().more(&format!("limits: {{ {limits} }}")))
    }

    fn seen(&self) -> usize {
        match self {
            Self::H1(origin) => origin.requests().len(),
            Self::H2(origin) => origin.seen().len(),
        }
    }
}

/// An answer as either client sees it: status, fields (names in small letters), body, statuses of interim answers.
struct Seen {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    interim: Vec<u16>,
}

impl Seen {
    fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name}: {:?}", self.fields);
        all[0]
    }
}

fn by_h1(sidecar: &Sidecar, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Seen {
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: shop.test\r\n{lines}{length}\r\n");
    let response = sidecar.client().exchange(&[head.as_bytes(), body].concat());
    let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
    Seen {
        status: response.status(),
        fields: response.head.fields.iter().map(|(name, value)| (name.to_lowercase(), text(value))).collect(),
        body: response.body,
        interim: response.interim.iter().map(crate::harness::Head::status).collect(),
    }
}

async fn by_h2(sidecar: &Sidecar, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Seen {
    let mut client = h2_client(sidecar.traffic()).await;
    let mut request = Request::builder().method(method).uri(format!("http://shop.test{target}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    let (mut response, mut stream) = client.send_request(request, body.is_empty()).expect("a stream");
    if !body.is_empty() {
        send_all(&mut stream, Bytes::copy_from_slice(body), true).await.expect("the body is taken");
    }
    let mut interim = Vec::new();
    let response = patient("an answer", async {
        std::future::poll_fn(|cx| {
            while let std::task::Poll::Ready(Some(Ok(hint))) = response.poll_informational(cx) {
                interim.push(hint.status().as_u16());
            }
            std::pin::Pin::new(&mut response).poll(cx)
        })
        .await
    });
    let response = response.await.expect("an answer");
    let (parts, body) = response.into_parts();
    let (body, _) = patient("a body", collect(body)).await.expect("whole");
    Seen { status: parts.status.as_u16(), fields: listed(&parts.headers), body, interim }
}

fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect()
}

/// One request by both clients to both upstreams; `check` sees the answer and the way it went.
async fn four_ways(
    limits: &str,
    (method, target, fields, body): (&str, &str, &[(&str, &str)], &[u8]),
    check: impl Fn(&Seen, &str),
) {
    for upstream in Upstream::both() {
        let sidecar = upstream.sidecar(limits);
        let to = if matches!(upstream, Upstream::H1(_)) { "HTTP/1" } else { "HTTP/2" };
        check(&by_h1(&sidecar, method, target, fields, body), &format!("HTTP/1 to {to}"));
        check(&by_h2(&sidecar, method, target, fields, body).await, &format!("HTTP/2 to {to}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_3_the_host_is_the_same_whichever_way() {
    four_ways("idle: 60s", ("GET", "/", &[], b""), |seen, way| {
        assert_eq!(seen.one("x-saw-host"), "shop.test", "{way}")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_25_fields_of_answers_end_or_pass_whichever_way() {
    let check = |seen: &Seen, way: &str| {
        for gone in ["x-hop", "keep-alive", "proxy-connection"] {
            assert!(seen.all(gone).is_empty(), "{way}: {gone}");
        }
        assert_eq!(seen.all("x-twice"), ["a", "b"], "{way}");
        assert_eq!(seen.one("x-saw-list"), "1, 2", "{way}");
    };
    four_ways("idle: 60s", ("GET", "/", &[("x-list", "1"), ("x-list", "2")], b""), check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_11_via_names_the_version_of_the_clients_side_whichever_way() {
    let check = |seen: &Seen, way: &str| {
        let version = if way.starts_with("HTTP/1") { "1.1 " } else { "2 " };
        let hops: Vec<&str> = seen.one("x-saw-via").split(", ").collect();
        assert!(hops.len() == 2 && hops[0] == "1.0 edge" && hops[1].starts_with(version), "{way}: {hops:?}");
    };
    four_ways("idle: 60s", ("GET", "/", &[("via", "1.0 edge")], b""), check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_early_hints_pass_whichever_way() {
    four_ways("idle: 60s", ("GET", "/", &[], b""), |seen, way| assert_eq!(seen.interim, [103], "{way}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_18_the_client_is_named_whichever_way() {
    let check = |seen: &Seen, way: &str| assert_eq!(seen.one("x-saw-for"), "203.0.113.9, 127.0.0.1", "{way}");
    four_ways("idle: 60s", ("GET", "/", &[("x-forwarded-for", "203.0.113.9")], b""), check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_25_unknown_methods_and_statuses_pass_whichever_way() {
    let check = |seen: &Seen, way: &str| {
        assert_eq!((seen.status, seen.one("x-saw-method")), (299, "PURGE"), "{way}");
        assert_eq!(seen.body, b"hello", "{way}");
    };
    four_ways("idle: 60s", ("PURGE", "/", &[], b"hello"), check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_8_long_targets_and_many_fields_are_refused_whichever_way() {
    let long = format!("/{}", "x".repeat(600));
    let check = |seen: &Seen, way: &str| assert_eq!(seen.status, 414, "{way}");
    four_ways("uri_bytes: 512B", ("GET", &long, &[], b""), check).await;
    let check = |seen: &Seen, way: &str| assert_eq!(seen.status, 431, "{way}");
    four_ways("header_count: 16", ("GET", "/", &[("x", "1"); 17], b""), check).await;
}

#[tokio::test]
async fn row_4_nothing_unclear_in_http_1_reaches_http_2_either() {
    let [_, upstream] = Upstream::both();
    let sidecar = upstream.sidecar("idle: 60s");
    let cases: [&[u8]; 10] = [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    ];
    for case in cases {
        let mut client = sidecar.client();
        client.send(case);
        let status = client.answer().status();
        assert!((400..=405).contains(&status), "{status}: {:?}", String::from_utf8_lossy(case));
    }
    assert_eq!(upstream.seen(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_a_body_that_pauses_in_http_2_is_timed_out() {
    for upstream in Upstream::both() {
        let sidecar = upstream.sidecar("body_idle: 300ms");
        let mut client = h2_client(sidecar.traffic()).await;
        let request = Request::post("http://shop.test/").header("content-length", "100").body(()).expect("a request");
        let (response, mut stream) = client.send_request(request, false).expect("a stream");
        stream.send_data(Bytes::from_static(b"part"), false).expect("it is taken");
        match patient("an end", response).await {
            Ok(response) => assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT),
            Err(error) => assert!(error.is_reset(), "{error}"),
        }
        sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
    }
}
