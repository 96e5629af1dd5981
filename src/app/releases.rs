//! Releases as the admin port sees and changes them: the configuration together with the latches.

use std::sync::Arc;

use crate::admin::{
    BucketsView, ChangeError, Changed, ReleaseAction, ReleaseChange, ReleaseView, RollbackView, VerdictView,
};
use crate::change::{AuditAction, AuditRecord};
use crate::config::{RollbackFigure, RollbackPlan};
use crate::decide::{self, Level, ReleaseId};
use crate::evidence::Judgement;
use crate::latch::{Action, Cause, Change, Keeping, LatchError, Latches, Outcome, ReleaseState};
use crate::proxy::Snapshot;

/// Every release, in the order of the configuration.
pub(super) fn views(snapshot: &Snapshot, latches: &Latches, judgements: &[Arc<Judgement>]) -> Vec<ReleaseView> {
    let ids = (0..snapshot.settings.program.releases().len()).filter_map(ReleaseId::from_index);
    ids.map(|release| view(snapshot, latches, judgements, release)).collect()
}

fn view(snapshot: &Snapshot, latches: &Latches, judgements: &[Arc<Judgement>], id: ReleaseId) -> ReleaseView {
    let program = &snapshot.settings.program;
    let (release, plan) = (program.release(id), &snapshot.settings.rollbacks[id.index()]);
    let governed = program.routes().iter().filter(|route| route.release == Some(id));
    let ReleaseState { latched, paused, openings } = latches.state(&release.name);
    ReleaseView {
        name: release.name.clone(),
        level: release.level,
        permille: release.permille.get(),
        salt: release.salt.clone(),
        latched: latched.is_some(),
        latch: latched,
        paused: paused.is_some(),
        pause: paused,
        revision: plan.revision,
        gray_drain_seconds: plan.gray_drain.as_secs_f64(),
        rollback: rollback(plan, openings),
        verdict: judgements.get(id.index()).map(|judgement| verdict(judgement)),
        routes: governed.map(|route| route.name.clone()).collect(),
        conditions: release.conditions.len(),
    }
}

/// The users of a release by bucket, and the bucket of `key`.
pub(super) fn buckets(snapshot: &Snapshot, release: &str, key: Option<&str>) -> Option<BucketsView> {
    let program = &snapshot.settings.program;
    let id = ReleaseId::from_index(program.releases().iter().position(|known| known.name == release)?)?;
    let spec = program.release(id);
    let admitted = match spec.level {
        _ if snapshot.is_latched(id) => 0,
        Level::Full => 1000,
        Level::Permille => spec.permille.get(),
        _ => 0,
    };
    Some(BucketsView {
        release: spec.name.clone(),
        salt: spec.salt.clone(),
        admitted,
        requests: snapshot.release_series(id).visits(),
        asked: key.map(|key| decide::bucket(&spec.salt, key).get()),
    })
}

fn rollback(plan: &RollbackPlan, counted: Option<usize>) -> Option<RollbackView> {
    if !plan.is_given() {
        return None;
    }
    Some(RollbackView {
        openings: plan.openings.map(|(most, _)| most),
        within_seconds: plan.openings.map(|(_, within)| within.as_secs_f64()),
        counted: counted.unwrap_or(0),
        worse: plan.worse.is_some(),
        require: plan.require(),
        figures: plan.figures.iter().map(RollbackFigure::shown).collect(),
    })
}

fn verdict(judgement: &Judgement) -> VerdictView {
    VerdictView {
        word: judgement.verdict.as_str(),
        reason: judgement.to_string(),
        figures: serde_json::to_value(judgement).expect("a judgement has text for keys"),
    }
}

/// Does what was asked, and waits until it is kept.
pub(super) fn change(
    snapshot: &Snapshot,
    latches: &Latches,
    judgements: &[Arc<Judgement>],
    change: &ReleaseChange,
) -> Result<Changed, ChangeError> {
    let ReleaseChange { release, action, by, reason } = change;
    let known = snapshot.settings.program.releases().iter().position(|known| known.name == *release);
    let id = known.and_then(ReleaseId::from_index).ok_or_else(|| LatchError::Unknown { release: release.clone() })?;
    let reason = reason.as_deref();
    let outcome = match action {
        ReleaseAction::Pause => latches.pause(release, by, reason),
        ReleaseAction::Resume => latches.resume(release, by, reason),
        ReleaseAction::Reset => latches.reset(release, by, reason),
        ReleaseAction::Rollback => {
            let detail = reason.unwrap_or("rolled back by a person");
            latches.latch(release, snapshot.evidence(id, Cause::Person, by, detail))
        }
    }?;
    let survives_restart = latches.save() == Keeping::Kept;
    let (changed, incident) = match outcome {
        Outcome::Changed { incident } => (true, incident),
        Outcome::Unchanged => (false, None),
    };
    Ok(Changed { changed, survives_restart, incident, release: view(snapshot, latches, judgements, id) })
}

/// What happened to a release, for the trail.
pub(super) fn record(change: Change) -> AuditRecord {
    let action = match change.action {
        Action::Latched => AuditAction::Latched,
        Action::Lifted => AuditAction::Lifted,
        Action::Paused => AuditAction::Paused,
        Action::Resumed => AuditAction::Resumed,
    };
    AuditRecord {
        time: change.time.system_time(),
        changed: vec![change.release.to_string()],
        by: Some(change.by),
        detail: Some(change.detail).filter(|detail| !detail.is_empty()),
        ..AuditRecord::now(action, format!("release {}", change.release))
    }
}

/// Where latches are kept, for people.
pub(super) fn state(latches: &Latches) -> serde_json::Value {
    let (word, problem) = match latches.keeping() {
        Keeping::Off => ("process", None),
        Keeping::Kept => ("kept", None),
        Keeping::Failing(problem) => ("failing", Some(problem)),
    };
    serde_json::json!({ "dir": latches.dir().map(|dir| dir.display().to_string()), "is": word, "problem": problem })
}
