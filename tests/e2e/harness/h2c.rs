//! HTTP/2 with prior knowledge at both ends, by the `h2` crate directly, so that frames can be told apart.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, request};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::eventually;

type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An HTTP/2 origin on a runtime of its own.
pub(crate) struct H2Origin {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<request::Parts>>>,
    // Dropping it ends the runtime's thread.
    _stop: oneshot::Sender<()>,
}

impl H2Origin {
    /// Hands every request to `handler`; heads are recorded.
    pub(crate) fn start<F>(
        handler: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::of_builder(h2::server::Builder::new(), handler)
    }

    /// As [`H2Origin::start`], where each connection takes so many streams at once.
    pub(crate) fn taking<F>(
        streams: u32,
        handler: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(streams);
        Self::of_builder(builder, handler)
    }

    fn of_builder<F>(
        builder: h2::server::Builder,
        handler: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handler = move |request, respond| -> Handling { Box::pin(handler(request, respond)) };
        let (address_sender, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let seen: Arc<Mutex<Vec<request::Parts>>> = Arc::default();
        let recording = Arc::clone(&seen);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                address_sender.send(listener.local_addr().expect("a bound socket")).expect("the test waits for it");
                let accepting = accept(listener, builder, Arc::new(handler), recording);
                tokio::select! { () = accepting => {}, _ = stopped => {} }
            });
        });
        Self { address: address.recv().expect("the origin listens"), seen, _stop: stop }
    }

    /// Answers 200 with the request's body and the trailers it came with.
    pub(crate) fn echo() -> Self {
        Self::start(|request, mut respond| async move {
            let (body, trailers) = match collect(request.into_body()).await {
                Ok(whole) => whole,
                Err(_) => return,
            };
            let response = Response::new(());
            let Ok(mut stream) = respond.send_response(response, false) else {
                return;
            };
            let last = trailers.is_none();
            let _ = send_all(&mut stream, body.into(), last).await;
            if let Some(trailers) = trailers {
                let _ = stream.send_trailers(trailers);
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads that came so far.
    pub(crate) fn seen(&self) -> Vec<request::Parts> {
        self.seen.lock().expect("nobody panics in the lock").clone()
    }

    /// The one head that came.
    pub(crate) fn only(&self) -> request::Parts {
        let mut seen = eventually("a request at the HTTP/2 origin", || {
            let seen = self.seen();
            (!seen.is_empty()).then_some(seen)
        });
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

async fn accept<H>(
    listener: TcpListener,
    builder: h2::server::Builder,
    handler: Arc<H>,
    seen: Arc<Mutex<Vec<request::Parts>>>,
) where
    H: Fn(Request<RecvStream>, SendResponse<Bytes>) -> Handling + Send + Sync + 'static,
{
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).expect("a socket takes options");
        let (builder, handler, seen) = (builder.clone(), Arc::clone(&handler), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else {
                return;
            };
            while let Some(Ok((request, respond))) = connection.accept().await {
                let (parts, body) = request.into_parts();
                let request = Request::from_parts(parts.clone(), body);
                seen.lock().expect("nobody panics in the lock").push(parts);
                tokio::spawn(handler(request, respond));
            }
        });
    }
}

/// A connection to the sidecar; its driver runs until the connection ends.
pub(crate) async fn h2_client(address: SocketAddr) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(address).await.expect("it accepts");
    socket.set_nodelay(true).expect("a socket takes options");
    let (send, connection) = h2::client::handshake(socket).await.expect("it speaks h2");
    tokio::spawn(connection);
    send.ready().await.expect("it takes a stream")
}

/// Reads a whole body, giving back the flow-control window on the way.
pub(crate) async fn collect(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        whole.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len())?;
    }
    let trailers = body.trailers().await?;
    Ok((whole, trailers))
}

/// Sends a body as the peer's window allows.
pub(crate) async fn send_all(stream: &mut SendStream<Bytes>, mut body: Bytes, last: bool) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let granted = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let granted = match granted {
            Some(granted) => granted?,
            None => return Ok(()),
        };
        let piece = body.split_to(granted.min(body.len()));
        stream.send_data(piece, last && body.is_empty())?;
    }
    Ok(())
}
