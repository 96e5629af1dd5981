//! The reference server of `docs/config-centre.md`: small, in memory, and able to misbehave on request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::hosted::Hosted;

/// How many versions a delta can start from.
const REMEMBERED: usize = 8;

/// What the server does instead of answering well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// Something that is no JSON.
    Garbage,
    /// The first half of an answer, and then the end of it.
    HalfAnswer,
    /// The head of an answer, half of its body, and a closed connection.
    BrokenOff,
    /// A body that never ends.
    Endless,
    /// The whole set at once, whatever was asked for.
    SameForEver,
    /// A delta to a version that nobody has.
    StrangeDelta,
    /// The same, but only to who did not ask for the whole set.
    MisfitDelta,
    /// Answer 500.
    Failure,
}

/// What is held, and what was asked.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) version: u64,
    pub(crate) lineage: String,
    pub(crate) documents: BTreeMap<String, String>,
    pub(crate) mischief: Option<Mischief>,
    pub(crate) token: Option<String>,
    /// The kind of each answer: `whole`, `delta`, `unchanged`, `refused`, or a mischief.
    pub(crate) answers: Vec<String>,
    /// The bodies of acknowledgements.
    pub(crate) acknowledged: Vec<Value>,
    /// How many acknowledgements are answered with 503.
    pub(crate) deaf_for: usize,
    past: VecDeque<(u64, BTreeMap<String, String>)>,
}

#[derive(Clone)]
struct Shared {
    book: Arc<Mutex<Book>>,
    changes: watch::Sender<()>,
}

/// A configuration centre with the namespace `prod`.
pub(crate) struct CentreServer {
    pub(crate) host: Hosted,
    shared: Shared,
}

impl CentreServer {
    pub(crate) async fn start() -> Self {
        Self::with(None).await
    }

    pub(crate) async fn with(tls: Option<(PathBuf, PathBuf)>) -> Self {
        let shared = Shared { book: Arc::default(), changes: watch::channel(()).0 };
        let router = Router::new()
            .route("/v1/config/{namespace}", get(config))
            .route("/v1/config/{namespace}/ack", post(acknowledge))
            .with_state(shared.clone());
        Self { host: Hosted::start(router, tls).await, shared }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().unwrap()
    }

    /// Changes documents in one new version.
    pub(crate) fn change(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let mut book = self.book();
        let before = (book.version, book.documents.clone());
        book.past.push_back(before);
        if book.past.len() > REMEMBERED {
            book.past.pop_front();
        }
        change(&mut book.documents);
        book.version += 1;
        drop(book);
        self.tell();
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        self.change(|documents| drop(documents.insert(name.to_owned(), text.to_owned())));
    }

    /// Forgets the versions that a delta could start from.
    pub(crate) fn forget_past(&self) {
        self.book().past.clear();
    }

    pub(crate) fn misbehave(&self, mischief: Option<Mischief>) {
        self.book().mischief = mischief;
        self.tell();
    }

    /// Polls that are held are looked at again.
    pub(crate) fn tell(&self) {
        self.shared.changes.send_replace(());
    }

    /// How many answers of a kind there were.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.book().answers.iter().filter(|answer| *answer == kind).count()
    }
}

fn digest(documents: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for part in documents.iter().flat_map(|(name, text)| [name, text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list<'d>(documents: impl Iterator<Item = (&'d String, &'d String)>) -> Value {
    documents.map(|(name, text)| json!({ "name": name, "text": text })).collect()
}

impl Book {
    fn whole(&self) -> Value {
        let documents = list(self.documents.iter());
        json!({ "version": self.version, "lineage": self.lineage, "documents": documents, "digest": digest(&self.documents) })
    }

    fn delta(&self, base: u64) -> Option<Value> {
        let (_, before) = self.past.iter().find(|(version, _)| *version == base)?;
        let added = list(self.documents.iter().filter(|(name, _)| !before.contains_key(*name)));
        let changed = |(name, text): &(&String, &String)| before.get(*name).is_some_and(|was| was != *text);
        let changed = list(self.documents.iter().filter(changed));
        let removed: Vec<_> = before.keys().filter(|name| !self.documents.contains_key(*name)).collect();
        Some(json!({
            "version": self.version, "lineage": self.lineage, "base": base,
            "added": added, "changed": changed, "removed": removed, "digest": digest(&self.documents),
        }))
    }

    fn etag(&self) -> String {
        format!("\"{}.{}\"", self.lineage, self.version)
    }

    /// The answer, if there is anything to say to who holds this version.
    fn answer(&mut self, known: Option<u64>, is_same: bool) -> Option<Response> {
        let mischief = self.mischief.filter(|mischief| known.is_some() || *mischief != Mischief::MisfitDelta);
        if let Some(mischief) = mischief {
            self.answers.push(format!("{mischief:?}"));
            return Some(misbehaved(mischief, self));
        }
        if is_same && known == Some(self.version) {
            return None;
        }
        let delta = known.and_then(|base| self.delta(base));
        self.answers.push(if delta.is_some() { "delta" } else { "whole" }.to_owned());
        let body = delta.unwrap_or_else(|| self.whole());
        Some(([(header::ETAG, self.etag())], Json(body)).into_response())
    }
}

fn misbehaved(mischief: Mischief, book: &Book) -> Response {
    let whole = book.whole().to_string();
    let half = Bytes::from(whole[..whole.len() / 2].to_owned());
    match mischief {
        Mischief::Garbage => "<html>maintenance</html>".into_response(),
        Mischief::HalfAnswer => half.into_response(),
        Mischief::BrokenOff => {
            let error = || std::io::Error::other("the cable");
            Body::from_stream(tokio_stream::iter([Ok(half), Err(error())])).into_response()
        }
        Mischief::Endless => {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 64 << 10]));
            Body::from_stream(tokio_stream::iter(std::iter::repeat_with(chunk))).into_response()
        }
        Mischief::SameForEver => Json(book.whole()).into_response(),
        Mischief::StrangeDelta | Mischief::MisfitDelta => {
            Json(json!({ "version": book.version + 1, "base": 12345, "removed": ["x"] })).into_response()
        }
        Mischief::Failure => (StatusCode::INTERNAL_SERVER_ERROR, "out of order").into_response(),
    }
}

/// An answer to who may not ask, or asks for what is not there.
fn refused(book: &Book, namespace: &str, fields: &HeaderMap) -> Option<Response> {
    let shown = fields.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let wanted = book.token.as_ref().map(|token| format!("Bearer {token}"));
    if wanted.is_some() && shown != wanted.as_deref() {
        return Some((StatusCode::UNAUTHORIZED, "this token is not known").into_response());
    }
    (namespace != "prod").then(|| (StatusCode::NOT_FOUND, "no such namespace").into_response())
}

async fn config(
    State(shared): State<Shared>,
    Path(namespace): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    fields: HeaderMap,
) -> Response {
    let known: Option<u64> = query.get("version").map(|version| version.parse().unwrap());
    let lineage = query.get("lineage").cloned().unwrap_or_default();
    let wait = query.get("wait").map(|wait| wait.strip_suffix("ms").unwrap().parse().unwrap());
    let deadline = tokio::time::Instant::now() + Duration::from_millis(wait.unwrap_or(0));
    let mut changes = shared.changes.subscribe();
    loop {
        {
            let mut book = shared.book.lock().unwrap();
            if let Some(refused) = refused(&book, &namespace, &fields) {
                book.answers.push("refused".to_owned());
                return refused;
            }
            let same_lineage = lineage == book.lineage;
            if let Some(answer) = book.answer(known.filter(|_| same_lineage), same_lineage) {
                return answer;
            }
        }
        if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
            let mut book = shared.book.lock().unwrap();
            book.answers.push("unchanged".to_owned());
            let known = fields.get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
            let has_tag = known == Some(&book.etag());
            return if has_tag { StatusCode::NOT_MODIFIED } else { StatusCode::NO_CONTENT }.into_response();
        }
    }
}

async fn acknowledge(
    State(shared): State<Shared>,
    Path(namespace): Path<String>,
    fields: HeaderMap,
    Json(told): Json<Value>,
) -> Response {
    let mut book = shared.book.lock().unwrap();
    if let Some(refused) = refused(&book, &namespace, &fields) {
        return refused;
    }
    if book.deaf_for > 0 {
        book.deaf_for -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    book.acknowledged.push(told);
    StatusCode::NO_CONTENT.into_response()
}
