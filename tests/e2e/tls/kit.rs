//! Certificates, a client that shows every step, and an origin that tells who came.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::harness::{PATIENCE, Plan};

/// Somebody who vouches for others.
pub(super) struct Authority {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) cert: String,
    pub(super) key: String,
}

static MADE: AtomicUsize = AtomicUsize::new(0);

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of one name would be taken for each other until their signatures are looked at.
        let name = format!("authority {}", MADE.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// For these names: DNS names, addresses, or URIs.
    pub(super) fn identity(&self, names: &[&str]) -> Identity {
        self.make(names, |_| {})
    }

    pub(super) fn make(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (uris, plain): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("://"));
        let mut params = CertificateParams::new(plain.into_iter().map(str::to_owned).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.extend(uris.into_iter().map(|uri| SanType::URI(uri.try_into().unwrap())));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { cert, key: key.serialize_pem() }
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        roots
    }

    /// A client that believes this authority and offers `alpn`.
    pub(super) fn client(&self, alpn: &[&str]) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(self.roots()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// The same, that shows who it is.
    pub(super) fn client_as(&self, identity: &Identity) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let (chain, key) = identity.parts();
        builder.with_root_certificates(self.roots()).with_client_auth_cert(chain, key).unwrap()
    }
}

impl Identity {
    pub(super) fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = vec![CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()];
        (chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
}

pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A plan whose listener has this certificate as `tls.crt`; `keys` are further keys of `tls` in flow style.
pub(super) fn behind(plan: Plan, identity: &Identity, keys: &str) -> Plan {
    plan.listener(&format!("tls: {{ certificates: [{{ cert: tls.crt, key: tls.key }}]{keys} }}"))
        .file("tls.crt", identity.cert.as_str())
        .file("tls.key", identity.key.as_str())
}

/// A connection whose handshake is done, as far as the client can tell.
pub(super) struct Session(pub(super) StreamOwned<ClientConnection, TcpStream>);

impl Session {
    pub(super) fn open(address: SocketAddr, config: &ClientConfig, name: &str) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?, config, name)
    }

    pub(super) fn over(mut stream: TcpStream, config: &ClientConfig, name: &str) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
        while client.is_handshaking() {
            client.complete_io(&mut stream)?;
        }
        Ok(Self(StreamOwned::new(client, stream)))
    }

    pub(super) fn alpn(&self) -> Option<String> {
        self.0.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// The certificate that was shown.
    pub(super) fn shown(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// One `GET` whose answer has a length; gives the whole answer. The connection stays.
    pub(super) fn get(&mut self, fields: &str) -> io::Result<String> {
        self.exchange(format!("GET /x HTTP/1.1\r\nHost: shop.test\r\n{fields}\r\n").as_bytes())
    }

    pub(super) fn exchange(&mut self, request: &[u8]) -> io::Result<String> {
        self.0.write_all(request)?;
        self.0.flush()?;
        self.answer()
    }

    pub(super) fn answer(&mut self) -> io::Result<String> {
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        let head = String::from_utf8(answer).unwrap().to_ascii_lowercase();
        let length =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(head + &String::from_utf8(body).unwrap())
    }
}

/// An origin behind TLS, in both protocols. It tells in its answer who came: `x-alpn`, `x-sni`, `x-client`.
pub(super) struct TlsOrigin {
    pub(super) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl TlsOrigin {
    /// With this identity; clients of `clients` are asked for certificates and may have none.
    pub(super) fn start(identity: &Identity, clients: Option<&Authority>) -> Self {
        Self::offering(&[b"h2", b"http/1.1"], identity, clients)
    }

    /// The same, offering these protocols.
    pub(super) fn offering(alpn: &[&[u8]], identity: &Identity, clients: Option<&Authority>) -> Self {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
            }
        };
        let (chain, key) = identity.parts();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let (address_sender, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                address_sender.send(listener.local_addr().unwrap()).unwrap();
                let acceptor = TlsAcceptor::from(Arc::new(config));
                let accepting = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        let acceptor = acceptor.clone();
                        tokio::spawn(async move {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream).await;
                            }
                        });
                    }
                };
                tokio::select! { () = accepting => {}, _ = stopped => {} }
            });
        });
        Self { address: address.recv().unwrap(), _stop: stop }
    }
}

async fn serve(mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
    let session = stream.get_ref().1;
    let alpn = session.alpn_protocol().map_or("none".into(), |name| String::from_utf8_lossy(name).into_owned());
    let sni = session.server_name().unwrap_or("none").to_owned();
    let client = if session.peer_certificates().is_some() { "known" } else { "none" };
    if alpn == "h2" {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let scheme = request.uri().scheme_str().unwrap_or("none").to_owned();
            let answer = http::Response::builder().header("x-alpn", &alpn).header("x-sni", &sni);
            let answer = answer.header("x-client", client).header("x-scheme", scheme).body(()).unwrap();
            let mut body = respond.send_response(answer, false).unwrap();
            let _ = body.send_data(Bytes::from_static(b"origin"), true);
        }
        return;
    }
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        read.extend_from_slice(&buffer[..n]);
        while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = read.drain(..end + 4).collect();
            let fields = format!("x-alpn: {alpn}\r\nx-sni: {sni}\r\nx-client: {client}\r\n");
            if head.starts_with(b"GET /endless") || head.starts_with(b"GET /whole") {
                let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\nso far");
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.flush().await;
                if head.starts_with(b"GET /whole") {
                    let _ = stream.shutdown().await;
                }
                return;
            }
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 6\r\n\r\norigin");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.flush().await;
        }
    }
}
