//! A stand-in for an API server: no cluster is to be had here. It keeps objects in memory and speaks lists and watches of a
//! namespace or of all, with bookmarks and versions that are gone, merge patches of a status, server-side apply by one manager, and
//! Leases with conflicts, as a real one does. What it does not have is everything else: it checks no schema and no rights beyond
//! the token. `scripts/real-api-server` has a real one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// A stand-in that ends with the test.
pub(crate) struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    store: Mutex<Store>,
    /// Counts what happened, for those who watch.
    ticks: watch::Sender<u64>,
}

#[derive(Default)]
struct Store {
    version: u64,
    /// By collection and name.
    objects: BTreeMap<(String, String), Value>,
    /// What happened since `oldest`: version, collection, kind of event, object.
    log: Vec<(u64, String, &'static str, Value)>,
    oldest: u64,
    is_away: bool,
    /// Watches of an earlier one end.
    epoch: u64,
    /// Method and path of every call, but watches.
    calls: Vec<String>,
    watches: usize,
}

/// The token that calls have to carry.
pub(crate) const TOKEN: &str = "let-me-watch";

impl ApiServer {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = Store { version: 100, oldest: 100, ..Store::default() };
        let shared = Arc::new(Shared { store: Mutex::new(store), ticks: watch::Sender::new(0) });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self { address, shared, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes or replaces an object of a collection such as `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL`.
    pub(crate) fn put(&self, collection: &str, name: &str, mut object: Value) {
        object["metadata"]["name"] = json!(name);
        if let Some((namespace, _)) = collection.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/')) {
            object["metadata"]["namespace"] = json!(namespace);
        }
        self.change(|store| {
            let before = store.objects.get(&(collection.to_owned(), name.to_owned()));
            let generation = before.and_then(|before| before["metadata"]["generation"].as_i64()).unwrap_or(0) + 1;
            object["metadata"]["generation"] = json!(generation);
            store.write(collection, name, object);
        });
    }

    pub(crate) fn delete(&self, collection: &str, name: &str) {
        self.change(|store| {
            let key = (collection.to_owned(), name.to_owned());
            if let Some(mut object) = store.objects.remove(&key) {
                store.version += 1;
                object["metadata"]["resourceVersion"] = json!(store.version.to_string());
                store.log.push((store.version, collection.to_owned(), "DELETED", object));
            }
        });
    }

    pub(crate) fn get(&self, collection: &str, name: &str) -> Value {
        let store = self.shared.store.lock().unwrap();
        store.objects.get(&(collection.to_owned(), name.to_owned())).cloned().unwrap_or_default()
    }

    /// Answers nothing but 503 from now on, and ends every watch; or goes on as before.
    pub(crate) fn away(&self, is_away: bool) {
        self.change(|store| {
            store.is_away = is_away;
            store.epoch += 1;
        });
    }

    /// Forgets what happened, so that watches from before are told that their version is gone.
    pub(crate) fn forget(&self) {
        self.change(|store| {
            store.version += 1;
            (store.oldest, store.log) = (store.version, Vec::new());
            store.epoch += 1;
        });
    }

    /// Ends every watch, as a server does now and then.
    pub(crate) fn end_watches(&self) {
        self.change(|store| store.epoch += 1);
    }

    /// How often was this called; `what` begins with the method.
    pub(crate) fn calls(&self, what: &str) -> usize {
        self.shared.store.lock().unwrap().calls.iter().filter(|call| call.starts_with(what)).count()
    }

    /// How many watches were opened so far.
    pub(crate) fn watches(&self) -> usize {
        self.shared.store.lock().unwrap().watches
    }

    fn change(&self, change: impl FnOnce(&mut Store)) {
        change(&mut self.shared.store.lock().unwrap());
        self.shared.ticks.send_modify(|count| *count += 1);
    }
}

impl Store {
    fn write(&mut self, collection: &str, name: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let key = (collection.to_owned(), name.to_owned());
        let event = if self.objects.insert(key, object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        self.log.push((self.version, collection.to_owned(), event, object.clone()));
        object
    }
}

fn told(status: StatusCode, message: &str) -> Response {
    let body = json!({ "kind": "Status", "status": "Failure", "code": status.as_u16(), "message": message });
    (status, body.to_string()).into_response()
}

fn query_of(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.replace("%3D", "=").replace("%2F", "/")).next()
}

/// Which objects are wanted: where they are, and how they are narrowed.
#[derive(Clone)]
struct Wanted {
    path: String,
    label: Option<String>,
    field: Option<String>,
}

impl Wanted {
    fn of(uri: &Uri) -> Self {
        let path = uri.path().to_owned();
        Self { path, label: query_of(uri, "labelSelector"), field: query_of(uri, "fieldSelector") }
    }

    /// Objects of every namespace belong to the collection of the whole cluster too.
    fn holds(&self, collection: &str, object: &Value) -> bool {
        let is_there = collection == self.path || {
            let wide =
                collection.split_once("/namespaces/").and_then(|(group, rest)| Some((group, rest.split_once('/')?.1)));
            wide.is_some_and(|(group, plural)| format!("{group}/{plural}") == self.path)
        };
        let is = |selector: &Option<String>, of: &dyn Fn(&str) -> Value| {
            selector
                .as_ref()
                .and_then(|selector| selector.split_once('='))
                .is_none_or(|(name, value)| of(name) == value)
        };
        is_there
            && is(&self.label, &|name| object["metadata"]["labels"][name].clone())
            && is(&self.field, &|name| {
                object.pointer(&format!("/{}", name.replace('.', "/"))).cloned().unwrap_or_default()
            })
    }
}

/// Whether a path is that of a collection and not of an object: `/api/v1/X`, `/apis/GROUP/VERSION/X`, and the same below
/// `namespaces/NAME`.
fn is_collection(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let rest = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
    matches!(rest, [_] | ["namespaces", _, _])
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Response {
    if headers.get("authorization").is_none_or(|value| value.as_bytes() != format!("Bearer {TOKEN}").as_bytes()) {
        return told(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    let path = uri.path().to_owned();
    let wanted = Wanted::of(&uri);
    if shared.store.lock().unwrap().is_away {
        return told(StatusCode::SERVICE_UNAVAILABLE, "away on purpose");
    }
    if query_of(&uri, "watch").is_some() {
        let from = query_of(&uri, "resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        return watched(shared, wanted, from);
    }
    let (collection, name) = path.rsplit_once('/').unwrap_or_default();
    let mut guard = shared.store.lock().unwrap();
    let store = &mut *guard;
    store.calls.push(format!("{method} {path}"));
    let answer = match method {
        Method::GET if is_collection(&path) => {
            let of =
                |((there, _), object): (&(String, String), &Value)| wanted.holds(there, object).then(|| object.clone());
            let items: Vec<Value> = store.objects.iter().filter_map(of).collect();
            json!({ "metadata": { "resourceVersion": store.version.to_string() }, "items": items })
        }
        Method::GET => match store.objects.get(&(collection.to_owned(), name.to_owned())) {
            Some(object) => object.clone(),
            None => return told(StatusCode::NOT_FOUND, "there is no such object"),
        },
        Method::POST => {
            let object: Value = serde_json::from_slice(&body).unwrap();
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            if store.objects.contains_key(&(path.clone(), name.clone())) {
                return told(StatusCode::CONFLICT, "it is there already");
            }
            store.write(&path, &name, object)
        }
        Method::PUT => {
            let object: Value = serde_json::from_slice(&body).unwrap();
            let before = &store.objects[&(collection.to_owned(), name.to_owned())];
            if before["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                return told(StatusCode::CONFLICT, "the object has been modified");
            }
            store.write(collection, name, object)
        }
        // Server-side apply by one manager: what it says is the object, and what it says no more is gone.
        Method::PATCH if query_of(&uri, "fieldManager").is_some() => {
            assert_eq!(headers["content-type"], "application/apply-patch+yaml");
            let object: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(object["metadata"]["name"], name);
            store.write(collection, name, object)
        }
        Method::PATCH => {
            let (collection, name) = collection.rsplit_once('/').unwrap();
            let patch: Value = serde_json::from_slice(&body).unwrap();
            let Some(mut object) = store.objects.get(&(collection.to_owned(), name.to_owned())).cloned() else {
                return told(StatusCode::NOT_FOUND, "there is no such object");
            };
            // Members of the patch replace: enough for a status that is written whole.
            object["status"] = patch["status"].clone();
            store.write(collection, name, object)
        }
        _ => return told(StatusCode::METHOD_NOT_ALLOWED, "not here"),
    };
    drop(guard);
    shared.ticks.send_modify(|count| *count += 1);
    answer.to_string().into_response()
}

fn watched(shared: Arc<Shared>, wanted: Wanted, from: u64) -> Response {
    let epoch = {
        let mut store = shared.store.lock().unwrap();
        store.watches += 1;
        if from < store.oldest {
            return told(StatusCode::GONE, "too old resource version");
        }
        store.epoch
    };
    let (lines, sent) = mpsc::unbounded_channel::<String>();
    let mut ticks = shared.ticks.subscribe();
    tokio::spawn(async move {
        let mut seen = from;
        loop {
            let news = {
                let store = shared.store.lock().unwrap();
                if store.epoch != epoch {
                    return;
                }
                let news = store
                    .log
                    .iter()
                    .filter(|(version, collection, _, object)| *version > seen && wanted.holds(collection, object));
                let mut news: Vec<Value> =
                    news.map(|(_, _, kind, object)| json!({ "type": kind, "object": object })).collect();
                if news.is_empty() && store.version > seen {
                    let version = store.version.to_string();
                    news.push(json!({ "type": "BOOKMARK", "object": { "metadata": { "resourceVersion": version } } }));
                }
                seen = store.version;
                news
            };
            for line in news {
                if lines.send(format!("{line}\n")).is_err() {
                    return;
                }
            }
            if ticks.changed().await.is_err() {
                return;
            }
        }
    });
    let stream = UnboundedReceiverStream::new(sent).map(Ok::<_, std::convert::Infallible>);
    Body::from_stream(stream).into_response()
}
