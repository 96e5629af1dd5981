//! Documents under a prefix in etcd, one key a document.
//!
//! All of them are read once, in pages at one revision; then a watch tells each change from that revision on, and goes
//! on where it was after a lost connection. What cannot be continued is read again: a revision that was compacted away,
//! another cluster, a server that went back. A question now and then whether the watch missed anything proves that the
//! way is open: a connection that passes no bytes looks like a quiet one.
//!
//! It speaks etcd's own JSON gateway: a gRPC client would need `protoc` when this program is built.

mod answers;
mod client;
mod store;
mod watch;

use std::convert::Infallible;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::pace::Pace;
use super::{Documents, Link, Source, SourceError};
use crate::config::{EtcdPlan, SourceBounds};
use answers::{RangeAnswer, WatchAnswer, key_text};
use client::{Client, EtcdError};
use store::Store;
use watch::Watch;

/// Keys that are asked for together.
const PAGE: usize = 500;
/// Bytes that one key may cost in an answer besides its value: the key, the numbers, their names.
const KEY_BYTES: usize = 2048;
/// How long a watch may lag behind what a question told before it counts as dead.
const LAG: Duration = Duration::from_secs(1);
/// The pause before everything is read again: a member that lags behind its cluster would be asked without end.
const AGAIN: Duration = Duration::from_millis(200);

/// etcd as a source.
pub(super) struct Etcd {
    plan: EtcdPlan,
    /// Which endpoint is next.
    turn: usize,
    /// What was read and watched so far, so that a new session can go on.
    store: Option<Store>,
}

/// What a question found to be missing: the revision that has to come by watch.
struct Suspicion {
    revision: u64,
    seen: u64,
}

impl Etcd {
    pub(super) fn new(plan: EtcdPlan) -> Self {
        Self { plan, turn: 0, store: None }
    }

    async fn talk(&mut self, link: &mut Link) -> Result<Infallible, SourceError> {
        let endpoint = self.plan.endpoints[self.turn % self.plan.endpoints.len()].clone();
        let mut client = Client::new(endpoint, &self.plan)?;
        loop {
            let mut store = match self.store.take() {
                Some(store) => store,
                None => self.read(&mut client, &link.bounds()).await?,
            };
            match self.follow(&mut client, &mut store, link).await {
                // The watch goes on from here in the next session.
                EtcdError::Source(error) if !matches!(error, SourceError::OldRevision { .. }) => {
                    self.store = store.is_within(&link.bounds()).then_some(store);
                    return Err(error);
                }
                EtcdError::Source(error) => return Err(error),
                // Read again at once: the server is fine, only the thread is lost.
                EtcdError::Compacted => {
                    tracing::info!(source = &*link.plan().name, "the watch cannot go on; everything is read again");
                    tokio::time::sleep(AGAIN).await;
                }
                EtcdError::Token => return Err(SourceError::Refused("the token was not taken".to_owned())),
            }
        }
    }

    /// Every document at one revision.
    async fn read(&self, client: &mut Client, bounds: &SourceBounds) -> Result<Store, SourceError> {
        for _ in 0..3 {
            match self.read_once(client, bounds).await {
                Ok(store) => return Ok(store),
                // Compacted between two pages: rare, and the next try begins at a newer revision.
                Err(EtcdError::Compacted) => {}
                Err(EtcdError::Source(error)) => return Err(error),
                Err(EtcdError::Token) => break,
            }
        }
        Err(SourceError::Unreachable("the documents could not be read at one revision".to_owned()))
    }

    async fn read_once(&self, client: &mut Client, bounds: &SourceBounds) -> Result<Store, EtcdError> {
        let prefix = self.plan.prefix.as_bytes();
        let end = key_text(&store::end_of(prefix));
        let mut from = prefix.to_vec();
        let mut store: Option<Store> = None;
        loop {
            let at = store.as_ref().map_or(0, |store| store.revision);
            let question =
                json!({ "key": key_text(&from), "range_end": end, "limit": PAGE, "revision": at.to_string() });
            let left = bounds.total_bytes.saturating_sub(store.as_ref().map_or(0, Store::bytes));
            let body = client.call("/v3/kv/range", &question, left / 3 * 4 + PAGE * KEY_BYTES).await?;
            let page: RangeAnswer = client::parsed(&body)?;
            if store.is_none() && page.count > bounds.documents as u64 {
                let most = bounds.documents;
                return Err(SourceError::TooLarge(format!("{} documents, at most {most} are taken", page.count)).into());
            }
            let store = store.get_or_insert_with(|| Store::new(page.header.cluster, page.header.revision));
            let more = page.more;
            for pair in page.pairs {
                from.clone_from(&pair.key);
                from.push(0);
                store.put(&pair.key[prefix.len().min(pair.key.len())..], pair.value);
            }
            if store.bytes() > bounds.total_bytes {
                let most = bounds.total_bytes;
                return Err(SourceError::TooLarge(format!("more than {most} bytes in all")).into());
            }
            if !more {
                break;
            }
        }
        store.ok_or_else(|| SourceError::Garbled("no page of the documents came".to_owned()).into())
    }

    /// Posts, watches, and posts again. Returns only when it cannot go on.
    async fn follow(&self, client: &mut Client, store: &mut Store, link: &mut Link) -> EtcdError {
        match self.watched(client, store, link).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn watched(&self, client: &mut Client, store: &mut Store, link: &mut Link) -> Result<Infallible, EtcdError> {
        let most = link.bounds().total_bytes / 3 * 4 + (1 << 20);
        let mut watch = Watch::open(client, self.plan.prefix.as_bytes(), store.revision + 1, most).await?;
        let mut pace = Pace::default();
        let mut suspicion = None;
        let mut next_check = Instant::now() + self.plan.check;
        // What was read, or what a session before could not post any more.
        let mut due = Some(Instant::now());
        loop {
            let post_at = due.unwrap_or_else(|| Instant::now() + self.plan.check);
            tokio::select! {
                answer = watch.next() => {
                    link.contact();
                    if take(&answer?, store, self.plan.prefix.len())? {
                        due = Some(due.unwrap_or_else(|| pace.due(Instant::now())));
                        if !store.is_within(&link.bounds()) {
                            return Err(SourceError::TooLarge("the documents grew too many or too large".to_owned()).into());
                        }
                    }
                }
                () = tokio::time::sleep_until(post_at), if due.is_some() => {
                    let begun = Instant::now();
                    post(store, link)?;
                    pace.done(begun, Instant::now());
                    due = None;
                }
                () = tokio::time::sleep_until(next_check) => {
                    suspicion = self.check(client, store, suspicion).await?;
                    link.contact();
                    let lag = if suspicion.is_some() { LAG } else { self.plan.check };
                    next_check = Instant::now() + lag;
                }
            }
        }
    }

    /// Asks whether there is anything newer than what was watched. What is found has to come by watch soon.
    async fn check(
        &self,
        client: &mut Client,
        store: &Store,
        before: Option<Suspicion>,
    ) -> Result<Option<Suspicion>, EtcdError> {
        let prefix = self.plan.prefix.as_bytes();
        let question = json!({
            "key": key_text(prefix),
            "range_end": key_text(&store::end_of(prefix)),
            "min_mod_revision": (store.revision + 1).to_string(),
            "keys_only": true,
            "limit": 1,
        });
        let body = client.call("/v3/kv/range", &question, PAGE * KEY_BYTES).await?;
        let answer: RangeAnswer = client::parsed(&body)?;
        store.refuse_other(&answer.header)?;
        let newest = answer.pairs.iter().map(|pair| pair.revision).max();
        if newest.is_none() && answer.count == store.documents() as u64 {
            return Ok(None);
        }
        let revision = newest.unwrap_or(answer.header.revision);
        match before {
            Some(suspicion) if store.revision <= suspicion.seen => {
                let missed = suspicion.revision;
                let seen = store.revision;
                let text = format!("the watch told nothing since revision {seen}, and there is revision {missed}");
                Err(SourceError::Late(text).into())
            }
            _ => Ok(Some(Suspicion { revision, seen: store.revision })),
        }
    }
}

/// Takes what the watch told. Returns whether that changed any document.
fn take(answer: &WatchAnswer, store: &mut Store, prefix: usize) -> Result<bool, EtcdError> {
    if answer.is_compacted() {
        return Err(EtcdError::Compacted);
    }
    if answer.canceled {
        return Err(SourceError::Refused(format!("the watch was ended: {}", answer.cancel_reason)).into());
    }
    store.refuse_other(&answer.header)?;
    for event in &answer.events {
        let name = &event.pair.key[prefix.min(event.pair.key.len())..];
        if event.is_deletion() {
            store.delete(name);
        } else {
            store.put(name, event.pair.value.clone());
        }
        store.revision = store.revision.max(event.pair.revision);
    }
    // An answer without events tells that there are none up to its revision; the first one only that the watch is there.
    if answer.events.is_empty() && !answer.created {
        store.revision = store.revision.max(answer.header.revision);
    }
    Ok(!answer.events.is_empty())
}

/// Posts what is held. A document that is too long or no text is told, and the watch goes on: the next change may make
/// it good.
fn post(store: &Store, link: &mut Link) -> Result<(), EtcdError> {
    let offered: Result<Documents, SourceError> = store.documents_for(link);
    match offered.and_then(|documents| link.offer(documents)) {
        Err(error @ (SourceError::TooLarge(_) | SourceError::Garbled(_))) => {
            link.complain(&error);
            Ok(())
        }
        other => other.map_err(EtcdError::from),
    }
}

impl Source for Etcd {
    async fn session(&mut self, link: &mut Link) -> SourceError {
        match self.talk(link).await {
            Err(error) => {
                self.turn += 1;
                error
            }
            Ok(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests;
