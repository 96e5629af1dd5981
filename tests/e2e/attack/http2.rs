//! HTTP/2 as a way into HTTP/1, and upstreams whose HTTP/2 connection dies.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::frames::frame;
use crate::harness::{H2Origin, Origin, Plan, Sidecar, collect, h2_client, patient};

/// A header field as HPACK writes it without its tables (RFC 7541 section 6.2.2); short ones only.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|n| *n < 127).expect("a short text");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// Sends one request by its raw fields and waits until the sidecar has said something about it.
async fn send_raw(sidecar: &Sidecar, fields: &[(&str, &str)]) {
    let mut socket = tokio::net::TcpStream::connect(sidecar.traffic()).await.expect("it accepts");
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes.extend(frame(1, 5, 1, &block));
    socket.write_all(&bytes).await.expect("it reads");
    loop {
        let mut head = [0; 9];
        if socket.read_exact(&mut head).await.is_err() {
            return;
        }
        let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
        socket.read_exact(&mut payload).await.expect("a whole frame");
        // HEADERS or RST_STREAM of the stream, or GOAWAY.
        if matches!(head[3], 1 | 3 | 7) {
            return;
        }
    }
}

type Header = Vec<(&'static str, &'static str)>;

fn path(path: &'static str) -> Header {
    vec![(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
}

fn with(name: &'static str, value: &'static str) -> Header {
    [path("/case"), vec![(name, value)]].concat()
}

/// What must not reach the origin at all.
pub(super) fn refused_cases() -> Vec<Header> {
    vec![
        path("case"),
        path("?case"),
        path("*"),
        path(""),
        path("/case HTTP/1.1\r\nHost: b"),
        path("/ca se"),
        path("http://b/case"),
        with("x", "1\r\nTransfer-Encoding: chunked"),
        with("x", "1\nx: 2"),
        with("x", "1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        with("cookie", "a\r\nx: 1"),
        with("x\r\n", "1"),
        with("x\0", "1"),
        with(":method", "POST"),
        with(":scheme", "http"),
        with(":authority", "b"),
        with(":status", "200"),
        with(":protocol", "websocket"),
        with("content-length", "-1"),
        with("content-length", "0x5"),
        with("te", "trailers, gzip"),
        with("x", "1\r2"),
        with("x", "1\0"),
        with("x: 1\r\ny", "2"),
        with("x:", "1"),
        with("x y", "1"),
        with("X", "1"),
        with("", "1"),
        with("transfer-encoding", "chunked"),
        with("connection", "close"),
        with("keep-alive", "1"),
        with("proxy-connection", "close"),
        with("upgrade", "websocket"),
        with("te", "gzip"),
        with("content-length", "5"),
        with("content-length", "+0"),
        with("content-length", "0,0"),
        with("host", "b c"),
        with("host", "a/b"),
        with(":path", "/smuggled"),
        with(":unknown", "1"),
        vec![(":method", "GET /smuggled HTTP/1.1\r\nX:"), (":scheme", "http"), (":authority", "a"), (":path", "/")],
        vec![(":method", "CONNECT"), (":authority", "a:80")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a b"), (":path", "/")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "b@a"), (":path", "/")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a\r\nX: 1"), (":path", "/")],
        vec![(":method", "GET"), (":scheme", "http"), (":path", "/")],
        // Pseudo fields that would be read as something else once they are a line (HAProxy's `h2_desync_attacks`).
        vec![(":method", "GET"), (":scheme", "http://localhost/?"), (":authority", "a"), (":path", "/")],
        vec![(":method", "GET"), (":scheme", "http\r\nX: 1"), (":authority", "a"), (":path", "/")],
        vec![(":method", "GET?"), (":scheme", "http"), (":authority", "a"), (":path", "/")],
        vec![(":method", ""), (":scheme", "http"), (":authority", "a"), (":path", "/")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a/.."), (":path", "/")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a#b"), (":path", "/")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a:b"), (":path", "/")],
        // What is missing, or stands in the wrong place (nginx's `h2_pseudo_header_order`).
        vec![(":scheme", "http"), (":authority", "a"), (":path", "/case")],
        vec![(":method", "GET"), (":authority", "a"), (":path", "/case")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "a"), ("x", "1"), (":path", "/case")],
        vec![
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/"),
        ],
        path("/ca\tse"),
        path("/case\u{7f}"),
        with(" x", "1"),
        with("x ", "1"),
        with("x", "\u{1}"),
        with("x", "a\u{7f}"),
        with("x\u{7f}", "1"),
        with("te", "chunked"),
        with("content-length", "18446744073709551616"),
        with("content-length", "0 "),
        with("host", "b\r\nx: 1"),
    ]
}

/// What is odd and has one meaning.
pub(super) fn good_cases() -> Vec<Header> {
    vec![with("x", "1"), path("/case?a=b%0d%0ac"), path("/case#/../smuggled")]
}

#[tokio::test]
async fn nothing_in_http_2_becomes_a_second_request_in_http_1() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let good = good_cases();
    for fields in &refused_cases() {
        patient("an answer", send_raw(&sidecar, fields)).await;
        assert!(origin.requests().is_empty(), "{fields:?}: {:?}", origin.requests());
    }
    for fields in &good {
        patient("an answer", send_raw(&sidecar, fields)).await;
    }
    assert_eq!(origin.requests().len(), good.len());
}

#[tokio::test]
async fn framing_in_disguise_does_not_pass_http_2_either() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::get("http://a/").header("transfer_encoding", "chunked").body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("a stream");
    assert_eq!(patient("an answer", response).await.expect("an answer").status(), 200);
    assert_eq!(origin.only().head.get("transfer_encoding"), None);
}

#[tokio::test]
async fn the_limit_of_fields_holds_in_http_2() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more("limits: { header_count: 16 }"));
    let mut client = h2_client(sidecar.traffic()).await;
    let mut request = Request::get("http://shop.test/").body(()).expect("a request");
    for _ in 0..17 {
        request.headers_mut().append("x", HeaderValue::from_static("1"));
    }
    let (response, _) = client.send_request(request, true).expect("a stream");
    assert_eq!(patient("an answer", response).await.expect("an answer").status(), 431);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn http_2_cannot_change_the_protocol_of_an_http_1_client() {
    let origin = H2Origin::start(|_, mut respond| async move {
        let mut interim = Response::new(());
        *interim.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let _ = respond.send_informational(interim);
        let _ = respond.send_response(Response::new(()), true);
    });
    let sidecar = Sidecar::start(&Plan::new().upstream_h2("stable", origin.address()).rest());
    let response = sidecar.get("/", "");
    assert!([200, 502].contains(&response.status()), "{response:?}");
    assert!(response.interim.is_empty());
}

#[test]
fn targets_that_http_2_cannot_carry_are_the_clients_fault() {
    let origin = H2Origin::start(|_, mut respond| async move {
        let _ = respond.send_response(Response::new(()), true);
    });
    let sidecar = Sidecar::start(&Plan::new().upstream_h2("stable", origin.address()).rest());
    for target in ["/a|b", "/a\"b", "/a<b>", "/a^b", "/a`b", "/{a}", "/?a={\"b\":1}", "/?a=[1]|2", "/?a=^"] {
        let status = sidecar.get(target, "").status();
        assert!([200, 400].contains(&status), "{target}: {status}");
    }
}

#[test]
fn a_dead_upstream_connection_does_not_swallow_every_request() {
    // The first connection answers once and then says nothing more, as behind a router that forgot it.
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        listener.set_nonblocking(true).expect("a socket takes options");
        std::thread::spawn(move || serve_dying(listener));
        address
    };
    let plan = Plan::new().upstream_h2("stable", address);
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { first_byte: 300ms }");
    let sidecar = Sidecar::start(&plan);
    assert_eq!(sidecar.get("/", "").status(), 200);
    assert_eq!(sidecar.get("/", "").status(), 504);
    assert_eq!(sidecar.get("/", "").status(), 200);
}

fn serve_dying(listener: std::net::TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let count = AtomicUsize::new(0);
        while let Ok((socket, _)) = listener.accept().await {
            let dies = count.fetch_add(1, Ordering::Relaxed) == 0;
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(socket).await else { return };
                let mut kept = Vec::new();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    if dies && !kept.is_empty() {
                        kept.push((request, None));
                        continue;
                    }
                    let stream = respond.send_response(Response::new(()), false);
                    if let Ok(mut stream) = stream {
                        let _ = stream.send_data(Bytes::from_static(b"ok"), true);
                        kept.push((request, Some(stream)));
                    }
                }
            });
        }
    });
}

#[tokio::test]
async fn a_stream_that_is_left_early_gives_its_window_back() {
    let origin = Origin::start(|visit| {
        let _ = visit.head();
        let _ = visit.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = h2_client(sidecar.traffic()).await;
    // Together much more than the window of the connection.
    for round in 0..40 {
        client = client.ready().await.expect("it takes a stream");
        let request = Request::post("http://shop.test/").body(()).expect("a request");
        let (response, mut stream) = client.send_request(request, false).expect("a stream");
        stream.reserve_capacity(200_000);
        let sending = async {
            while let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                if room > 0 && stream.send_data(Bytes::from(vec![0; room]), false).is_err() {
                    break;
                }
            }
        };
        let (answered, ()) = tokio::join!(patient("an answer", response), patient("the end", sending));
        let response = answered.unwrap_or_else(|error| panic!("{round}: {error}"));
        assert_eq!(response.status(), 413, "{round}");
        let _ = collect(response.into_body()).await;
    }
}
