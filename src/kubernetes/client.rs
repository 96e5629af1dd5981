//! Calls to the API server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::request::Builder;
use serde_json::Value;

use super::ApiError;
use crate::config::KubernetesAccess;
use crate::outbound::{Answer, Bounds, Caller, Roots, Stream};

/// What a pod finds of its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long the server may take over a call.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest answer: of a list, of which there is one page.
const MOST_BYTES: usize = 64 << 20;
/// How much of a refusal is told.
const MOST_TOLD: usize = 300;
/// The longest token.
const LONGEST_TOKEN: u64 = 64 << 10;
/// As whom an applied object's fields are known.
const MANAGER: &str = "graylane";
/// Under what name the server sees us.
const NAME: &str = concat!("graylane/", env!("CARGO_PKG_VERSION"));

/// Calls one API server.
#[derive(Debug, Clone)]
pub struct Client {
    caller: Caller,
    base: String,
    token: Option<PathBuf>,
}

impl Client {
    /// For this access; what it does not say is looked for where a pod finds it.
    pub fn new(access: &KubernetesAccess) -> Result<Self, ApiError> {
        let base = match &access.url {
            Some(url) => url.clone(),
            None => in_cluster()?,
        };
        let file = |written: &Option<PathBuf>, name: &str| {
            written.clone().or_else(|| Some(Path::new(ACCOUNT).join(name)).filter(|path| path.exists()))
        };
        let roots = Roots { ca: file(&access.ca, "ca.crt"), identity: None };
        Ok(Self { caller: Caller::new(&roots)?, base, token: file(&access.token, "token") })
    }

    /// The object or list at a path, with its query.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.call(Request::get(self.url(path)), Bytes::new()).await
    }

    /// Replaces an object: refused as a conflict where somebody else changed it since it was read.
    pub async fn put(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.call(Request::put(self.url(path)).header(CONTENT_TYPE, "application/json"), body_of(object)).await
    }

    /// Makes an object in a collection.
    pub async fn post(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.call(Request::post(self.url(path)).header(CONTENT_TYPE, "application/json"), body_of(object)).await
    }

    /// Changes an object by a JSON merge patch (RFC 7396).
    pub async fn merge(&self, path: &str, patch: &Value) -> Result<Value, ApiError> {
        let request = Request::patch(self.url(path)).header(CONTENT_TYPE, "application/merge-patch+json");
        self.call(request, body_of(patch)).await
    }

    /// Makes an object what we say of it (server-side apply): fields that we said before and say no more are removed, and those
    /// of others stay. Where there is no such object it is made, by the right to `create` an object of this name.
    pub async fn apply(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        let url = format!("{}?fieldManager={MANAGER}&force=true", self.url(path));
        // JSON is YAML.
        self.call(Request::patch(url).header(CONTENT_TYPE, "application/apply-patch+yaml"), body_of(object)).await
    }

    /// Opens a watch.
    pub(super) async fn watch(&self, path: &str) -> Result<Stream, ApiError> {
        let request = self.finished(Request::get(self.url(path)), Bytes::new())?;
        let mut stream = self.caller.open(request, WITHIN).await?;
        if stream.status == 200 {
            return Ok(stream);
        }
        let said = tokio::time::timeout(WITHIN, stream.next()).await.unwrap_or(Ok(None))?.unwrap_or_default();
        Err(refused(stream.status, &said))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn call(&self, request: Builder, body: Bytes) -> Result<Value, ApiError> {
        let request = self.finished(request, body)?;
        let Answer { status, body, .. } =
            self.caller.call(request, Bounds { within: WITHIN, bytes: MOST_BYTES }).await?;
        if !(200..300).contains(&status) {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| ApiError::Garbled(error.to_string()))
    }

    /// The token is read again for every call: the kubelet replaces it before it expires.
    fn finished(&self, mut request: Builder, body: Bytes) -> Result<Request<Bytes>, ApiError> {
        request = request.header(ACCEPT, "application/json").header(USER_AGENT, NAME);
        if let Some(path) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token(path)?));
        }
        request.body(body).map_err(|error| ApiError::Setup(format!("this cannot be asked: {error}")))
    }
}

/// The namespace that is given, else that of the pod that this process runs in.
pub fn namespace_of(given: Option<&str>) -> Result<String, ApiError> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let path = Path::new(ACCOUNT).join("namespace");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(ApiError::Setup(format!("the pod's own namespace: {}: {error}", path.display()))),
    }
}

fn in_cluster() -> Result<String, ApiError> {
    let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(host) = of("KUBERNETES_SERVICE_HOST") else {
        let text = "this is no pod (KUBERNETES_SERVICE_HOST is not set), and `kubernetes.url` is not given";
        return Err(ApiError::Setup(text.to_owned()));
    };
    let port = of("KUBERNETES_SERVICE_PORT_HTTPS").or_else(|| of("KUBERNETES_SERVICE_PORT"));
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(format!("https://{host}:{}", port.as_deref().unwrap_or("443")))
}

fn token(path: &Path) -> Result<String, ApiError> {
    let failed = |why: String| ApiError::Setup(format!("token file `{}`: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > LONGEST_TOKEN {
        return Err(failed(format!("{length} bytes are no token")));
    }
    Ok(std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?.trim().to_owned())
}

fn body_of(object: &Value) -> Bytes {
    Bytes::from(object.to_string())
}

/// A refusal, in the words of the `Status` that comes with it where there is one.
fn refused(status: u16, body: &[u8]) -> ApiError {
    let told = serde_json::from_slice::<Value>(body).ok();
    let told = told.as_ref().and_then(|status| status["message"].as_str()).map(str::to_owned);
    let text = told.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(MOST_TOLD)]).into_owned());
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    ApiError::Refused { status, said: text.chars().take(MOST_TOLD).map(shown).collect::<String>().trim().to_owned() }
}
