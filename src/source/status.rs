//! How the sources are, for people and tools.

use std::sync::Arc;

use serde::Serialize;

use super::link::Slot;
use super::runner::Shared;
use crate::telemetry::SourceFault;

/// Tells how the sources are, for as long as it is asked; empty once they have ended.
#[derive(Clone)]
pub struct SourcesView {
    shared: Arc<Shared>,
}

/// How one source is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: Arc<str>,
    /// The part of the store that it reads.
    pub namespace: Arc<str>,
    /// The word of its kind, `redis` for example.
    pub kind: &'static str,
    /// Whether the server answers.
    pub up: bool,
    /// There was no contact for longer than the time to live, or never while documents of an earlier process are in
    /// force.
    pub stale: bool,
    /// What is held was kept by an earlier process; the server did not say anything yet.
    pub restored: bool,
    /// How long ago the server answered last, in seconds; `None` if it never did.
    pub last_contact_seconds_ago: Option<f64>,
    /// What the server calls the state that is held.
    pub revision: Option<String>,
    /// The documents held.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How often other documents were taken.
    pub changes: u64,
    /// How often something went wrong.
    pub errors: u64,
    /// What went wrong, unless it went well since.
    pub last_error: Option<String>,
    /// How long ago that was, in seconds.
    pub last_error_seconds_ago: Option<f64>,
    /// What somebody should know although nothing failed.
    pub note: Option<String>,
    /// What became of what was posted last.
    pub verdict: Option<SourceVerdict>,
}

/// What became of documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceVerdict {
    /// The revision it is about.
    pub revision: String,
    /// The version of the configuration that holds them.
    pub version: Option<String>,
    /// Why they were refused.
    pub refused: Option<String>,
}

impl SourcesView {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Every source, in the order in which they are merged.
    pub fn statuses(&self) -> Vec<SourceStatus> {
        self.shared.statuses()
    }
}

pub(super) fn status(slot: &Slot) -> SourceStatus {
    let (plan, series, state) = (&slot.plan, &slot.series, slot.state());
    let verdict = state.verdict.as_ref().map(|verdict| SourceVerdict {
        revision: verdict.revision.clone(),
        version: verdict.outcome.as_ref().ok().cloned(),
        refused: verdict.outcome.as_ref().err().cloned(),
    });
    SourceStatus {
        name: plan.name.clone(),
        namespace: plan.namespace.clone(),
        kind: plan.kind.as_str(),
        up: series.is_up(),
        stale: series.is_stale(),
        restored: state.is_restored,
        last_contact_seconds_ago: series.silent_for().map(|time| time.as_secs_f64()),
        revision: state.documents.as_ref().map(|documents| documents.revision.clone()),
        documents: series.documents(),
        bytes: series.bytes(),
        changes: series.posts(),
        errors: SourceFault::ALL.iter().map(|fault| series.errors(*fault)).sum(),
        last_error: state.last_error.as_ref().map(|(text, _)| text.clone()),
        last_error_seconds_ago: state.last_error.as_ref().map(|(_, at)| at.elapsed().as_secs_f64()),
        note: state.note.clone(),
        verdict,
    }
}
