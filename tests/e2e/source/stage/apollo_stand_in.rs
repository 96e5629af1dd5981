//! A stand-in for Apollo's config service that answers as its documentation for clients in other languages says. No registry
//! of packages carries the real server.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::hosted::Hosted;

/// How long a poll is held; the real one takes 60 s.
const HELD: Duration = Duration::from_millis(700);

#[derive(Default)]
pub(crate) struct Book {
    /// Text and number of the release of each namespace.
    releases: BTreeMap<String, (String, i64)>,
    next: i64,
    /// The secret of the access key; without one nobody has to sign.
    pub(crate) secret: Option<String>,
    pub(crate) polls: usize,
    /// Status codes of the calls for a release.
    pub(crate) asked: Vec<u16>,
    /// What came as `messages`.
    pub(crate) messages: Vec<Value>,
    /// Leaves the text out of a release.
    pub(crate) no_content: bool,
}

#[derive(Clone)]
struct Shared {
    book: Arc<Mutex<Book>>,
    changes: watch::Sender<()>,
}

/// The config service of the application `goods`, cluster `default`.
pub(crate) struct ApolloStandIn {
    pub(crate) host: Hosted,
    shared: Shared,
}

impl ApolloStandIn {
    pub(crate) async fn start() -> Self {
        let shared = Shared { book: Arc::default(), changes: watch::channel(()).0 };
        let router = Router::new()
            .route("/notifications/v2", get(notifications))
            .route("/configs/{app}/{cluster}/{namespace}", get(config))
            .with_state(shared.clone());
        Self { host: Hosted::start(router, None).await, shared }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().unwrap()
    }

    pub(crate) fn release(&self, namespace: &str, text: &str) {
        let mut book = self.book();
        book.next += 1;
        let number = book.next;
        book.releases.insert(namespace.to_owned(), (text.to_owned(), number));
        drop(book);
        self.shared.changes.send_replace(());
    }
}

fn stranger(book: &Book, uri: &str, fields: &HeaderMap) -> Option<Response> {
    let secret = book.secret.as_ref()?;
    let timestamp = fields.get("timestamp").map(|value| value.to_str().unwrap()).unwrap_or_default();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}\n{uri}").as_bytes());
    let wanted = format!("Apollo goods:{}", STANDARD.encode(mac.finalize().into_bytes()));
    let shown = fields.get("authorization").and_then(|value| value.to_str().ok());
    (shown != Some(&wanted)).then(|| (StatusCode::UNAUTHORIZED, "Unauthorized").into_response())
}

async fn notifications(
    State(shared): State<Shared>,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    fields: HeaderMap,
) -> Response {
    assert_eq!((query["appId"].as_str(), query["cluster"].as_str()), ("goods", "default"));
    let known: Vec<Value> = serde_json::from_str(&query["notifications"]).unwrap();
    let deadline = tokio::time::Instant::now() + HELD;
    let mut changes = shared.changes.subscribe();
    shared.book.lock().unwrap().polls += 1;
    loop {
        {
            let book = shared.book.lock().unwrap();
            if let Some(refused) = stranger(&book, &uri.to_string(), &fields) {
                return refused;
            }
            let told: Vec<Value> = known.iter().filter_map(|known| newer(&book, known)).collect();
            if !told.is_empty() {
                return Json(told).into_response();
            }
        }
        if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
            return StatusCode::NOT_MODIFIED.into_response();
        }
    }
}

fn newer(book: &Book, known: &Value) -> Option<Value> {
    let name = known["namespaceName"].as_str().unwrap();
    let (_, number) = book.releases.get(name)?;
    let messages = json!({ "details": { format!("goods+default+{name}"): number } });
    let told = json!({ "namespaceName": name, "notificationId": number, "messages": messages });
    (known["notificationId"] != *number).then_some(told)
}

async fn config(
    State(shared): State<Shared>,
    uri: Uri,
    Path((app, cluster, name)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
    fields: HeaderMap,
) -> Response {
    let mut book = shared.book.lock().unwrap();
    if let Some(refused) = stranger(&book, &uri.to_string(), &fields) {
        return refused;
    }
    book.messages.extend(query.get("messages").map(|text| serde_json::from_str::<Value>(text).unwrap()));
    let answer = match book.releases.get(&name).filter(|_| app == "goods" && cluster == "default") {
        None => StatusCode::NOT_FOUND.into_response(),
        Some((_, number)) if query.get("releaseKey") == Some(&format!("release-{number}")) => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        Some((text, number)) => {
            let content = if book.no_content { json!({}) } else { json!({ "content": text }) };
            let key = format!("release-{number}");
            let whole = json!({
                "appId": app, "cluster": cluster, "namespaceName": name, "configurations": content, "releaseKey": key,
            });
            Json(whole).into_response()
        }
    };
    book.asked.push(answer.status().as_u16());
    answer
}
