//! A source's end of what it shares with the one who loads.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Documents, SourceError, Verdict};
use crate::config::{self, SourceBounds, SourcePlan};
use crate::telemetry::{SourceFault, SourceSeries};

/// What is known of one source.
pub(super) struct Slot {
    pub(super) plan: Arc<SourcePlan>,
    pub(super) series: Arc<SourceSeries>,
    state: Mutex<State>,
    verdicts: watch::Sender<Option<Verdict>>,
    /// Counts the changes of all sources.
    changes: watch::Sender<u64>,
}

/// What changes about one source.
#[derive(Default)]
pub(super) struct State {
    pub(super) documents: Option<Arc<Documents>>,
    digest: [u8; 32],
    /// The documents are those of an earlier process; the server did not say anything yet.
    pub(super) is_restored: bool,
    pub(super) last_error: Option<(String, Instant)>,
    pub(super) note: Option<String>,
    pub(super) verdict: Option<Verdict>,
}

impl Slot {
    pub(super) fn new(plan: SourcePlan, series: Arc<SourceSeries>, changes: watch::Sender<u64>) -> Self {
        series.set_ttl(plan.ttl);
        let (verdicts, _) = watch::channel(None);
        Self { plan: Arc::new(plan), series, state: Mutex::default(), verdicts, changes }
    }

    /// Nothing that happens under this lock can leave it half done, so a poisoned one is as good.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what an earlier process kept, unless the server was faster.
    pub(super) fn restore(&self, documents: Documents) {
        let mut state = self.state();
        if state.documents.is_none() {
            self.put(&mut state, documents);
            state.is_restored = true;
            self.series.set_restored(true);
        }
    }

    pub(super) fn judged(&self, verdict: Verdict) {
        self.state().verdict = Some(verdict.clone());
        self.verdicts.send_replace(Some(verdict));
    }

    fn put(&self, state: &mut State, documents: Documents) {
        state.digest = digest(&documents.texts);
        state.is_restored = false;
        self.series.set_restored(false);
        self.series.posted(documents.texts.len(), size(&documents.texts));
        state.documents = Some(Arc::new(documents));
        self.changes.send_modify(|count| *count += 1);
    }
}

/// Where a source puts what it holds, and tells how it is.
pub struct Link {
    slot: Arc<Slot>,
    verdicts: watch::Receiver<Option<Verdict>>,
    /// What went wrong and was told; it is told again only after it went well.
    told: HashSet<SourceFault>,
    /// Since when the server offers a state older than the one taken.
    old_since: Option<Instant>,
    was_reached: bool,
}

impl Link {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        let verdicts = slot.verdicts.subscribe();
        Self { slot, verdicts, told: HashSet::new(), old_since: None, was_reached: false }
    }

    /// What the source was configured to be.
    pub fn plan(&self) -> Arc<SourcePlan> {
        self.slot.plan.clone()
    }

    /// How much may be posted. A source checks before it asks for bytes wherever its protocol lets it.
    pub fn bounds(&self) -> SourceBounds {
        self.slot.plan.bounds
    }

    /// What problems call the text of this key: the source's name, a colon, the key.
    pub fn path(&self, key: &str) -> PathBuf {
        PathBuf::from(format!("{}:{key}", self.slot.plan.name))
    }

    /// A document from its bytes, if they are a text that is not too long.
    pub fn text(&self, key: &str, bytes: Vec<u8>) -> Result<config::Source, SourceError> {
        let most = self.bounds().document_bytes;
        if bytes.len() > most {
            return Err(SourceError::TooLarge(format!("`{key}` has {} bytes, at most {most} are taken", bytes.len())));
        }
        let text = String::from_utf8(bytes).map_err(|_| SourceError::Garbled(format!("`{key}` is no UTF-8 text")))?;
        Ok(config::Source { path: self.path(key), text })
    }

    /// The server answered: what is held is as fresh as this moment.
    pub fn contact(&mut self) {
        self.slot.series.contacted();
        self.was_reached = true;
        let kinds = [SourceFault::Unreachable, SourceFault::Late, SourceFault::Refused, SourceFault::Setup];
        let before = self.told.len();
        self.told.retain(|fault| !kinds.contains(fault));
        if self.told.len() < before {
            tracing::info!(source = &*self.slot.plan.name, "a source of configuration answers again");
        }
    }

    /// Offers everything the server holds. Returns whether that is what is held now: taken as new, or the same as
    /// before. What is refused is told and counted here; what was held stays.
    pub fn post(&mut self, documents: Documents) -> bool {
        self.offer(documents).inspect_err(|error| self.complain(error)).is_ok()
    }

    /// The same for a source that goes by why it was refused, and tells it itself.
    pub fn offer(&mut self, documents: Documents) -> Result<(), SourceError> {
        self.offer_at(documents, Instant::now())
    }

    pub(super) fn offer_at(&mut self, mut documents: Documents, now: Instant) -> Result<(), SourceError> {
        self.contact();
        documents.texts.sort_by(|one, other| one.path.cmp(&other.path));
        check(&documents.texts, &self.bounds())?;
        let slot = self.slot.clone();
        let mut state = slot.state();
        let name = &*slot.plan.name;
        if state.documents.is_some() && state.digest == digest(&documents.texts) {
            state.is_restored = false;
            slot.series.set_restored(false);
            keep_newest(&mut state, documents);
        } else {
            self.refuse_older(&documents, &state, now)?;
            let (revision, count) = (documents.revision.clone(), documents.texts.len());
            slot.put(&mut state, documents);
            tracing::info!(source = name, revision, documents = count, "a source of configuration has new documents");
        }
        if !self.told.is_empty() {
            tracing::info!(source = name, "a source of configuration can be taken again");
        }
        self.told.clear();
        self.old_since = None;
        state.last_error = None;
        Ok(())
    }

    /// Tells what is wrong, in the log once for each kind until it goes well again.
    pub fn complain(&mut self, error: &SourceError) {
        self.slot.series.failed(error.fault());
        self.slot.state().last_error = Some((error.to_string(), Instant::now()));
        if self.told.insert(error.fault()) {
            let (source, kind) = (&*self.slot.plan.name, error.fault().as_str());
            tracing::warn!(source, kind, "a source of configuration: {error}; what was taken before stays in force");
        }
    }

    /// Tells what somebody should know although nothing failed; `None` takes it back.
    pub fn note(&mut self, note: Option<String>) {
        let mut state = self.slot.state();
        if let Some(text) = note.as_ref().filter(|text| state.note.as_ref() != Some(text)) {
            tracing::warn!(source = &*self.slot.plan.name, "a source of configuration: {text}");
        }
        state.note = note;
    }

    /// What became of what was posted, whenever that is known.
    pub fn verdicts(&self) -> watch::Receiver<Option<Verdict>> {
        self.verdicts.clone()
    }

    /// What is held now, the restored documents of an earlier process included.
    pub fn held(&self) -> Option<Arc<Documents>> {
        self.slot.state().documents.clone()
    }

    pub(super) fn begin(&mut self) {
        self.was_reached = false;
    }

    /// A session is over. Returns whether the server was reached in it.
    pub(super) fn end(&mut self, error: &SourceError) -> bool {
        // A server whose documents cannot be taken answered all the same.
        if matches!(error.fault(), SourceFault::TooLarge | SourceFault::Garbled | SourceFault::OldRevision) {
            self.contact();
        }
        self.slot.series.lost();
        self.complain(error);
        self.was_reached
    }

    /// A state older than the one taken is a member's that lags behind, and is refused. If the server stays there for
    /// the whole time to live it was put back on purpose, from a backup say, and is believed.
    fn refuse_older(&mut self, documents: &Documents, state: &State, now: Instant) -> Result<(), SourceError> {
        let Some(held) = &state.documents else { return Ok(()) };
        let (Some(taken), Some(offered)) = (&held.order, &documents.order) else { return Ok(()) };
        if taken.lineage != offered.lineage || offered.number >= taken.number {
            return Ok(());
        }
        let since = *self.old_since.get_or_insert(now);
        if now - since < self.slot.plan.ttl {
            let (offered, taken) = (documents.revision.clone(), held.revision.clone());
            return Err(SourceError::OldRevision { offered, taken });
        }
        let (source, taken, offered) = (&*self.slot.plan.name, &held.revision, &documents.revision);
        tracing::warn!(source, taken, offered, "a source of configuration went back and stays there; that is taken");
        Ok(())
    }
}

/// The same texts under a later number: only the number is taken.
fn keep_newest(state: &mut State, documents: Documents) {
    let Some(held) = &state.documents else { return };
    let is_older = match (&held.order, &documents.order) {
        (Some(taken), Some(offered)) => taken.lineage == offered.lineage && offered.number < taken.number,
        _ => false,
    };
    if !is_older && (held.revision != documents.revision || held.order != documents.order) {
        state.documents = Some(Arc::new(documents));
    }
}

fn check(texts: &[config::Source], bounds: &SourceBounds) -> Result<(), SourceError> {
    if texts.len() > bounds.documents {
        let (found, most) = (texts.len(), bounds.documents);
        return Err(SourceError::TooLarge(format!("{found} documents, at most {most} are taken")));
    }
    if let Some(long) = texts.iter().find(|text| text.text.len() > bounds.document_bytes) {
        let (path, found, most) = (long.path.display(), long.text.len(), bounds.document_bytes);
        return Err(SourceError::TooLarge(format!("`{path}` has {found} bytes, at most {most} are taken")));
    }
    let total = size(texts);
    if total > bounds.total_bytes {
        let most = bounds.total_bytes;
        return Err(SourceError::TooLarge(format!("{total} bytes in all, at most {most} are taken")));
    }
    Ok(())
}

fn size(texts: &[config::Source]) -> usize {
    texts.iter().map(|text| text.text.len()).sum()
}

pub(super) fn digest(texts: &[config::Source]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        for part in [text.path.as_os_str().as_encoded_bytes(), text.text.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}
