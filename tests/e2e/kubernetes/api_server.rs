//! A stand-in for an API server: it keeps objects by path, with versions, and asks for a token. It validates nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What everybody has to show.
pub(super) const TOKEN: &str = "a token of the service account";

#[derive(Default)]
pub(super) struct Kept {
    pub(super) objects: BTreeMap<String, Value>,
    /// What nobody may read.
    pub(super) hidden: Vec<String>,
    version: u64,
}

type Shelf = Arc<Mutex<Kept>>;

/// Ends with the test.
pub(super) struct ApiServer {
    pub(super) address: SocketAddr,
    pub(super) kept: Shelf,
    _runtime: tokio::runtime::Runtime,
}

impl ApiServer {
    /// With these objects by path.
    pub(super) fn start(objects: impl IntoIterator<Item = (String, Value)>) -> Self {
        let kept = Shelf::default();
        kept.lock().unwrap().objects.extend(objects);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (tell, told) = mpsc::channel();
        let router = Router::new().fallback(answer).with_state(kept.clone());
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self { address: told.recv().unwrap(), kept, _runtime: runtime }
    }

    /// What a command is told to find it.
    pub(super) fn arguments(&self, folder: &std::path::Path) -> Vec<String> {
        let token = folder.join("token");
        std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
        let server = format!("http://{}", self.address);
        ["--api-server".to_owned(), server, "--api-token".to_owned(), token.display().to_string()].into()
    }

    pub(super) fn object(&self, path: &str) -> Option<Value> {
        self.kept.lock().unwrap().objects.get(path).cloned()
    }
}

fn refusal(code: StatusCode, message: &str) -> Response {
    (code, json!({ "kind": "Status", "message": message, "code": code.as_u16() }).to_string()).into_response()
}

async fn answer(State(shelf): State<Shelf>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&format!("Bearer {TOKEN}")) {
        return refusal(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    let path = uri.path().to_owned();
    let mut kept = shelf.lock().unwrap();
    if kept.hidden.contains(&path) {
        return refusal(StatusCode::FORBIDDEN, "forbidden: User cannot list this");
    }
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let there = kept.objects.get(&path).cloned();
    let (path, object) = match (method, there) {
        (Method::GET, Some(there)) => return there.to_string().into_response(),
        (Method::POST, _) => {
            let path = format!("{path}/{}", sent["metadata"]["name"].as_str().unwrap());
            if kept.objects.contains_key(&path) {
                return refusal(StatusCode::CONFLICT, "already exists");
            }
            (path, sent)
        }
        (Method::PUT, Some(there)) => {
            if sent["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"] {
                return refusal(StatusCode::CONFLICT, "the object has been modified");
            }
            (path, sent)
        }
        (Method::PATCH, Some(mut there)) => {
            assert_eq!(headers["content-type"], "application/json-patch+json");
            let patch: json_patch::Patch = serde_json::from_value(sent).unwrap();
            if let Err(error) = json_patch::patch(&mut there, &patch) {
                return refusal(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string());
            }
            (path, there)
        }
        _ => return refusal(StatusCode::NOT_FOUND, "not found"),
    };
    kept.version += 1;
    let mut object = object;
    object["metadata"]["resourceVersion"] = kept.version.to_string().into();
    kept.objects.insert(path, object.clone());
    object.to_string().into_response()
}
