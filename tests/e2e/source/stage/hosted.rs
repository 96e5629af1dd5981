//! An HTTP server with a runtime of its own, so that killing it closes every connection at once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::harness::Port;

/// A server that can be killed and started again on its port.
pub(crate) struct Hosted {
    pub(crate) address: SocketAddr,
    /// Outside of what the system gives away: nobody has it while the server is down.
    _port: Port,
    router: Router,
    tls: Option<TlsAcceptor>,
    runtime: Option<Runtime>,
}

impl Hosted {
    /// Plain, or with a certificate and its key from these files.
    pub(crate) async fn start(router: Router, tls: Option<(PathBuf, PathBuf)>) -> Self {
        let port = Port::reserve();
        let address = port.address();
        let mut hosted = Self { address, _port: port, router, tls: tls.map(acceptor), runtime: None };
        hosted.again().await;
        hosted
    }

    /// Ends the server and all its connections.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waited for, since its port is free for others only once its tasks are gone; a task may not wait for that.
            let end = std::thread::spawn(move || runtime.shutdown_timeout(std::time::Duration::from_secs(5)));
            end.join().expect("a runtime ends");
        }
    }

    /// Starts it once more, on the port it had.
    pub(crate) async fn again(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = self.address;
        let bound = runtime.spawn(async move { TcpListener::bind(address).await.unwrap() });
        let listener = bound.await.unwrap();
        let router = self.router.clone();
        match self.tls.clone() {
            Some(acceptor) => drop(runtime.spawn(axum::serve(Tls { listener, acceptor }, router).into_future())),
            None => drop(runtime.spawn(axum::serve(listener, router).into_future())),
        }
        self.runtime = Some(runtime);
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.kill();
    }
}

fn acceptor((chain, key): (PathBuf, PathBuf)) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(chain).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (socket, peer) = Listener::accept(&mut self.listener).await;
            if let Ok(stream) = self.acceptor.accept(socket).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
