//! SIGTERM: what is under way finishes, nothing new begins, and the process ends with 0.

use std::sync::{Mutex, mpsc};

use http::Request;

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
