//! A real etcd server of one member.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graylane::outbound::{Bounds, Caller, Roots};
use http::Request;
use serde_json::{Value, json};

use super::{Certificates, Server};
use crate::harness::{Port, patient};

/// An etcd server with a client that writes.
pub(crate) struct EtcdServer {
    pub(crate) server: Server,
    client: Port,
    _peer: Port,
    folder: tempfile::TempDir,
    caller: Caller,
    scheme: &'static str,
    /// Sent with every call once it is there.
    pub(crate) token: Option<String>,
}

impl EtcdServer {
    pub(crate) async fn start() -> Self {
        Self::with(None, &[]).await
    }

    /// With TLS on the client port, and further settings as on its command line.
    pub(crate) async fn with(tls: Option<&Certificates>, settings: &[&str]) -> Self {
        let (client, peer, folder) = (Port::reserve(), Port::reserve(), tempfile::tempdir().unwrap());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (at, between) = (format!("{scheme}://{}", client.address()), format!("http://{}", peer.address()));
        let mut all: Vec<String> = [
            ("--name", "one".to_owned()),
            ("--data-dir", folder.path().join("data").display().to_string()),
            ("--listen-client-urls", at.clone()),
            ("--advertise-client-urls", at),
            ("--listen-peer-urls", between.clone()),
            ("--initial-advertise-peer-urls", between.clone()),
            ("--initial-cluster", format!("one={between}")),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        let mut roots = Roots::default();
        if let Some(files) = tls {
            let named = [("--cert-file", "cert.pem"), ("--key-file", "key.pem"), ("--trusted-ca-file", "ca.pem")];
            all.extend(named.into_iter().flat_map(|(name, file)| [name.to_owned(), files.text(file)]));
            all.push("--client-cert-auth".to_owned());
            roots = Roots {
                ca: Some(files.file("ca.pem")),
                identity: Some((files.file("cert.pem"), files.file("key.pem"))),
            };
        }
        all.extend(settings.iter().map(ToString::to_string));
        let (server, caller) = (Server::start("etcd", all), Caller::new(&roots).unwrap());
        let server = Self { server, client, _peer: peer, folder, caller, scheme, token: None };
        server.ready().await;
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.client.address()
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    pub(crate) async fn again(&mut self) {
        self.server.again();
        self.ready().await;
    }

    /// Loses everything it ever knew; to be called while it is down.
    pub(crate) fn forget(&self) {
        std::fs::remove_dir_all(self.folder.path().join("data")).unwrap();
    }

    async fn ready(&self) {
        let asked = async {
            while self.ask("/v3/kv/range", &json!({ "key": "AA==" })).await.is_err() {
                // The pause between two looks.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        patient("etcd to answer", asked).await;
    }

    async fn ask(&self, path: &str, question: &Value) -> Result<Value, String> {
        let mut request = Request::post(format!("{}{path}", self.url()));
        if let Some(token) = &self.token {
            request = request.header("authorization", token);
        }
        let request = request.body(Bytes::from(question.to_string())).unwrap();
        let bounds = Bounds { within: Duration::from_secs(10), bytes: 64 << 20 };
        let answer = self.caller.call(request, bounds).await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status != 200 {
            return Err(text);
        }
        serde_json::from_slice(&answer.body).map_err(|error| format!("{error}: {text}"))
    }

    pub(crate) async fn call(&self, path: &str, question: Value) -> Value {
        self.ask(path, &question).await.unwrap_or_else(|error| panic!("{path} {question}: {error}"))
    }

    pub(crate) async fn put(&self, key: &str, value: impl AsRef<[u8]>) {
        self.call("/v3/kv/put", json!({ "key": STANDARD.encode(key), "value": STANDARD.encode(value) })).await;
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.call("/v3/kv/deleterange", json!({ "key": STANDARD.encode(key) })).await;
    }

    /// Forgets every revision but the newest.
    pub(crate) async fn compact(&self) {
        let answer = self.call("/v3/kv/range", json!({ "key": "AA==" })).await;
        let revision = answer["header"]["revision"].clone();
        self.call("/v3/kv/compaction", json!({ "revision": revision, "physical": true })).await;
    }
}
