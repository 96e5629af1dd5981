//! `BusinessRule` and `GrayRelease` resources of one namespace, each one document.
//!
//! Both kinds are listed and watched; those of this sidecar's service are posted, and one resource that is refused does not
//! keep the others back: in its place stands what was accepted of it last, or nothing, until it changes. What became of each
//! is written into its status by one sidecar, which is elected by a Lease.

mod judgement;
mod render;
mod resource;
mod status;

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;
use super::{Documents, Link, Source, SourceError, call};
use crate::config::KubernetesPlan;
use crate::kubernetes::{ApiError, Client, Listing, Want};
use judgement::Judgements;
pub use render::{RenderPlan, render};
use resource::Resource;
use status::Writer;

/// How often is looked whether the server was heard, the Lease is to be renewed, and a status is to be written.
const LOOK: Duration = Duration::from_secs(3);
/// `GROUP/VERSION` and plural of what is read.
const KINDS: [(&str, &str); 2] = [("gray.alibaba.com/v1", "businessrules"), ("graylane.io/v1alpha1", "grayreleases")];

/// Custom resources as a source.
pub(super) struct Kubernetes {
    plan: KubernetesPlan,
    /// Who we are to others that would write: no two processes are the same.
    own: String,
    judgements: Judgements,
}

impl Kubernetes {
    pub(super) fn new(plan: KubernetesPlan) -> Self {
        Self { plan, own: own_name(), judgements: Judgements::default() }
    }

    async fn talk(&mut self, link: &mut Link) -> Result<Infallible, ApiError> {
        let client = Client::new(&self.plan.access)?;
        let want = |(version, plural): (&str, &str)| Want {
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespace: self.plan.namespace.clone(),
            selector: None,
        };
        let [rules, releases] = KINDS.map(want);
        let mut rules = Listing::new(client.clone(), &rules)?;
        let mut releases = Listing::new(client.clone(), &releases)?;
        rules.changed().await?;
        releases.changed().await?;
        let mut writer = match self.plan.write_status {
            true => Some(Writer::new(client, &self.plan, &self.own)?),
            false => None,
        };
        let mut verdicts = link.verdicts();
        let (mut pace, mut due, mut next_look) = (Pace::default(), Some(Instant::now()), Instant::now());
        loop {
            let post_at = due.unwrap_or_else(|| Instant::now() + LOOK);
            tokio::select! {
                told = rules.changed() => {
                    told?;
                    due = Some(due.unwrap_or_else(|| pace.due(Instant::now())));
                }
                told = releases.changed() => {
                    told?;
                    due = Some(due.unwrap_or_else(|| pace.due(Instant::now())));
                }
                () = tokio::time::sleep_until(post_at), if due.is_some() => {
                    let begun = Instant::now();
                    self.post(&self.resources(&rules, &releases), link);
                    pace.done(begun, Instant::now());
                    due = None;
                }
                Ok(()) = verdicts.changed() => {
                    let verdict = verdicts.borrow_and_update().clone();
                    if let Some(verdict) = verdict
                        && self.judgements.take(&link.plan().name, &verdict)
                    {
                        due = Some(due.unwrap_or_else(|| pace.due(Instant::now())));
                    }
                    // What became of it is to be told soon.
                    next_look = Instant::now();
                }
                () = tokio::time::sleep_until(next_look) => {
                    if [&rules, &releases].iter().all(|listing| listing.heard_within(link.plan().ttl)) {
                        link.contact();
                    }
                    if let Some(writer) = &mut writer {
                        let wrong = writer.write(&self.resources(&rules, &releases), &self.judgements).await;
                        link.note(wrong.err().map(|error| format!("the status of resources cannot be written: {error}")));
                    }
                    next_look = Instant::now() + LOOK;
                }
            }
        }
    }

    /// The resources of this service.
    fn resources(&self, rules: &Listing, releases: &Listing) -> Vec<Resource> {
        let of = |listing: &Listing, (version, plural): (&str, &str)| {
            let objects = listing.objects().values();
            let own = objects.filter(|object| object["spec"]["service"] == self.plan.service.as_str());
            own.filter_map(|object| Resource::new(version, plural, listing.path(), object)).collect::<Vec<_>>()
        };
        let mut all = of(rules, KINDS[0]);
        all.extend(of(releases, KINDS[1]));
        all
    }

    /// Posts what is held; one that is too large is told, and the watch goes on.
    fn post(&mut self, resources: &[Resource], link: &mut Link) {
        let texts: Result<Vec<_>, SourceError> = self
            .judgements
            .texts(resources)
            .into_iter()
            .map(|(key, text)| link.text(&key, text.into_bytes()))
            .collect();
        let offered = texts.and_then(|texts| {
            let revision = call::revision(&texts);
            self.judgements.offered(revision.clone());
            link.offer(Documents { revision, order: None, texts })
        });
        if let Err(error) = offered {
            link.complain(&error);
        }
    }
}

impl Source for Kubernetes {
    async fn session(&mut self, link: &mut Link) -> SourceError {
        match self.talk(link).await {
            Ok(never) => match never {},
            Err(error) => failed(error),
        }
    }
}

/// Who we are to others that would write: the host, and some chance.
fn own_name() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "sidecar".to_owned());
    let chance = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    format!("{host}_{chance:016x}")
}

fn failed(error: ApiError) -> SourceError {
    match error {
        ApiError::Call(error) => error.into(),
        ApiError::Tls(error) => error.into(),
        ApiError::Refused { status: 404, said } => {
            SourceError::Refused(format!("{said} (404): are the definitions there? `graylane crds` prints them"))
        }
        ApiError::Refused { status, said } if (400..500).contains(&status) => {
            SourceError::Refused(format!("{said} ({status})"))
        }
        ApiError::Refused { status, said } => SourceError::Unreachable(format!("{said} ({status})")),
        ApiError::Garbled(why) => SourceError::Garbled(why),
        ApiError::Setup(why) => SourceError::Refused(why),
    }
}
