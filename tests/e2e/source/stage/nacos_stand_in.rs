//! A stand-in for Nacos that answers as its documentation says and as Nacos 0.8.0 was seen to. The real server is asked by
//! the long tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use md5::{Digest, Md5};
use serde_json::json;
use tokio::sync::watch;

use super::hosted::Hosted;

/// Data id, group, tenant.
type Key = (String, String, String);

#[derive(Default)]
pub(crate) struct Book {
    pub(crate) configs: BTreeMap<Key, String>,
    /// User and password; without them nobody is asked who he is.
    pub(crate) user: Option<(String, String)>,
    /// The tokens that are taken.
    pub(crate) tokens: Vec<String>,
    pub(crate) token_life: u64,
    pub(crate) logins: usize,
    pub(crate) polls: usize,
    pub(crate) gets: usize,
    /// Said in place of the right MD5.
    pub(crate) false_md5: bool,
    /// Says that everything changed although nothing did.
    pub(crate) cries_wolf: bool,
}

#[derive(Clone)]
struct Shared {
    book: Arc<Mutex<Book>>,
    changes: watch::Sender<()>,
}

/// A Nacos server below `/nacos`.
pub(crate) struct NacosStandIn {
    pub(crate) host: Hosted,
    shared: Shared,
}

impl NacosStandIn {
    pub(crate) async fn start() -> Self {
        let shared = Shared { book: Arc::default(), changes: watch::channel(()).0 };
        let router = Router::new()
            .route("/nacos/v1/auth/login", post(login))
            .route("/nacos/v1/cs/configs", get(config))
            .route("/nacos/v1/cs/configs/listener", post(listener))
            .with_state(shared.clone());
        Self { host: Hosted::start(router, None).await, shared }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().unwrap()
    }

    pub(crate) fn publish(&self, data_id: &str, tenant: &str, text: &str) {
        let key = (data_id.to_owned(), "DEFAULT_GROUP".to_owned(), tenant.to_owned());
        self.book().configs.insert(key, text.to_owned());
        self.tell();
    }

    pub(crate) fn remove(&self, data_id: &str, tenant: &str) {
        let key = (data_id.to_owned(), "DEFAULT_GROUP".to_owned(), tenant.to_owned());
        self.book().configs.remove(&key);
        self.tell();
    }

    pub(crate) fn tell(&self) {
        self.shared.changes.send_replace(());
    }
}

fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A form is written as a query is.
fn form(body: &str) -> HashMap<String, String> {
    let uri: Uri = format!("/?{body}").parse().unwrap();
    Query::try_from_uri(&uri).unwrap().0
}

fn stranger(book: &Book, query: &HashMap<String, String>) -> Option<Response> {
    let known = book.user.is_none() || query.get("accessToken").is_some_and(|token| book.tokens.contains(token));
    (!known).then(|| (StatusCode::FORBIDDEN, "user not found!").into_response())
}

async fn login(State(shared): State<Shared>, body: String) -> Response {
    let said = form(&body);
    let mut book = shared.book.lock().unwrap();
    let is_known =
        book.user.as_ref().is_some_and(|(user, word)| said["username"] == *user && said["password"] == *word);
    if !is_known {
        return (StatusCode::FORBIDDEN, "unknown user!").into_response();
    }
    book.logins += 1;
    let token = format!("token-{}", book.logins);
    book.tokens.push(token.clone());
    Json(json!({ "accessToken": token, "tokenTtl": book.token_life, "globalAdmin": true })).into_response()
}

async fn config(State(shared): State<Shared>, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut book = shared.book.lock().unwrap();
    if let Some(refused) = stranger(&book, &query) {
        return refused;
    }
    book.gets += 1;
    let tenant = query.get("tenant").cloned().unwrap_or_default();
    match book.configs.get(&(query["dataId"].clone(), query["group"].clone(), tenant)) {
        None => (StatusCode::NOT_FOUND, "config data not exist").into_response(),
        Some(text) => {
            let said = if book.false_md5 { md5("") } else { md5(text) };
            ([("Content-MD5", said)], text.clone()).into_response()
        }
    }
}

async fn listener(
    State(shared): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    fields: HeaderMap,
    body: String,
) -> Response {
    let said = form(&body);
    let wait = fields["long-pulling-timeout"].to_str().unwrap().parse().unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(wait);
    let mut changes = shared.changes.subscribe();
    shared.book.lock().unwrap().polls += 1;
    loop {
        {
            let book = shared.book.lock().unwrap();
            if let Some(refused) = stranger(&book, &query) {
                return refused;
            }
            let told = changed(&book, &said["Listening-Configs"]);
            if !told.is_empty() {
                return format!("{told}\n").into_response();
            }
        }
        if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
            return StatusCode::OK.into_response();
        }
    }
}

/// The configurations whose MD5 is another one, as the documentation writes them.
fn changed(book: &Book, listening: &str) -> String {
    let mut told = String::new();
    for line in listening.split('\u{1}').filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split('\u{2}').collect();
        let [data_id, group, known, rest @ ..] = words.as_slice() else { panic!("not three words: {line:?}") };
        let tenant = rest.first().copied().unwrap_or_default();
        let held = book.configs.get(&((*data_id).to_owned(), (*group).to_owned(), tenant.to_owned()));
        if book.cries_wolf || held.map(|text| md5(text)).unwrap_or_default() != *known {
            told += &format!("{data_id}%02{group}");
            told += &if tenant.is_empty() { "%01".to_owned() } else { format!("%02{tenant}%01") };
        }
    }
    told
}
