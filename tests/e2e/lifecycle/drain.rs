//! SIGTERM: what is under way finishes, nothing new begins, and the process ends with 0.

use std::sync::{Mutex, mpsc};

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::frames::{GOAWAY, HEADERS, PING, SETTINGS, frame};
use crate::harness::{Client, Origin, Plan, Sidecar, answer, collect, eventually, h2_client, patient};

/// An origin that answers `/held` only when it is let go, and everything else at once.
fn holding() -> (Origin, mpsc::Sender<()>) {
    let (let_go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let origin = Origin::answering(move |received| {
        if received.head.target() == "/held" {
            let _ = held.lock().expect("one at a time").recv();
        }
        answer("200 OK", "", b"done")
    });
    (origin, let_go)
}

fn refused(sidecar: &Sidecar) {
    eventually("new connections to be refused", || {
        let Ok(mut client) = Client::try_connect(sidecar.traffic()) else {
            return Some(());
        };
        // Between two looks it may still stand in the queue; then it must not be served.
        client.try_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").ok()?;
        None
    });
}

#[test]
fn what_is_in_flight_finishes_and_nothing_new_begins() {
    let (origin, let_go) = holding();
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for(1);
    sidecar.terminate();
    eventually("/readyz to answer 503", || (sidecar.admin_get("/readyz").status() == 503).then_some(()));
    assert_eq!(sidecar.admin_get("/healthz").status(), 200);
    refused(&sidecar);
    assert_eq!(sidecar.exited(), None, "ended with a request in flight");
    let_go.send(()).expect("the origin waits");
    let response = client.answer();
    assert_eq!(response.text(), "done");
    let connection = response.get("connection").unwrap_or_default();
    assert_eq!(connection.to_ascii_lowercase(), "close");
    client.assert_closed();
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
}

#[test]
fn idle_connections_do_not_hold_the_end_up() {
    let (origin, _let_go) = holding();
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut used = sidecar.client();
    assert_eq!(used.get("/", "").status(), 200);
    let mut silent = sidecar.client();
    let start = std::time::Instant::now();
    sidecar.terminate();
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
    used.assert_closed();
    silent.assert_closed();
}

#[tokio::test]
async fn http_2_gets_goaway_and_its_streams_finish() {
    let (origin, let_go) = holding();
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::get("http://shop.test/held").body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("a stream");
    let response = tokio::spawn(response);
    let origin = tokio::task::spawn_blocking(move || {
        origin.wait_for(1);
        origin
    })
    .await
    .expect("the request arrives");
    sidecar.terminate();
    let sidecar = tokio::task::spawn_blocking(move || {
        refused(&sidecar);
        sidecar
    });
    let mut sidecar = sidecar.await.expect("it drains");
    let_go.send(()).expect("the origin waits");
    let response = patient("an answer", response).await.expect("the task ran");
    let (body, _) = collect(response.expect("an answer").into_body()).await.expect("whole");
    assert_eq!(body, b"done");
    let ended = patient("the end of the connection", async {
        loop {
            match client.clone().ready().await {
                Err(error) => break error,
                Ok(_) => tokio::task::yield_now().await,
            }
        }
    });
    let error = ended.await;
    assert!(error.is_go_away() || error.is_io() || error.reason().is_none(), "{error:?}");
    let status = tokio::task::spawn_blocking(move || sidecar.wait());
    assert_eq!(status.await.expect("it ends").code(), Some(0));
    drop(origin);
}

#[test]
fn a_drain_has_a_limit() {
    let (origin, _let_go) = holding();
    let plan = Plan::to(origin.address()).more("drain: 500ms\n");
    let mut sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    client.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for(1);
    let start = std::time::Instant::now();
    sidecar.terminate();
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
    assert!(client.try_answer("GET").is_err());
}

#[test]
fn ctrl_c_drains_too() {
    let (origin, _let_go) = holding();
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()));
    assert_eq!(sidecar.get("/", "").status(), 200);
    sidecar.signal("INT");
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
}

#[test]
fn readiness_goes_first_and_requests_are_served_until_the_wait_is_over() {
    let origin = Origin::lane("stable");
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()).more("drain_wait: 3s\n"));
    let start = std::time::Instant::now();
    sidecar.terminate();
    eventually("/readyz to answer 503", || (sidecar.admin_get("/readyz").status() == 503).then_some(()));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").status(), 200, "a new connection");
    assert_eq!(client.get("/", "").status(), 200, "a kept connection");
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
    assert!(start.elapsed() >= std::time::Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_second_signal_cuts_the_wait_and_the_drain_off() {
    for more in ["drain: 1h\n", "drain: 1h\ndrain_wait: 1h\n"] {
        let (origin, _let_go) = holding();
        let mut sidecar = Sidecar::start(&Plan::to(origin.address()).more(more));
        let mut client = sidecar.client();
        client.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        origin.wait_for(1);
        sidecar.terminate();
        eventually("the first signal to be seen", || sidecar.stderr().contains("draining").then_some(()));
        assert_eq!(sidecar.exited(), None, "one signal waits");
        sidecar.terminate();
        assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
        assert!(client.try_answer("GET").is_err());
        assert!(sidecar.stderr().contains("second time"), "{}", sidecar.stderr());
    }
}

#[test]
fn whoever_keeps_asking_is_told_before_the_connection_closes() {
    let origin = Origin::lane("stable");
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").status(), 200);
    sidecar.terminate();
    let told = |said: String| said == "close";
    while !client.get("/", "").get("connection").is_some_and(told) {}
    client.assert_closed();
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
}

/// A connection in HTTP/2 frame by frame.
struct Frames(tokio::net::TcpStream);

impl Frames {
    async fn connect(sidecar: &Sidecar) -> Self {
        let stream = tokio::net::TcpStream::connect(sidecar.traffic()).await.expect("it accepts");
        let mut frames = Self(stream);
        frames.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it reads");
        frames.send(SETTINGS, 0, 0, &[]).await;
        frames
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0.write_all(&frame(kind, flags, stream, payload)).await.expect("it reads");
    }

    /// `GET http://a/` (RFC 7541: three entries of the static table, and an authority).
    async fn ask(&mut self, stream: u32) {
        self.send(HEADERS, 5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a']).await;
    }

    /// The next frame of a kind: its stream and its payload.
    async fn next(&mut self, wanted: u8) -> (u32, Vec<u8>) {
        let reading = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.expect("another frame");
                let length = usize::from(head[0]) * 65536 + usize::from(head[1]) * 256 + usize::from(head[2]);
                let mut payload = vec![0; length];
                self.0.read_exact(&mut payload).await.expect("a whole frame");
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                // An acknowledgement of our own is no ping.
                if head[3] == wanted && !(wanted == PING && head[4] == 1) {
                    return (stream, payload);
                }
            }
        };
        patient("a frame", reading).await
    }

    /// The last stream that a GOAWAY without an error names.
    async fn last_stream(&mut self) -> u32 {
        let (_, payload) = self.next(GOAWAY).await;
        assert_eq!(payload[4..8], [0; 4], "NO_ERROR");
        u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]])
    }
}

/// RFC 9113 section 6.8: a stream that is on its way when the server decides to leave is served.
#[tokio::test]
async fn goaway_comes_twice_and_a_stream_between_is_served() {
    let origin = Origin::lane("stable");
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut frames = Frames::connect(&sidecar).await;
    frames.ask(1).await;
    assert_eq!(frames.next(HEADERS).await.0, 1);
    sidecar.terminate();
    assert_eq!(frames.last_stream().await, (1 << 31) - 1, "the first allows every stream");
    let (_, ping) = frames.next(PING).await;
    frames.ask(3).await;
    let (stream, answer) = frames.next(HEADERS).await;
    assert_eq!((stream, answer[0]), (3, 0x88), ":status 200");
    frames.send(PING, 1, 0, &ping).await;
    assert_eq!(frames.last_stream().await, 3, "the second names the last");
    let mut rest = Vec::new();
    patient("the end", frames.0.read_to_end(&mut rest)).await.expect("closed in order");
    let status = tokio::task::spawn_blocking(move || sidecar.wait());
    assert_eq!(status.await.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn a_client_that_answers_no_ping_gets_its_second_goaway_too() {
    let origin = Origin::lane("stable");
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut frames = Frames::connect(&sidecar).await;
    frames.ask(1).await;
    assert_eq!(frames.next(HEADERS).await.0, 1);
    sidecar.terminate();
    assert_eq!(frames.last_stream().await, (1 << 31) - 1);
    assert_eq!(frames.last_stream().await, 1);
    let status = tokio::task::spawn_blocking(move || sidecar.wait());
    assert_eq!(status.await.expect("it ends").code(), Some(0));
}

#[test]
fn a_tunnel_ends_at_the_limit() {
    let origin = Origin::start(|visit| {
        let Some(head) = visit.head() else { return };
        visit.note(&head);
        let _ = visit.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n");
        while visit.wire.take(1).is_ok() {}
    });
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()).more("drain: 1s\n"));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n");
    assert_eq!(client.answer().status(), 101);
    sidecar.terminate();
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
    assert!(sidecar.stderr().contains("cut off"), "{}", sidecar.stderr());
}
