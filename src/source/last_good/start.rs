//! The first documents: every source's own, or those of an earlier process where a server is away.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::super::Sources;
use super::{Kept, LastGood};

/// How long servers are waited for where the last good configuration can stand in for them: the process is wanted, and what
/// they say later is taken then.
const PATIENCE_WITH_LAST_GOOD: Duration = Duration::from_secs(2);

/// How the sources came to have their first documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The sources that go by what an earlier process kept, until their servers answer.
    pub restored: Vec<String>,
    /// When that was kept; empty where nothing was restored.
    pub kept: String,
}

/// A source never said anything, and nobody knows what it said before.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {} within {wait:?}, and {why}; a first start needs every source", quoted(.missing))]
pub struct StartError {
    /// The sources that said nothing.
    pub missing: Vec<String>,
    /// How long was waited.
    pub wait: Duration,
    /// Why the last good configuration does not help.
    pub why: String,
}

/// Waits until every source has said something. Where that takes too long, those that did not get what an earlier process
/// kept of them, which is told as an error in the log; where nothing was kept either, that is an error after `wait`.
pub async fn first(sources: &mut Sources, wait: Duration, last_good: Option<&LastGood>) -> Result<Start, StartError> {
    let begun = Instant::now();
    let (kept, why) = kept(last_good);
    if let Some(kept) = &kept {
        wait_for_all(sources, begun + wait.min(PATIENCE_WITH_LAST_GOOD)).await;
        let missing = missing(sources);
        if missing.iter().all(|name| kept.sources.iter().any(|(there, _)| there == name)) {
            return Ok(restore(sources, kept, missing));
        }
    }
    wait_for_all(sources, begun + wait).await;
    let missing = missing(sources);
    if missing.is_empty() {
        return Ok(Start::default());
    }
    match &kept {
        Some(kept) if missing.iter().all(|name| kept.sources.iter().any(|(there, _)| there == name)) => {
            Ok(restore(sources, kept, missing))
        }
        _ => Err(StartError { missing, wait, why }),
    }
}

/// What was kept, and what is to be said where it does not help.
fn kept(last_good: Option<&LastGood>) -> (Option<Kept>, String) {
    let Some(last_good) = last_good else {
        return (None, "no state directory is set that could hold the last good configuration".to_owned());
    };
    match last_good.load() {
        Ok(Some(kept)) => (Some(kept), "the last good configuration was kept without them".to_owned()),
        Ok(None) => (None, "no last good configuration was ever kept".to_owned()),
        Err(error) => {
            tracing::error!("the last good configuration cannot be used: {error}");
            (None, error.to_string())
        }
    }
}

async fn wait_for_all(sources: &mut Sources, deadline: Instant) {
    while !sources.held().is_complete() {
        if timeout_at(deadline, sources.changed()).await.is_err() {
            return;
        }
    }
}

fn missing(sources: &Sources) -> Vec<String> {
    let held = sources.held();
    held.sources.iter().filter(|source| source.documents.is_none()).map(|source| source.name.to_string()).collect()
}

fn restore(sources: &Sources, kept: &Kept, missing: Vec<String>) -> Start {
    if missing.is_empty() {
        return Start::default();
    }
    for (name, documents) in kept.sources.iter().filter(|(name, _)| missing.contains(name)) {
        sources.restore(name, documents.clone());
    }
    let (version, time) = (&kept.version, &kept.time);
    let told = quoted(&missing);
    tracing::error!(version, time, "STALE: no answer from {told}; the last good configuration is in force for them");
    Start { restored: missing, kept: kept.time.clone() }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
