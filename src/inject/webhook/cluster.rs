//! The API server, as far as the webhook and the doctor need it: a few calls with the service account's token, each bounded.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::Value;

use crate::outbound::{Bounds, CallError, Caller, Roots, TlsError};

/// Where a pod finds what it needs to ask.
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What a call may cost. Lists of the doctor are the largest.
const BOUNDS: Bounds = Bounds { within: Duration::from_secs(10), bytes: 64 << 20 };

/// Who is asked, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Such as `https://10.96.0.1:443`.
    pub server: String,
    /// The file with the token, read for each call: it is renewed.
    pub token: Option<PathBuf>,
    /// Who vouches for the server.
    pub authority: Option<PathBuf>,
}

/// An API server.
#[derive(Debug, Clone)]
pub struct Cluster {
    access: Access,
    caller: Caller,
}

/// Why there is no answer to go by.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// This is no pod, and nobody named a server.
    #[error("no API server is known: run it in a pod, or name one by --api-server")]
    Unknown,
    /// A file cannot be read.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server did not answer.
    #[error("{server}: {why}")]
    Call {
        /// The server.
        server: String,
        /// Why not.
        why: CallError,
    },
    /// It answered that it will not.
    #[error("{path}: {status} {message}")]
    Status {
        /// What was asked for.
        path: String,
        /// The status code: 403 where the service account lacks a right, 404, 409.
        status: u16,
        /// Its own words.
        message: String,
    },
    /// It answered something that is no JSON.
    #[error("{path}: the answer is no JSON: {why}")]
    Answer {
        /// What was asked for.
        path: String,
        /// Why not.
        why: serde_json::Error,
    },
}

impl ClusterError {
    /// Whether the server said that there is no such thing.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }

    /// Whether another was faster.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Status { status: 409 | 422, .. })
    }
}

impl Access {
    /// What a pod is given.
    pub fn of_pod() -> Result<Self, ClusterError> {
        let of = |name: &str| std::env::var(name).map_err(|_| ClusterError::Unknown);
        let (host, port) = (of("KUBERNETES_SERVICE_HOST")?, of("KUBERNETES_SERVICE_PORT")?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let file = |name: &str| Some(PathBuf::from(MOUNTED).join(name));
        Ok(Self { server: format!("https://{host}:{port}"), token: file("token"), authority: file("ca.crt") })
    }

    /// The namespace of the pod.
    pub fn namespace_of_pod() -> Option<String> {
        let text = std::fs::read_to_string(PathBuf::from(MOUNTED).join("namespace")).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    }
}

impl Cluster {
    /// Nothing is asked yet.
    pub fn new(access: Access) -> Result<Self, ClusterError> {
        let caller = Caller::new(&Roots { ca: access.authority.clone(), identity: None })?;
        Ok(Self { access, caller })
    }

    /// Reads an object or a list.
    pub async fn get(&self, path: &str) -> Result<Value, ClusterError> {
        self.ask(Method::GET, path, "application/json", None).await
    }

    /// Makes an object.
    pub async fn post(&self, path: &str, object: &Value) -> Result<Value, ClusterError> {
        self.ask(Method::POST, path, "application/json", Some(object)).await
    }

    /// Puts an object in the place of the one of its `resourceVersion`.
    pub async fn put(&self, path: &str, object: &Value) -> Result<Value, ClusterError> {
        self.ask(Method::PUT, path, "application/json", Some(object)).await
    }

    /// Changes an object by a JSON Patch.
    pub async fn patch(&self, path: &str, patch: &Value) -> Result<Value, ClusterError> {
        self.ask(Method::PATCH, path, "application/json-patch+json", Some(patch)).await
    }

    /// The minor version of the cluster: 33 of 1.33.
    pub async fn minor(&self) -> Result<Option<u16>, ClusterError> {
        let version = self.get("/version").await?;
        let minor = version.get("minor").and_then(Value::as_str).unwrap_or_default();
        // Some providers write `29+`.
        Ok(minor.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok())
    }

    async fn ask(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> Result<Value, ClusterError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.access.server));
        request = request.header(header::ACCEPT, "application/json").header(header::CONTENT_TYPE, kind);
        if let Some(path) = &self.access.token {
            let read = std::fs::read_to_string(path);
            let token = read.map_err(|why| ClusterError::File { path: path.clone(), why })?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let call =
            |why: String| ClusterError::Call { server: self.access.server.clone(), why: CallError::Unreachable(why) };
        let request = request.body(Bytes::from(body)).map_err(|error| call(error.to_string()))?;
        let answer = self.caller.call(request, BOUNDS).await;
        let answer = answer.map_err(|why| ClusterError::Call { server: self.access.server.clone(), why })?;
        let read: Result<Value, _> = serde_json::from_slice(&answer.body);
        if !(200..300).contains(&answer.status) {
            let message = read.ok().and_then(|status| Some(status.get("message")?.as_str()?.to_owned()));
            let (path, status) = (path.to_owned(), answer.status);
            return Err(ClusterError::Status { path, status, message: message.unwrap_or_default() });
        }
        read.map_err(|why| ClusterError::Answer { path: path.to_owned(), why })
    }
}
