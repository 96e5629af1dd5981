//! A collector of OpenTelemetry: it reads OTLP over HTTP and gRPC by the code that OpenTelemetry's own definitions were
//! made into, keeps what it was told, and answers as a test wants.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::{Request, Status};
use tower::Service;

use super::eventually;

/// How it takes what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes everything.
    Taking,
    /// It takes everything but so many spans of each batch.
    Rejecting(i64),
    /// It asks to be told again, so many times, and takes everything after that.
    Busy(u32),
    /// It refuses everything for good.
    Refusing,
    /// It takes nothing and answers something that is no answer.
    Garbage,
    /// It never answers.
    Silent,
}

/// A listening collector; ends with the test.
pub(crate) struct Collector {
    protocol: &'static str,
    address: SocketAddr,
    state: Arc<State>,
    _stop: oneshot::Sender<()>,
}

struct State {
    mood: Mutex<Mood>,
    taken: Mutex<Taken>,
}

/// What it was told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) spans: Vec<Span>,
    pub(crate) events: Vec<LogRecord>,
    /// The attributes of the resource that was told of last.
    pub(crate) resource: Vec<KeyValue>,
    /// The sizes of the batches of events.
    pub(crate) event_batches: Vec<usize>,
    /// The header fields of the last call.
    pub(crate) fields: HeaderMap,
    /// Batches that were offered, taken or not.
    pub(crate) offered: usize,
}

/// The value of an attribute as text; nothing where it is not there.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found: Vec<&KeyValue> = attributes.iter().filter(|attribute| attribute.key == key).collect();
    assert!(found.len() < 2, "{key} stands there twice");
    match found.first()?.value.clone()?.value? {
        any_value::Value::StringValue(text) => Some(text),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        any_value::Value::BoolValue(flag) => Some(flag.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Collector {
    /// `http` or `grpc`, on a port of its own.
    pub(crate) fn start(protocol: &'static str, mood: Mood) -> Self {
        let (address_sender, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let state = Arc::new(State { mood: Mutex::new(mood), taken: Mutex::default() });
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                address_sender.send(listener.local_addr().expect("a bound socket")).expect("the test waits for it");
                let serving = async {
                    match protocol {
                        "http" => axum::serve(listener, over_http(serving)).await.expect("it serves"),
                        "grpc" => {
                            let incoming = TcpListenerStream::new(listener);
                            let server = tonic::transport::Server::builder();
                            server.serve_with_incoming(OverGrpc(serving), incoming).await.expect("it serves");
                        }
                        other => panic!("{other} is no protocol of OTLP"),
                    }
                };
                tokio::select! { () = serving => {}, _ = stopped => {} }
            });
        });
        Self { protocol, address: address.recv().expect("it listens"), state, _stop: stop }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The section that has a sidecar tell this collector; `keys` are further keys in flow style.
    pub(crate) fn section(&self, keys: &str) -> String {
        let Self { protocol, address, .. } = self;
        format!("tracing: {{ otlp: \"http://{address}\", protocol: {protocol}, {keys} }}")
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.state.mood.lock().expect("nobody panics in the lock") = mood;
    }

    pub(crate) fn taken(&self) -> Taken {
        self.state.taken.lock().expect("nobody panics in the lock").clone()
    }

    /// Waits for at least so many spans, those of clients before those of servers, and gives all in the order in which they
    /// began.
    pub(crate) fn wait_for_spans(&self, count: usize) -> Vec<Span> {
        let mut spans = eventually(&format!("{count} spans"), || {
            let spans = self.taken().spans;
            (spans.len() >= count).then_some(spans)
        });
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    pub(crate) fn wait_for_events(&self, count: usize) -> Vec<LogRecord> {
        eventually(&format!("{count} events"), || {
            let events = self.taken().events;
            (events.len() >= count).then_some(events)
        })
    }
}

impl State {
    /// Takes a batch as the mood is; says what to answer.
    fn offered(&self, fields: &HeaderMap, take: impl FnOnce(&mut Taken)) -> Mood {
        let mut taken = self.taken.lock().expect("nobody panics in the lock");
        let mut mood = self.mood.lock().expect("nobody panics in the lock");
        taken.offered += 1;
        taken.fields = fields.clone();
        match *mood {
            Mood::Busy(0) => *mood = Mood::Taking,
            Mood::Busy(times) => {
                *mood = Mood::Busy(times - 1);
                return Mood::Busy(times);
            }
            _ => {}
        }
        if matches!(*mood, Mood::Taking | Mood::Rejecting(_)) {
            take(&mut taken);
        }
        *mood
    }

    fn spans(&self, fields: &HeaderMap, request: ExportTraceServiceRequest) -> Mood {
        self.offered(fields, |taken| {
            for told in request.resource_spans {
                taken.resource = told.resource.expect("a resource").attributes;
                for scoped in told.scope_spans {
                    assert_eq!(scoped.scope.expect("a scope").name, "graylane");
                    taken.spans.extend(scoped.spans);
                }
            }
        })
    }

    fn events(&self, fields: &HeaderMap, request: ExportLogsServiceRequest) -> Mood {
        self.offered(fields, |taken| {
            for told in request.resource_logs {
                taken.resource = told.resource.expect("a resource").attributes;
                for scoped in told.scope_logs {
                    taken.event_batches.push(scoped.log_records.len());
                    taken.events.extend(scoped.log_records);
                }
            }
        })
    }
}

fn partial(rejected_spans: i64) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: "not these".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }
}

fn over_http(state: Arc<State>) -> Router {
    let logs = Arc::clone(&state);
    let spans = async move |fields: HeaderMap, body: Bytes| match ExportTraceServiceRequest::decode(body) {
        Ok(request) => http_answer(state.spans(&fields, request)).await,
        Err(error) => panic!("not OTLP: {error}"),
    };
    let events = async move |fields: HeaderMap, body: Bytes| match ExportLogsServiceRequest::decode(body) {
        Ok(request) => http_answer(logs.events(&fields, request)).await,
        Err(error) => panic!("not OTLP: {error}"),
    };
    Router::new().route("/v1/traces", post(spans)).route("/v1/logs", post(events))
}

async fn http_answer(mood: Mood) -> Response {
    match mood {
        Mood::Taking => ExportTraceServiceResponse::default().encode_to_vec().into_response(),
        Mood::Rejecting(count) => partial(count).encode_to_vec().into_response(),
        Mood::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response(),
        Mood::Refusing => StatusCode::BAD_REQUEST.into_response(),
        Mood::Garbage => "<html>welcome</html>".into_response(),
        Mood::Silent => std::future::pending().await,
    }
}

#[derive(Clone)]
struct OverGrpc(Arc<State>);

impl Service<http::Request<Body>> for OverGrpc {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().contains("TraceService") {
            TraceServiceServer::from_arc(Arc::new(self.clone())).call(request)
        } else {
            LogsServiceServer::from_arc(Arc::new(self.clone())).call(request)
        }
    }
}

async fn grpc_answer<T>(mood: Mood, taken: T, rejecting: impl FnOnce(i64) -> T) -> Result<tonic::Response<T>, Status> {
    match mood {
        Mood::Taking => Ok(tonic::Response::new(taken)),
        Mood::Rejecting(count) => Ok(tonic::Response::new(rejecting(count))),
        Mood::Busy(_) => Err(Status::unavailable("later")),
        Mood::Refusing | Mood::Garbage => Err(Status::invalid_argument("never")),
        Mood::Silent => std::future::pending().await,
    }
}

#[tonic::async_trait]
impl TraceService for OverGrpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let fields = request.metadata().clone().into_headers();
        grpc_answer(self.0.spans(&fields, request.into_inner()), ExportTraceServiceResponse::default(), partial).await
    }
}

#[tonic::async_trait]
impl LogsService for OverGrpc {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        let fields = request.metadata().clone().into_headers();
        let mood = self.0.events(&fields, request.into_inner());
        grpc_answer(mood, ExportLogsServiceResponse::default(), |_| ExportLogsServiceResponse::default()).await
    }
}
