//! Apollo as a source, by the HTTP interface that its documentation gives to clients in other languages: a long poll over
//! the notification id of each namespace, and a call that gets the release of one.
//!
//! The namespaces are listed, so one without a release is a fault and not an empty document: what is in force stays.

mod signature;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::call::{Client, GRACE, SMALL, WITHIN, encoded, form, refusal, rest, revision};
use super::credentials::secret;
use super::pace::Pace;
use super::{Documents, Link, Source, SourceError};
use crate::config::{self, ApolloPlan};
use crate::outbound::{Answer, Bounds};
use signature::signature;

/// How long the server holds a poll. It is the server's own setting and cannot be asked for.
const HELD: Duration = Duration::from_secs(60);

/// An Apollo config service.
pub(super) struct Apollo {
    plan: ApolloPlan,
    /// In the order of the plan.
    namespaces: Vec<Namespace>,
    pace: Pace,
}

/// What is known of a namespace.
#[derive(Default)]
struct Namespace {
    /// `None` before the first notification.
    notification: Option<i64>,
    /// What the last notification says to pass on, so that a config service with a cache knows how new it has to be.
    messages: Option<Box<RawValue>>,
    release: Option<Release>,
    /// There was a notification since the release was asked for.
    is_due: bool,
}

struct Release {
    key: String,
    text: Arc<str>,
}

/// A namespace in a poll and in its answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    namespace_name: String,
    notification_id: i64,
    #[serde(skip_serializing)]
    messages: Option<Box<RawValue>>,
}

/// A release.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    configurations: BTreeMap<String, String>,
    release_key: String,
}

impl Apollo {
    pub(super) fn new(plan: ApolloPlan) -> Self {
        let namespaces = plan.namespaces.iter().map(|_| Namespace::default()).collect();
        Self { plan, namespaces, pace: Pace::default() }
    }

    async fn serve(&mut self, link: &mut Link) -> Result<Infallible, SourceError> {
        let client = Client::new(&self.plan.url, &self.plan.tls)?;
        loop {
            let begun = Instant::now();
            if self.fetch(&client, link).await? {
                let now = Instant::now();
                self.pace.done(begun, now);
                tokio::time::sleep_until(self.pace.due(now)).await;
            }
            let begun = Instant::now();
            if !self.listen(&client, link).await? {
                rest(begun).await;
            }
        }
    }

    /// Asks what changed. Whether anything did; the releases of that are due.
    async fn listen(&mut self, client: &Client, link: &mut Link) -> Result<bool, SourceError> {
        let known = self.plan.namespaces.iter().zip(&self.namespaces).map(|(name, known)| Notification {
            namespace_name: name.clone(),
            notification_id: known.notification.unwrap_or(-1),
            messages: None,
        });
        let known: Vec<Notification> = known.collect();
        let known = serde_json::to_string(&known).expect("a list of names and numbers");
        let query = form(&[("appId", &self.plan.app_id), ("cluster", &self.plan.cluster), ("notifications", &known)]);
        let bounds = Bounds { within: HELD + GRACE, bytes: SMALL };
        let answer = self.get(client, &format!("/notifications/v2?{query}"), bounds).await?;
        match answer.status {
            304 => {
                link.contact();
                return Ok(false);
            }
            200 => link.contact(),
            _ => return Err(refusal(&answer)),
        }
        let told: Vec<Notification> =
            serde_json::from_slice(&answer.body).map_err(|error| SourceError::Garbled(error.to_string()))?;
        let mut any = false;
        for Notification { namespace_name, notification_id, messages } in told {
            let place = self.plan.namespaces.iter().position(|name| *name == namespace_name);
            let known = place.and_then(|place| self.namespaces.get_mut(place));
            let Some(known) = known.filter(|known| known.notification != Some(notification_id)) else { continue };
            (known.notification, known.messages, known.is_due) = (Some(notification_id), messages, true);
            any = true;
        }
        Ok(any)
    }

    /// Gets the releases that are due, and posts all of them together once every one is there. Whether any was.
    async fn fetch(&mut self, client: &Client, link: &mut Link) -> Result<bool, SourceError> {
        let mut any = false;
        for place in 0..self.namespaces.len() {
            let known = &self.namespaces[place];
            if !known.is_due && known.release.is_some() {
                continue;
            }
            if let Some(release) = self.release(client, place, link).await? {
                self.namespaces[place].release = Some(release);
                any = true;
            }
            self.namespaces[place].is_due = false;
        }
        if !any {
            return Ok(false);
        }
        let releases = self.namespaces.iter().filter_map(|known| known.release.as_ref());
        let mut texts: Vec<config::Source> = (self.plan.namespaces.iter().zip(releases))
            .map(|(name, release)| config::Source { path: link.path(name), text: release.text.to_string() })
            .collect();
        texts.sort_by(|one, other| one.path.cmp(&other.path));
        link.post(Documents { revision: revision(&texts), order: None, texts });
        Ok(true)
    }

    /// The release of a namespace; `None` where it is the one that is known.
    async fn release(&self, client: &Client, place: usize, link: &Link) -> Result<Option<Release>, SourceError> {
        let (name, known) = (&self.plan.namespaces[place], &self.namespaces[place]);
        let mut query: Vec<(&str, &str)> = Vec::new();
        query.extend(known.release.as_ref().map(|release| ("releaseKey", release.key.as_str())));
        query.extend(self.plan.ip.as_deref().map(|ip| ("ip", ip)));
        query.extend(known.messages.as_ref().map(|messages| ("messages", messages.get())));
        let (app, cluster) = (encoded(&self.plan.app_id), encoded(&self.plan.cluster));
        let mut target = format!("/configs/{app}/{cluster}/{}", encoded(name));
        if !query.is_empty() {
            target = format!("{target}?{}", form(&query));
        }
        let most = link.bounds().document_bytes;
        let bounds = Bounds { within: WITHIN, bytes: most.saturating_add(most / 4).saturating_add(SMALL) };
        let answer = self.get(client, &target, bounds).await?;
        match answer.status {
            200 => {}
            304 if known.release.is_some() => return Ok(None),
            404 => {
                let (app, cluster) = (&self.plan.app_id, &self.plan.cluster);
                let told = format!("namespace `{name}` has no release for `{app}` in cluster `{cluster}`");
                return Err(SourceError::Refused(told));
            }
            _ => return Err(refusal(&answer)),
        }
        let mut said: Said =
            serde_json::from_slice(&answer.body).map_err(|error| SourceError::Garbled(error.to_string()))?;
        let text = said.configurations.remove("content");
        let text = text.ok_or_else(|| SourceError::Garbled(format!("the release of `{name}` has no `content`")))?;
        Ok(Some(Release { key: said.release_key, text: text.into() }))
    }

    async fn get(&self, client: &Client, target: &str, bounds: Bounds) -> Result<Answer, SourceError> {
        let mut fields = Vec::new();
        if let Some(file) = &self.plan.secret {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let timestamp = now.as_millis().to_string();
            let path = format!("{}{target}", self.plan.path());
            let signature = signature(&secret(file)?, &timestamp, &path);
            fields.push(("authorization", format!("Apollo {}:{signature}", self.plan.app_id)));
            fields.push(("timestamp", timestamp));
        }
        client.get(target, &fields, bounds).await
    }
}

impl Source for Apollo {
    async fn session(&mut self, link: &mut Link) -> SourceError {
        match self.serve(link).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }
}
