//! The annotations of namespaces, which are defaults for their pods: kept in memory by a watch, so that a pod waits for nobody.
//!
//! A namespace that the watch has not told yet is asked for, within a bound. Where the API server does not say, the pod's own
//! annotations count alone, and a warning tells so: a pod is never kept waiting, nor refused, for that.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::config::KubernetesAccess;
use crate::inject::annotations::is_object_name;
use crate::inject::{INJECT, PREFIX};
use crate::kubernetes::{ApiError, Client, Listing, Wide};

/// How long the API server may take over one namespace.
const ASK_WITHIN: Duration = Duration::from_millis(500);
/// The most namespaces that are asked for at a time.
const MOST_ASKS: usize = 16;
/// How often is looked whether the API server is back.
const LOOK: Duration = Duration::from_millis(500);
/// Pauses after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What is known of a namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Known {
    /// Its annotations, those of ours.
    pub(super) annotations: Option<Map<String, Value>>,
    /// What the owner of a pod should know of it.
    pub(super) warning: Option<String>,
}

/// The namespaces that carry the label of the injection.
pub struct Namespaces {
    client: Client,
    kept: ArcSwap<Kept>,
    asks: Semaphore,
}

#[derive(Default, Clone)]
struct Kept {
    /// Our annotations of each namespace.
    annotations: HashMap<String, Map<String, Value>>,
    /// Why they may be old.
    away: Option<String>,
}

impl Namespaces {
    /// The selector of the label that the MutatingWebhookConfiguration goes by, as a part of a query.
    pub fn labelled() -> String {
        format!("labelSelector={}%3Denabled", INJECT.replace('/', "%2F"))
    }

    /// Nothing is asked yet.
    ///
    /// # Errors
    /// It is not known where the API server is, or TLS cannot be set up.
    pub fn new(access: &KubernetesAccess) -> Result<Self, ApiError> {
        Ok(Self { client: Client::new(access)?, kept: ArcSwap::default(), asks: Semaphore::new(MOST_ASKS) })
    }

    /// Watches until dropped.
    pub async fn keep(&self) -> Infallible {
        let (version, plural) = ("v1".to_owned(), "namespaces".to_owned());
        let wide = Wide { version, plural, narrowed: Some(Self::labelled()) };
        let mut listing = Listing::wide(self.client.clone(), &wide);
        let (mut pause, mut failed) = (FIRST_PAUSE, None::<Instant>);
        loop {
            let told = tokio::select! {
                told = listing.changed() => told,
                // Where nothing changed a watch that goes well says nothing.
                () = sleep(LOOK), if failed.is_some() => Ok(()),
            };
            match told {
                Ok(()) => {
                    let is_heard = failed.is_none_or(|failed| listing.heard_within(failed.elapsed()));
                    if !is_heard {
                        continue;
                    }
                    if failed.take().is_some() {
                        tracing::info!("namespaces are watched again");
                    }
                    let of = |(name, object): (&String, &Value)| (name.clone(), ours(object));
                    let annotations = listing.objects().iter().map(of).collect();
                    self.kept.store(Kept { annotations, away: None }.into());
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    if failed.is_none() {
                        tracing::warn!(%error, "namespaces cannot be watched; what was read last counts");
                    }
                    failed = Some(Instant::now());
                    let kept = Kept { away: Some(error.to_string()), ..Kept::clone(&self.kept.load()) };
                    self.kept.store(kept.into());
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// What counts for the pods of a namespace.
    pub(super) async fn annotations(&self, namespace: &str) -> Known {
        let kept = self.kept.load_full();
        if let Some(annotations) = kept.annotations.get(namespace) {
            let warning = kept.away.as_ref().map(|why| {
                format!("the annotations of namespace {namespace} may be old: the API server cannot be watched: {why}")
            });
            return Known { annotations: Some(annotations.clone()), warning };
        }
        let why = match self.ask(namespace).await {
            Ok(annotations) => return Known { annotations: Some(annotations), warning: None },
            Err(why) => why,
        };
        tracing::warn!(namespace, error = why, "the annotations of a namespace are not known");
        let text = format!("the annotations of namespace {namespace} are not known, so they do not count here: {why}");
        Known { annotations: None, warning: Some(text) }
    }
}

impl Namespaces {
    /// Whoever reaches the port may name a namespace, so no more than a name goes into a path, and few are asked for at a time.
    async fn ask(&self, namespace: &str) -> Result<Map<String, Value>, String> {
        if !is_object_name(namespace) {
            return Err("this is no name of a namespace".to_owned());
        }
        let Ok(_permit) = self.asks.try_acquire() else {
            return Err(format!("{MOST_ASKS} others are being asked for"));
        };
        match timeout(ASK_WITHIN, self.client.get(&format!("/api/v1/namespaces/{namespace}"))).await {
            Ok(Ok(object)) => Ok(ours(&object)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {ASK_WITHIN:?}")),
        }
    }
}

/// The annotations of an object that begin as ours do.
fn ours(object: &Value) -> Map<String, Value> {
    let all = object.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten();
    all.filter(|(key, _)| key.starts_with(PREFIX)).map(|(key, value)| (key.clone(), value.clone())).collect()
}
