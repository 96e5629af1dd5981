//! A list of objects that is kept fresh: read once, then watched from there.
//!
//! ```text
//!            ┌───────── gone (410), or an object that cannot be read ◄────────┐
//!            ▼                                                               │
//!   list ─► all objects at one version ─► watch from that version ─► change ─┴─► change ...
//!                                             ▲                        │
//!                                             └── ended, went quiet ◄──┘
//! ```
//!
//! Bookmarks move the version on where nothing changes, so that a watch which begins anew is seldom told that its version
//! is gone. The server is asked to end a watch after a while, and one that says nothing for longer is given up: a
//! connection that passes no bytes looks like a quiet one.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::client::namespace_of;
use super::{ApiError, Client};
use crate::outbound::Stream;

/// How long the server is asked to keep a watch open.
const WATCH_FOR: Duration = Duration::from_secs(120);
/// How much longer it may take over that.
const GRACE: Duration = Duration::from_secs(15);
/// Objects that are asked for together.
const PAGE: usize = 500;
/// The longest object.
const LONGEST_LINE: usize = 4 << 20;
/// The most objects of one list.
const MOST_OBJECTS: usize = 20_000;

/// Which objects are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// `GROUP/VERSION`.
    pub version: String,
    /// The plural name of the kind.
    pub plural: String,
    /// The namespace; `None`: the pod's own.
    pub namespace: Option<String>,
    /// A label selector, in the form of a query.
    pub selector: Option<String>,
}

/// Objects of the whole cluster that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wide {
    /// `GROUP/VERSION`, or `v1` alone.
    pub version: String,
    /// The plural name of the kind.
    pub plural: String,
    /// Which of them, as a part of a query: a label or field selector.
    pub narrowed: Option<String>,
}

/// A list of objects.
pub struct Listing {
    client: Client,
    path: String,
    selector: String,
    /// Names alone do not tell the objects of several namespaces apart.
    is_wide: bool,
    objects: BTreeMap<String, Value>,
    /// Up to where it is known; `None`: everything is to be read.
    version: Option<String>,
    watch: Option<Box<Watch>>,
    /// What the server was asked and has not answered yet.
    asking: Option<Asking>,
    /// When the server said something last.
    heard: Option<Instant>,
}

/// A question under way: it goes on where the wait for it is given up.
type Asking = Pin<Box<dyn Future<Output = Result<Asked, ApiError>> + Send>>;

/// What a question came to.
enum Asked {
    /// Every object, and the version of the list.
    All(BTreeMap<String, Value>, String),
    /// A watch from the version on.
    Watch(Box<Watch>),
}

struct Watch {
    stream: Stream,
    buffer: BytesMut,
    /// How much of the buffer was looked at for the end of a line.
    looked: usize,
    /// When it is given up, unless it says something before.
    until: Instant,
}

/// One line of a watch.
#[derive(Deserialize)]
struct Line {
    r#type: String,
    object: Value,
}

/// What a line came to.
enum Told {
    Changed,
    Nothing,
    Gone,
}

impl Want {
    /// Where the collection is.
    pub fn path(&self) -> Result<String, ApiError> {
        let namespace = namespace_of(self.namespace.as_deref())?;
        Ok(format!("/apis/{}/namespaces/{namespace}/{}", self.version, self.plural))
    }
}

impl Wide {
    /// Where the collection is.
    fn path(&self) -> String {
        let group = if self.version.contains('/') { "apis" } else { "api" };
        format!("/{group}/{}/{}", self.version, self.plural)
    }
}

impl Listing {
    /// Nothing is asked before [`Listing::changed`].
    pub fn new(client: Client, want: &Want) -> Result<Self, ApiError> {
        let selector = want.selector.as_ref().map(|selector| format!("&labelSelector={selector}"));
        Ok(Self::at(client, want.path()?, selector.unwrap_or_default(), false))
    }

    /// The same for the whole cluster: objects are known by `NAMESPACE/NAME`, or by their name where they have no namespace.
    pub fn wide(client: Client, want: &Wide) -> Self {
        let narrowed = want.narrowed.as_ref().map(|narrowed| format!("&{narrowed}"));
        Self::at(client, want.path(), narrowed.unwrap_or_default(), true)
    }

    fn at(client: Client, path: String, selector: String, is_wide: bool) -> Self {
        Self {
            client,
            path,
            selector,
            is_wide,
            objects: BTreeMap::new(),
            version: None,
            watch: None,
            asking: None,
            heard: None,
        }
    }

    /// The objects by their names, as they were told last.
    pub fn objects(&self) -> &BTreeMap<String, Value> {
        &self.objects
    }

    /// Where the collection is, for calls about one of its objects.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The version of the list, in the server's own words.
    pub fn version(&self) -> &str {
        self.version.as_deref().unwrap_or_default()
    }

    /// Whether the server said something within this time.
    pub fn heard_within(&self, time: Duration) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() < time.min(WATCH_FOR + GRACE))
    }

    /// Waits until the objects are others: first for all of them, then for each change. After an error it may be called
    /// again, and goes on where it was. Nothing is lost if the wait is given up.
    pub async fn changed(&mut self) -> Result<(), ApiError> {
        loop {
            if self.watch.is_none() {
                if self.answered().await? {
                    return Ok(());
                }
                continue;
            }
            let Some(watch) = &mut self.watch else { continue };
            match watch.next().await {
                Ok(Some(line)) => match self.take(line) {
                    Ok(Told::Changed) => return Ok(()),
                    Ok(Told::Nothing) => {}
                    Ok(Told::Gone) => (self.version, self.watch) = (None, None),
                    Err(error) => {
                        (self.version, self.watch) = (None, None);
                        return Err(error);
                    }
                },
                Ok(None) => self.watch = None,
                Err(error) => {
                    self.watch = None;
                    return Err(error);
                }
            }
        }
    }

    /// Asks for everything, or for a watch where everything is known; whether the objects are others now.
    async fn answered(&mut self) -> Result<bool, ApiError> {
        let (client, path, selector) = (&self.client, &self.path, &self.selector);
        let asking = self.asking.get_or_insert_with(|| match &self.version {
            None => Box::pin(read(client.clone(), path.clone(), selector.clone(), self.is_wide)),
            Some(version) => Box::pin(open(client.clone(), question(path, version, selector))),
        });
        let asked = asking.as_mut().await;
        self.asking = None;
        match asked {
            Ok(Asked::All(objects, version)) => (self.objects, self.version) = (objects, Some(version)),
            Ok(Asked::Watch(watch)) => self.watch = Some(watch),
            Err(ApiError::Refused { status: 410, .. }) if self.version.is_some() => {
                self.version = None;
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        self.heard = Some(Instant::now());
        Ok(self.watch.is_none())
    }

    /// Takes what the watch told.
    fn take(&mut self, line: Line) -> Result<Told, ApiError> {
        self.heard = Some(Instant::now());
        let Line { r#type, object } = line;
        if r#type == "ERROR" {
            let (code, said) = (object["code"].as_u64(), object["message"].as_str().unwrap_or("an error"));
            let status = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
            return if status == 410 {
                Ok(Told::Gone)
            } else {
                Err(ApiError::Refused { status, said: said.to_owned() })
            };
        }
        let version = object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        let told = match r#type.as_str() {
            "BOOKMARK" => Told::Nothing,
            "DELETED" => {
                self.objects.remove(&key_of(&object, self.is_wide)?);
                Told::Changed
            }
            "ADDED" | "MODIFIED" => {
                self.objects.insert(key_of(&object, self.is_wide)?, object);
                Told::Changed
            }
            other => return Err(ApiError::Garbled(format!("a watch told `{other}`"))),
        };
        self.version = version.or(self.version.take());
        Ok(told)
    }
}

/// Everything, in pages of one version.
async fn read(client: Client, path: String, selector: String, is_wide: bool) -> Result<Asked, ApiError> {
    let (mut objects, mut next) = (BTreeMap::new(), String::new());
    loop {
        let from = if next.is_empty() { String::new() } else { format!("&continue={}", encoded(&next)) };
        let page = client.get(&format!("{path}?limit={PAGE}{selector}{from}")).await?;
        let Some(items) = page["items"].as_array() else {
            return Err(ApiError::Garbled(format!("`{path}` gave no list")));
        };
        for object in items {
            objects.insert(key_of(object, is_wide)?, object.clone());
        }
        if objects.len() > MOST_OBJECTS {
            return Err(ApiError::Garbled(format!("more than {MOST_OBJECTS} objects")));
        }
        let metadata = &page["metadata"];
        next = metadata["continue"].as_str().unwrap_or_default().to_owned();
        if next.is_empty() {
            let version = metadata["resourceVersion"].as_str();
            let version = version.ok_or_else(|| ApiError::Garbled("a list without a version".to_owned()))?;
            return Ok(Asked::All(objects, version.to_owned()));
        }
    }
}

async fn open(client: Client, asked: String) -> Result<Asked, ApiError> {
    let stream = client.watch(&asked).await?;
    let until = Instant::now() + WATCH_FOR + GRACE;
    Ok(Asked::Watch(Box::new(Watch { stream, buffer: BytesMut::new(), looked: 0, until })))
}

/// The path and query that open a watch.
fn question(path: &str, version: &str, selector: &str) -> String {
    let (seconds, version) = (WATCH_FOR.as_secs(), encoded(version));
    format!("{path}?watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}{selector}")
}

impl Watch {
    /// The next line; `None` at the end, also where nothing came for longer than it may take.
    async fn next(&mut self) -> Result<Option<Line>, ApiError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[self.looked..]) {
                let line = self.buffer.split_to(self.looked + end);
                self.buffer.advance(1);
                self.looked = 0;
                return serde_json::from_slice(&line).map(Some).map_err(|error| ApiError::Garbled(error.to_string()));
            }
            self.looked = self.buffer.len();
            if self.looked > LONGEST_LINE {
                return Err(ApiError::Garbled(format!("an object of more than {LONGEST_LINE} bytes")));
            }
            match tokio::time::timeout_at(self.until, self.stream.next()).await {
                Ok(Ok(Some(bytes))) => {
                    self.until = Instant::now() + WATCH_FOR + GRACE;
                    self.buffer.extend_from_slice(&bytes);
                }
                Ok(Ok(None)) | Err(_) => return Ok(None),
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }
}

fn key_of(object: &Value, is_wide: bool) -> Result<String, ApiError> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().ok_or_else(|| ApiError::Garbled("an object without a name".to_owned()))?;
    Ok(match metadata["namespace"].as_str().filter(|_| is_wide) {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    })
}

fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}
