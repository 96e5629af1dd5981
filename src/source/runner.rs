//! All sources of a configuration, each with its task.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::apollo::Apollo;
use super::backoff::Backoff;
use super::centre::Centre;
use super::etcd::Etcd;
use super::kubernetes::Kubernetes;
use super::link::{Link, Slot};
use super::nacos::Nacos;
use super::redis::Redis;
use super::status::{SourcesView, status};
use super::{Documents, Source, SourceStatus, Verdict};
use crate::config::{self, SourceKind, SourcePlan};
use crate::telemetry::Telemetry;

/// The sources of a configuration. They are asked until this is dropped.
pub struct Sources {
    shared: Arc<Shared>,
    changes: watch::Receiver<u64>,
}

/// What all sources held at one moment, in the order in which it is merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Each source.
    pub sources: Vec<HeldSource>,
}

/// What one source held at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSource {
    /// Its name.
    pub name: Arc<str>,
    /// The part of the store that it reads.
    pub namespace: Arc<str>,
    /// What it held; `None` where it never said anything.
    pub documents: Option<Arc<Documents>>,
    /// The documents are those of an earlier process.
    pub is_restored: bool,
}

pub(super) struct Shared {
    telemetry: Arc<Telemetry>,
    changes: watch::Sender<u64>,
    running: Mutex<Vec<Running>>,
}

/// A source with its task, which ends with this.
struct Running {
    slot: Arc<Slot>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.shared.running().clear();
    }
}

impl Held {
    /// The texts of all sources, one source after the other.
    pub fn texts(&self) -> Vec<config::Source> {
        let documents = self.sources.iter().filter_map(|source| source.documents.as_ref());
        documents.flat_map(|documents| documents.texts.iter().cloned()).collect()
    }

    /// Whether every source has said something, or an earlier process kept what it said.
    pub fn is_complete(&self) -> bool {
        self.sources.iter().all(|source| source.documents.is_some())
    }
}

impl Sources {
    /// Starts to ask the sources. Needs a tokio runtime around it.
    pub fn start(plans: &[SourcePlan], telemetry: &Arc<Telemetry>) -> Self {
        let (sender, changes) = watch::channel(0);
        let shared = Shared { telemetry: telemetry.clone(), changes: sender, running: Mutex::default() };
        let sources = Self { shared: Arc::new(shared), changes };
        sources.apply(plans);
        sources
    }

    /// Goes by other plans from now on. A source whose plan did not change goes on as if nothing had happened; the order
    /// is that of the new plans. Needs a tokio runtime around it.
    pub fn apply(&self, plans: &[SourcePlan]) {
        let mut running = self.shared.running();
        let mut before = std::mem::take(&mut *running);
        for plan in plans {
            let kept = before.iter().position(|one| *one.slot.plan == *plan);
            running.push(kept.map_or_else(|| self.shared.begin(plan), |place| before.swap_remove(place)));
        }
        let is_less = !before.is_empty();
        drop(running);
        if is_less {
            self.shared.changes.send_modify(|count| *count += 1);
        }
    }

    /// Waits until any source has other documents than when this returned last. Nothing is lost if the wait is given up.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The sender lives in `shared`, which lives as long as this.
            std::future::pending::<()>().await;
        }
    }

    /// What all sources hold now.
    pub fn held(&self) -> Held {
        let running = self.shared.running();
        let sources = running.iter().map(|Running { slot, .. }| {
            let state = slot.state();
            HeldSource {
                name: slot.plan.name.clone(),
                namespace: slot.plan.namespace.clone(),
                documents: state.documents.clone(),
                is_restored: state.is_restored,
            }
        });
        Held { sources: sources.collect() }
    }

    /// The texts that all sources hold now, in the order in which they are merged.
    pub fn documents(&self) -> Vec<config::Source> {
        self.held().texts()
    }

    /// Tells the sources what became of what they held: the version of the configuration that holds it, or why it was
    /// refused.
    pub fn verdict(&self, held: &Held, outcome: &Result<String, String>) {
        let running = self.shared.running();
        for source in &held.sources {
            let slot = running.iter().map(|one| &one.slot).find(|slot| slot.plan.name == source.name);
            if let (Some(slot), Some(documents)) = (slot, &source.documents) {
                slot.judged(Verdict { revision: documents.revision.clone(), outcome: outcome.clone() });
            }
        }
    }

    /// Gives a source what an earlier process kept of it, in force until its server says something. Does nothing where
    /// the server was faster, or there is no such source. Such documents count as stale.
    pub fn restore(&self, name: &str, documents: Documents) {
        let running = self.shared.running();
        if let Some(one) = running.iter().find(|one| &*one.slot.plan.name == name) {
            one.slot.restore(documents);
        }
    }

    /// For whoever wants to know how the sources are.
    pub fn view(&self) -> SourcesView {
        SourcesView::new(self.shared.clone())
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn statuses(&self) -> Vec<SourceStatus> {
        self.running().iter().map(|one| status(&one.slot)).collect()
    }

    fn begin(&self, plan: &SourcePlan) -> Running {
        let series = self.telemetry.source(&plan.name);
        let slot = Arc::new(Slot::new(plan.clone(), series, self.changes.clone()));
        let link = Link::new(slot.clone());
        let task = match &plan.kind {
            SourceKind::Redis(redis) => tokio::spawn(keep(Redis::new(redis.clone()), link)),
            SourceKind::Etcd(etcd) => tokio::spawn(keep(Etcd::new(etcd.clone()), link)),
            SourceKind::Centre(centre) => tokio::spawn(keep(Centre::new(centre.clone(), &plan.namespace), link)),
            SourceKind::Nacos(nacos) => tokio::spawn(keep(Nacos::new(nacos.clone()), link)),
            SourceKind::Apollo(apollo) => tokio::spawn(keep(Apollo::new(apollo.clone()), link)),
            SourceKind::Kubernetes(plan) => tokio::spawn(keep(Kubernetes::new(plan.clone()), link)),
        };
        Running { slot, task: task.abort_handle() }
    }
}

/// Calls a source again and again.
pub(super) async fn keep<S: Source>(mut source: S, mut link: Link) {
    let mut backoff = Backoff::new(link.plan().backoff);
    loop {
        let begun = Instant::now();
        link.begin();
        let error = source.session(&mut link).await;
        if link.end(&error) {
            backoff.went_well_for(begun.elapsed());
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}
