//! A client that goes away: its upstream call ends at once, in each pair of protocols, before and within the answer.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::scene::{Scene, fault};
use crate::harness::{H2Origin, Origin, PATIENCE, Plan, Sidecar, h2_client};

/// How soon the upstream has to know.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Whether the origin begins to answer before the client leaves.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    None,
    Begun,
}

/// Tells of a request that came, and of its call having ended.
struct Upstream {
    came: mpsc::Receiver<()>,
    ended: mpsc::Receiver<()>,
}

impl Upstream {
    /// Waits for the request, lets the client leave and asserts that the call ends at once.
    fn check(&self, leave: impl FnOnce()) {
        self.came.recv_timeout(PATIENCE).expect("a request");
        let left = Instant::now();
        leave();
        self.ended.recv_timeout(PATIENCE).expect("the call ends");
        assert!(left.elapsed() < AT_ONCE, "{:?}", left.elapsed());
    }
}

fn h1_origin(answer: Answer) -> (Origin, Upstream) {
    let ((come, came), (end, ended)) = (mpsc::channel(), mpsc::channel());
    let origin = Origin::start(move |visit| {
        if visit.head().is_some() {
            if answer == Answer::Begun {
                let _ = visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
            }
            let _ = come.send(());
            visit.wait_for_close();
            let _ = end.send(());
        }
    });
    (origin, Upstream { came, ended })
}

fn h2_origin(answer: Answer) -> (H2Origin, Upstream) {
    let ((come, came), (end, ended)) = (mpsc::channel(), mpsc::channel());
    let origin = H2Origin::start(move |_request, mut respond| {
        let (come, end) = (come.clone(), end.clone());
        async move {
            let mut stream = None;
            if answer == Answer::Begun {
                let mut begun = respond.send_response(http::Response::new(()), false).expect("an answer begins");
                begun.send_data(Bytes::from_static(b"part"), false).expect("and goes on");
                stream = Some(begun);
            }
            let _ = come.send(());
            let reset = std::future::poll_fn(|context| match &mut stream {
                Some(stream) => stream.poll_reset(context),
                None => respond.poll_reset(context),
            });
            // A reset of this stream, not the end of its connection.
            if reset.await.is_ok() {
                let _ = end.send(());
            }
        }
    });
    (origin, Upstream { came, ended })
}

/// A client in HTTP/1.1 leaves: it closes its connection.
fn leave_h1(sidecar: &Sidecar, upstream: &Upstream, request: &str) {
    let mut client = sidecar.client();
    client.send(request.as_bytes());
    upstream.check(|| drop(client));
    sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
    sidecar.wait_for_metric("graylane_client_disconnects_total", &[], 1.0);
}

/// A client in HTTP/2 leaves: it resets its stream, or closes its connection.
async fn leave_h2(sidecar: Sidecar, upstream: Upstream, connection_too: bool) {
    let mut client = h2_client(sidecar.traffic()).await;
    let request = http::Request::get("http://shop.test/").body(()).expect("a request");
    let (mut response, mut stream) = client.send_request(request, true).expect("a stream");
    // What comes before the client leaves has to be taken, so that both cases are what they say.
    let _ = tokio::time::timeout(Duration::from_millis(200), &mut response).await;
    let checked = tokio::task::spawn_blocking(move || {
        upstream.check(move || {
            stream.send_reset(h2::Reason::CANCEL);
            if connection_too {
                drop((stream, response, client));
            }
        });
        sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
        sidecar.wait_for_metric("graylane_client_disconnects_total", &[], 1.0);
    });
    checked.await.expect("it ends at once");
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// A body of which a part is still to come.
const PART: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf";

#[test]
fn from_http1_to_http1() {
    for answer in [Answer::None, Answer::Begun] {
        for request in [GET, PART] {
            let (origin, upstream) = h1_origin(answer);
            leave_h1(&Sidecar::start(&Plan::to(origin.address())), &upstream, request);
        }
    }
}

#[test]
fn from_http1_to_http2() {
    for answer in [Answer::None, Answer::Begun] {
        for request in [GET, PART] {
            let (origin, upstream) = h2_origin(answer);
            let plan = Plan::new().upstream_h2("stable", origin.address()).rest();
            leave_h1(&Sidecar::start(&plan), &upstream, request);
        }
    }
}

#[tokio::test]
async fn from_http2_to_http1() {
    for (answer, connection_too) in [(Answer::None, false), (Answer::Begun, false), (Answer::None, true)] {
        let (origin, upstream) = h1_origin(answer);
        leave_h2(Sidecar::start(&Plan::to(origin.address())), upstream, connection_too).await;
    }
}

#[tokio::test]
async fn from_http2_to_http2() {
    for (answer, connection_too) in [(Answer::None, false), (Answer::Begun, false), (Answer::Begun, true)] {
        let (origin, upstream) = h2_origin(answer);
        let plan = Plan::new().upstream_h2("stable", origin.address()).rest();
        leave_h2(Sidecar::start(&plan), upstream, connection_too).await;
    }
}

#[test]
fn while_a_fault_holds_the_request_back_or_its_answer() {
    let scene = Scene::new();
    for what in ["share: 100%, delay: 1m", "share: 100%, slow_body: 1B"] {
        let sidecar = Sidecar::start(&scene.plan(&[fault("slow", what)]));
        let mut client = sidecar.client();
        client.send(GET.as_bytes());
        sidecar.wait_for_metric("graylane_faults_total", &[("fault", "slow")], 1.0);
        let left = Instant::now();
        drop(client);
        sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
        assert!(left.elapsed() < AT_ONCE, "{:?}", left.elapsed());
    }
}
