//! HTTP/2 upstreams that take few requests at once, as most servers do.

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use http::{Request, Response, StatusCode};
use tokio::sync::mpsc;

use crate::harness::{H2Origin, Plan, Sidecar, collect, h2_client, patient, send_all};

const STREAMS: u32 = 4;

/// A service that answers `/quick` and never `/hold`, a sidecar before it, and what of `/hold` was begun and reset.
struct Scene {
    _origin: H2Origin,
    _sidecar: Sidecar,
    client: SendRequest<Bytes>,
    held: mpsc::UnboundedReceiver<Held>,
}

#[derive(Debug, PartialEq)]
enum Held {
    Begun,
    Reset,
}

impl Scene {
    async fn set(streams: u32) -> Self {
        let (telling, held) = mpsc::unbounded_channel();
        let origin = H2Origin::taking(streams, move |request, respond| handle(request, respond, telling.clone()));
        let sidecar = Sidecar::start(&Plan::new().upstream_h2("stable", origin.address()).rest());
        let client = h2_client(sidecar.traffic()).await;
        let mut scene = Self { _origin: origin, _sidecar: sidecar, client, held };
        // How many streams the service takes is known once it has answered.
        let first = scene.get("/quick");
        assert_answered([first]).await;
        scene
    }

    fn get(&mut self, path: &str) -> ResponseFuture {
        let request = Request::get(format!("http://shop.test{path}")).body(()).expect("a request");
        self.client.send_request(request, true).expect("a stream").0
    }

    /// As many requests as the service takes, all of them at the service.
    async fn fill(&mut self, streams: u32) -> Vec<ResponseFuture> {
        let mut all = Vec::new();
        for _ in 0..streams {
            all.push(self.get("/hold"));
            self.wait_for(Held::Begun).await;
        }
        all
    }

    async fn wait_for(&mut self, held: Held) {
        assert_eq!(patient("the service to tell", self.held.recv()).await, Some(held));
    }
}

async fn handle(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, held: mpsc::UnboundedSender<Held>) {
    if request.uri().path() == "/hold" {
        held.send(Held::Begun).expect("the test listens");
        let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
        reset.expect("it is reset, not the connection");
        _ = held.send(Held::Reset);
        return;
    }
    let Ok((body, _)) = collect(request.into_body()).await else { return };
    let answer = respond.send_response(Response::new(()), body.is_empty());
    let mut stream = answer.expect("it waits for the answer");
    send_all(&mut stream, body.into(), true).await.expect("it takes the answer");
}

async fn assert_answered(all: impl IntoIterator<Item = ResponseFuture>) {
    for response in all {
        let response = patient("an answer", response).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_client_that_drops_all_and_asks_anew_is_answered() {
    let mut scene = Scene::set(STREAMS).await;
    let dropped = scene.fill(STREAMS).await;
    // Nothing waits here, so that resets and requests go out together.
    drop(dropped);
    let asked: Vec<_> = (0..STREAMS).map(|_| scene.get("/quick")).collect();
    assert_answered(asked).await;
}

#[tokio::test]
async fn an_upload_that_waits_for_its_stream_goes_on_whoever_else_asks() {
    let mut scene = Scene::set(STREAMS).await;
    let dropped = scene.fill(STREAMS).await;
    drop(dropped);
    let request = Request::post("http://shop.test/quick").body(()).expect("a request");
    let (uploaded, mut body) = scene.client.send_request(request, false).expect("a stream");
    body.reserve_capacity(48_000);
    body.send_data(Bytes::from(vec![7; 48_000]), true).expect("the window is larger");
    let asked = scene.get("/quick");
    assert_answered([uploaded, asked]).await;
}

#[tokio::test]
async fn the_last_stream_that_fits_is_reset_as_soon_as_its_client_leaves() {
    let mut scene = Scene::set(1).await;
    let held = scene.fill(1).await;
    drop(held);
    scene.wait_for(Held::Reset).await;
}
