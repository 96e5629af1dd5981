//! A real gRPC service and client by tonic. Its messages are plain text, coded by hand, so that no `protoc` is needed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;

use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use tower::{Service, service_fn};

/// The codec: a message is its UTF-8 text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| Status::data_loss("not UTF-8"))
    }
}

type Messages = std::pin::Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// A `goods.Prices` service with one method of each of the four kinds, and `grpc.health.v1.Health/Check` for it.
pub(crate) struct GrpcOrigin {
    address: SocketAddr,
    serving: Arc<AtomicBool>,
    cancelled: Arc<Mutex<usize>>,
    _stop: oneshot::Sender<()>,
}

impl GrpcOrigin {
    pub(crate) fn start() -> Self {
        let (address_sender, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let cancelled: Arc<Mutex<usize>> = Arc::default();
        let serving = Arc::new(AtomicBool::new(true));
        let prices = Prices { cancelled: Arc::clone(&cancelled), serving: Arc::clone(&serving) };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                address_sender.send(listener.local_addr().expect("a bound socket")).expect("the test waits for it");
                let serving =
                    tonic::transport::Server::builder().serve_with_incoming(prices, TcpListenerStream::new(listener));
                tokio::select! {
                    served = serving => served.expect("the service runs"),
                    _ = stopped => {}
                }
            });
        });
        Self { address: address.recv().expect("the service listens"), serving, cancelled, _stop: stop }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it says of its health from now on.
    pub(crate) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
    }

    /// How many endless streams were ended by the caller.
    pub(crate) fn cancelled(&self) -> usize {
        *self.cancelled.lock().expect("nobody panics in the lock")
    }
}

#[derive(Clone)]
struct Prices {
    cancelled: Arc<Mutex<usize>>,
    serving: Arc<AtomicBool>,
}

impl Service<http::Request<Body>> for Prices {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let cancelled = Arc::clone(&self.cancelled);
        let serving = self.serving.load(Ordering::Acquire);
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Text);
            let answer = match request.uri().path() {
                "/goods.Prices/Quote" => grpc.unary(service_fn(quote), request).await,
                "/goods.Prices/Watch" => grpc.server_streaming(service_fn(watch), request).await,
                "/goods.Prices/Endless" => {
                    let endless = move |request| endless(request, Arc::clone(&cancelled));
                    grpc.server_streaming(service_fn(endless), request).await
                }
                "/goods.Prices/Sum" => grpc.client_streaming(service_fn(sum), request).await,
                "/goods.Prices/Chat" => grpc.streaming(service_fn(chat), request).await,
                "/grpc.health.v1.Health/Check" => {
                    grpc.unary(service_fn(move |request| health(request, serving)), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            };
            Ok(answer)
        })
    }
}

/// The health of `goods.Prices` and of the server as a whole. The messages are those of `grpc/health/v1/health.proto`;
/// they happen to be UTF-8: field 1 as a text, and field 1 as the number 1 (serving) or 2 (not serving).
async fn health(request: Request<String>, serving: bool) -> Result<Response<String>, Status> {
    match request.get_ref().as_str() {
        "" | "\x0a\x0cgoods.Prices" => Ok(Response::new(if serving { "\x08\x01" } else { "\x08\x02" }.to_owned())),
        _ => Err(Status::not_found("no such service")),
    }
}

/// Unary: echoes with a header, a trailer via metadata, and an error for the SKU `0`.
async fn quote(request: Request<String>) -> Result<Response<String>, Status> {
    let lane = request.metadata().get("x-gray-lane").cloned();
    if request.get_ref() == "0" {
        let mut status = Status::not_found("no such SKU: 商品");
        status.metadata_mut().insert("x-detail", "sku 0".parse().expect("plain text"));
        return Err(status);
    }
    let mut response = Response::new(format!("price of {}", request.get_ref()));
    if let Some(lane) = lane {
        response.metadata_mut().insert("x-lane-seen", lane);
    }
    Ok(response)
}

/// Server streaming: counts from 1 to the number asked for, then ends with an error where that is over 100.
async fn watch(request: Request<String>) -> Result<Response<Messages>, Status> {
    let count: usize = request.get_ref().parse().map_err(|_| Status::invalid_argument("a number, please"))?;
    let messages = (1..=count.min(100)).map(|step| Ok(step.to_string()));
    let end = (count > 100).then(|| Err(Status::resource_exhausted("a hundred at most")));
    let stream = tokio_stream::iter(messages.chain(end));
    Ok(Response::new(Box::pin(stream)))
}

/// Server streaming without an end; counts when the caller leaves.
async fn endless(_request: Request<String>, cancelled: Arc<Mutex<usize>>) -> Result<Response<Messages>, Status> {
    struct CountDrop(Arc<Mutex<usize>>);
    impl Drop for CountDrop {
        fn drop(&mut self) {
            *self.0.lock().expect("nobody panics in the lock") += 1;
        }
    }
    let guard = CountDrop(cancelled);
    let first = tokio_stream::once(Ok("first".to_owned()));
    let stream = first.chain(tokio_stream::pending());
    let stream = stream.map(move |message| {
        let _held = &guard;
        message
    });
    Ok(Response::new(Box::pin(stream)))
}

/// Client streaming: the sum of all numbers.
async fn sum(request: Request<Streaming<String>>) -> Result<Response<String>, Status> {
    let mut total = 0_u64;
    let mut numbers = request.into_inner();
    while let Some(number) = numbers.message().await? {
        total += number.parse::<u64>().map_err(|_| Status::invalid_argument("a number, please"))?;
    }
    Ok(Response::new(total.to_string()))
}

/// Both ways: answers each message as it comes.
async fn chat(request: Request<Streaming<String>>) -> Result<Response<Messages>, Status> {
    let answers = request.into_inner().map(|message| message.map(|text| format!("re: {text}")));
    Ok(Response::new(Box::pin(answers)))
}

/// A client of the service behind `address`.
pub(crate) async fn grpc_client(address: SocketAddr) -> tonic::client::Grpc<Channel> {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address is a URI");
    let channel = endpoint.connect().await.expect("the sidecar speaks HTTP/2");
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("the channel is up");
    client
}

/// The path of a method of `goods.Prices`.
pub(crate) fn grpc_path(method: &str) -> PathAndQuery {
    format!("/goods.Prices/{method}").parse().expect("a method name is a path")
}
