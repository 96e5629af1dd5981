//! Where the configuration of a running sidecar comes from: the files, and what the sources hold that they name, with what
//! of it is in force and what is kept of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::ledger::Places;
use crate::config::{Loaded, Outset, Source, SourcePlan};
use crate::source::{Documents, Held, HeldSource, LastGood, SourceStatus, Sources, SourcesView};

/// Files and sources, with what became of the sources' documents.
pub(super) struct Supply {
    files: Vec<PathBuf>,
    sources: Sources,
    plans: Vec<SourcePlan>,
    wait: Duration,
    last_good: Option<Arc<LastGood>>,
    /// What is part of the configuration in force, with its version.
    accepted: Option<(Held, String)>,
    /// The first configuration is not what the sources hold.
    is_behind: bool,
}

/// Tells how the sources are.
pub(super) struct SupplyView {
    sources: SourcesView,
    last_good: Option<Arc<LastGood>>,
}

impl SupplyView {
    /// Every source, in the order in which they are merged.
    pub(super) fn statuses(&self) -> Vec<SourceStatus> {
        self.sources.statuses()
    }

    /// Why what they held is not kept.
    pub(super) fn problem(&self) -> Option<String> {
        self.last_good.as_ref().and_then(|last_good| last_good.problem())
    }
}

impl Supply {
    /// Of files, and of sources that were asked once. `accepted`: what of it is in force, with the version; nothing where the last good
    /// configuration took its place.
    pub(super) fn new(
        files: Vec<PathBuf>,
        sources: Sources,
        outset: Outset,
        last_good: Option<Arc<LastGood>>,
        accepted: Option<(Held, String)>,
    ) -> Self {
        let is_behind = accepted.is_none();
        Self { files, sources, plans: outset.sources, wait: outset.sources_wait, last_good, accepted, is_behind }
    }

    /// Tells the sources what became of their part at the start, and keeps it.
    pub(super) async fn begin(&mut self) {
        if let Some((held, version)) = self.accepted.clone() {
            self.sources.verdict(&held, &Ok(version));
            if held.sources.iter().all(|source| !source.is_restored) {
                self.keep().await;
            }
        }
    }

    /// The files and folders that the process was started with.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether what the sources hold was not put in force at the start.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// What they hold now.
    pub(super) fn held(&self) -> Held {
        self.sources.held()
    }

    /// Waits until one holds something else.
    pub(super) async fn changed(&mut self) {
        self.sources.changed().await;
    }

    /// For whoever wants to know how they are.
    pub(super) fn view(&self) -> SupplyView {
        SupplyView { sources: self.sources.view(), last_good: self.last_good.clone() }
    }

    /// Whether these are the sources that are asked.
    pub(super) fn follows(&self, plans: &[SourcePlan]) -> bool {
        self.plans == plans
    }

    /// Asks these sources from now on, and waits a while for the first answer of new ones.
    pub(super) async fn follow(&mut self, outset: Outset) {
        self.sources.apply(&outset.sources);
        (self.plans, self.wait) = (outset.sources, outset.sources_wait);
        let deadline = Instant::now() + self.wait;
        while !self.held().is_complete() && timeout_at(deadline, self.sources.changed()).await.is_ok() {}
    }

    /// What is wrong where a source never said anything: without its part nothing is put in force.
    pub(super) fn missing(&self, held: &Held) -> Option<String> {
        let silent = held.sources.iter().filter(|source| source.documents.is_none());
        let names: Vec<String> = silent.map(|source| format!("`{}`", source.name)).collect();
        let (names, wait) = (names.join(", "), self.wait);
        (!names.is_empty()).then(|| format!("no answer yet from {names}, nor was there one within {wait:?}"))
    }

    /// The names of files and sources, with the revisions that are held now.
    pub(super) fn names(&self) -> Vec<String> {
        let files = self.files.iter().map(|file| file.display().to_string());
        let named = |source: HeldSource| match source.documents {
            Some(documents) => format!("{} at {}", source.name, documents.revision),
            None => source.name.to_string(),
        };
        files.chain(self.held().sources.into_iter().map(named)).collect()
    }

    /// What was held is in force, as part of this version: sources are told, and it is kept.
    pub(super) async fn accept(&mut self, held: &Held, version: &str) {
        self.sources.verdict(held, &Ok(version.to_owned()));
        let is_news = self.accepted.as_ref().is_none_or(|(before, known)| before != held || known != version);
        self.accepted = Some((held.clone(), version.to_owned()));
        if is_news {
            self.keep().await;
        }
    }

    /// What was held is not in force. That concerns those whose part is not in force already.
    pub(super) fn refuse(&self, held: &Held, why: &str) {
        let is_in_force = |source: &HeldSource| {
            let before = self.accepted.iter().flat_map(|(held, _)| &held.sources);
            before.into_iter().any(|before| before.name == source.name && before.documents == source.documents)
        };
        let news = held.sources.iter().filter(|source| !is_in_force(source)).cloned().collect();
        self.sources.verdict(&Held { sources: news }, &Err(why.to_owned()));
    }

    /// These texts are in force instead of what the sources hold.
    pub(super) async fn rolled_back(&mut self, texts: &[Source], places: &Places, version: &str) {
        let mut held = self.held();
        for source in &mut held.sources {
            let texts = texts.iter().filter(|text| places.source_of(&text.path) == Some(&source.name));
            let revision = format!("as of {version}");
            source.documents = Some(Arc::new(Documents { revision, order: None, texts: texts.cloned().collect() }));
        }
        self.accepted = Some((held, version.to_owned()));
        self.keep().await;
    }

    /// Where the texts of an earlier version came from.
    pub(super) fn places_of(&self, loaded: &Loaded) -> Places {
        let plans = self.plans.iter().chain(&loaded.settings.sources);
        Places::named(&loaded.sources, plans.map(|plan| &plan.name), &self.files)
    }

    /// Keeps what could not be kept before.
    pub(super) async fn keep_again(&self) {
        if self.last_good.as_ref().is_some_and(|last_good| last_good.problem().is_some()) {
            self.keep().await;
        }
    }

    async fn keep(&self) {
        let (Some(last_good), Some((held, version))) = (self.last_good.clone(), self.accepted.clone()) else { return };
        if !held.sources.is_empty() {
            // A failure is told where it happens, and everything runs on.
            let _ = tokio::task::spawn_blocking(move || last_good.keep(&held, &version).is_ok()).await;
        }
    }
}
