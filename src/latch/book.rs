//! What is known of each release: open or latched, free or paused. Memory alone: no file, no clock.
//!
//! ```text
//!            latch: breakers, the comparison, a person
//!   open ─────────────────────────────────▶ latched
//!    ▲                                        │
//!    └────────────────────────────────────────┘
//!      lift: a person's reset, another revision; neither of them while the release is paused
//! ```
//!
//! A pause forbids whatever opens a release, and nothing that closes it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::evidence::{Cause, Evidence, Incident, Moment};
use super::latches::{Flag, LatchError};
use super::openings::Openings;
use super::store::{FileRelease, FileState};
use crate::config::RollbackPlan;
use crate::telemetry::ReleaseSeries;

/// Incidents that are kept; the oldest go first.
pub(super) const MOST_INCIDENTS: usize = 100;
/// Latched or paused releases that no configuration names any more and that are remembered all the same: a release that
/// comes back comes back latched.
const MOST_ABSENT: usize = 1000;

/// That a release was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latched {
    /// Since when.
    pub time: Moment,
    /// The release's revision at that time; another one lifts the latch.
    pub revision: u32,
    /// What did it.
    pub cause: Cause,
    /// The same in a sentence.
    pub detail: String,
    /// Who did it.
    pub by: String,
    /// The number of the incident; `null` where there was none.
    pub incident: Option<u64>,
}

/// That nothing may open a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Since when.
    pub time: Moment,
    /// Who did it.
    pub by: String,
    /// Why, if that was said.
    pub reason: Option<String>,
}

/// One release as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseState {
    /// Taken back, and why.
    pub latched: Option<Latched>,
    /// Frozen, and by whom.
    pub paused: Option<Paused>,
    /// Openings of its breakers that count now; `None` where nobody counts.
    pub openings: Option<usize>,
}

#[derive(Default)]
struct Entry {
    flag: Flag,
    series: Option<Arc<ReleaseSeries>>,
    revision: u32,
    openings: Option<Box<Openings>>,
    /// Gray being worse takes it back.
    by_worse: bool,
    /// Openings and `worse` take it back only together.
    both: bool,
    /// Gray was worse at the last look.
    worse: bool,
    latched: Option<Box<Latched>>,
    paused: Option<Box<Paused>>,
}

impl Entry {
    /// Tells everybody who reads without asking.
    fn publish(&self) {
        self.flag.set(self.latched.is_some());
        if let Some(series) = &self.series {
            series.set_latched(self.latched.is_some());
            series.set_paused(self.paused.is_some());
        }
    }

    fn since(&self) -> Option<Moment> {
        let latched = self.latched.as_ref().map(|latched| latched.time);
        latched.max(self.paused.as_ref().map(|paused| paused.time))
    }
}

/// Every release and the incidents.
#[derive(Default)]
pub(super) struct Book {
    releases: BTreeMap<Arc<str>, Entry>,
    incidents: VecDeque<Arc<Incident>>,
    next_incident: u64,
    config_version: String,
    /// Why nobody knows what was latched, until the first configuration is there to latch.
    unknown: Option<String>,
    /// Goes up with every change that is to be kept.
    pub(super) generation: u64,
}

impl Book {
    /// What an earlier process left.
    pub(super) fn remembering(state: FileState, incidents: Vec<Incident>) -> Self {
        let mut book = Self::default();
        for (name, FileRelease { revision, latched, paused }) in state.releases {
            let (latched, paused) = (latched.map(Box::new), paused.map(Box::new));
            let entry = Entry { revision, latched, paused, ..Entry::default() };
            entry.publish();
            book.releases.insert(name.into(), entry);
        }
        let last = incidents.iter().map(|incident| incident.number).max().unwrap_or(0);
        book.next_incident = state.next_incident.max(last + 1);
        book.incidents = incidents.into_iter().map(Arc::new).collect();
        book.trim();
        book
    }

    /// Nothing is known, for this reason: the releases of the first configuration start latched.
    pub(super) fn ignorant(why: String, incidents: Vec<Incident>) -> Self {
        Self { unknown: Some(why), ..Self::remembering(FileState::default(), incidents) }
    }

    /// Takes over a configuration's releases. Those whose latch another revision lifted, and those that are latched
    /// for want of knowledge, by name.
    pub(super) fn adopt<'r>(
        &mut self,
        version: &str,
        releases: impl Iterator<Item = (&'r str, &'r RollbackPlan, Arc<ReleaseSeries>)>,
        now: Moment,
    ) -> Adopted {
        version.clone_into(&mut self.config_version);
        self.generation += 1;
        self.releases.values_mut().for_each(|entry| entry.series = None);
        let unknown = self.unknown.take();
        let mut adopted = Adopted::default();
        for (name, plan, series) in releases {
            let entry = self.releases.entry(name.into()).or_default();
            entry.revision = plan.revision;
            entry.series = Some(series);
            (entry.by_worse, entry.both) = (plan.worse.is_some(), plan.both);
            let limit = entry.openings.as_ref().map(|openings| openings.limit());
            let planned = plan.openings.map(|(most, within)| Box::new(Openings::new(most, within)));
            if limit != planned.as_ref().map(|openings| openings.limit()) {
                entry.openings = planned;
            }
            if let Some(why) = &unknown {
                let detail = format!("nobody knows whether it was rolled back: {why}");
                entry.latched.get_or_insert_with(|| {
                    Box::new(Latched {
                        time: now,
                        revision: plan.revision,
                        cause: Cause::StateUnreadable,
                        detail,
                        by: "state directory".to_owned(),
                        incident: None,
                    })
                });
                adopted.latched.push(name.into());
            }
            if let Some(lifted) = lift_by_revision(name, entry) {
                // Whoever still decides by the revision that was taken back goes on serving stable.
                entry.flag = Flag::default();
                adopted.lifted.push(lifted);
            }
            entry.publish();
        }
        self.trim();
        adopted
    }

    /// The flag that the release's decisions are made by.
    pub(super) fn flag(&self, release: &str) -> Flag {
        self.releases.get(release).map(|entry| entry.flag.clone()).unwrap_or_default()
    }

    pub(super) fn state(&mut self, release: &str, now: Instant) -> ReleaseState {
        let Some(entry) = self.releases.get_mut(release) else { return ReleaseState::default() };
        ReleaseState {
            latched: entry.latched.as_deref().cloned(),
            paused: entry.paused.as_deref().cloned(),
            openings: entry.openings.as_mut().map(|openings| openings.count(now)),
        }
    }

    /// A breaker of the release opened: what that comes to.
    pub(super) fn opening(&mut self, release: &str, now: Instant) -> Counted {
        let Some(entry) = self.releases.get_mut(release).filter(|entry| entry.latched.is_none()) else {
            return Counted::Ignored;
        };
        let Some(openings) = &mut entry.openings else { return Counted::Ignored };
        let (most, within) = openings.limit();
        if entry.both {
            return match openings.noted(now) && entry.worse {
                true => Counted::TooMany { most, within },
                false => Counted::Few(openings.count(now)),
            };
        }
        if openings.opened(now) { Counted::TooMany { most, within } } else { Counted::Few(openings.count(now)) }
    }

    /// What the comparison says: whether that takes the release back.
    pub(super) fn judged(&mut self, release: &str, worse: bool, now: Instant) -> bool {
        let Some(entry) = self.releases.get_mut(release) else { return false };
        entry.worse = worse;
        let reached = !entry.both || entry.openings.as_mut().is_some_and(|openings| openings.is_reached(now));
        worse && entry.by_worse && reached && entry.latched.is_none()
    }

    /// Takes a release back; `None` where it is latched already.
    pub(super) fn latch(
        &mut self,
        release: &str,
        evidence: Evidence,
        now: Moment,
    ) -> Result<Option<Arc<Incident>>, LatchError> {
        let number = self.next_incident;
        let entry = self.configured(release)?;
        if entry.latched.is_some() {
            return Ok(None);
        }
        let evidence = evidence.bounded();
        entry.latched = Some(Box::new(Latched {
            time: now,
            revision: entry.revision,
            cause: evidence.cause,
            detail: evidence.detail.clone(),
            by: evidence.by.clone(),
            incident: Some(number),
        }));
        entry.openings.iter_mut().for_each(|openings| openings.clear());
        entry.worse = false;
        entry.publish();
        let revision = entry.revision;
        let config_version = self.config_version.clone();
        let incident = Incident { number, time: now, release: release.to_owned(), revision, config_version, evidence };
        let incident = Arc::new(incident);
        self.incidents.push_back(incident.clone());
        self.next_incident += 1;
        self.generation += 1;
        self.trim();
        Ok(Some(incident))
    }

    /// Opens a latched release again, and forgets the openings counted so far. Whether it was latched.
    pub(super) fn reset(&mut self, release: &str) -> Result<bool, LatchError> {
        let entry = self.configured(release)?;
        if entry.paused.is_some() && entry.latched.is_some() {
            return Err(LatchError::Paused { release: release.to_owned() });
        }
        entry.openings.iter_mut().for_each(|openings| openings.clear());
        let lifted = entry.latched.take().is_some();
        entry.publish();
        self.generation += u64::from(lifted);
        Ok(lifted)
    }

    /// Forbids what opens a release. Whether it was free.
    pub(super) fn pause(&mut self, release: &str, paused: Paused) -> Result<bool, LatchError> {
        let entry = self.configured(release)?;
        if entry.paused.is_some() {
            return Ok(false);
        }
        entry.paused = Some(Box::new(paused));
        entry.publish();
        self.generation += 1;
        Ok(true)
    }

    /// Allows it again; a latch of another revision is lifted now. Whether it was paused, and whether a latch went.
    pub(super) fn resume(&mut self, release: &str) -> Result<(bool, Option<Lifted>), LatchError> {
        let entry = self.configured(release)?;
        if entry.paused.take().is_none() {
            return Ok((false, None));
        }
        let lifted = lift_by_revision(release, entry);
        entry.publish();
        self.generation += 1;
        Ok((true, lifted))
    }

    /// The last incidents, oldest first.
    pub(super) fn incidents(&self) -> Vec<Arc<Incident>> {
        self.incidents.iter().cloned().collect()
    }

    /// What is to be kept.
    pub(super) fn to_file(&self) -> FileState {
        let kept = self.releases.iter().filter(|(_, entry)| entry.latched.is_some() || entry.paused.is_some());
        let releases = kept.map(|(name, entry)| {
            let (latched, paused) = (entry.latched.as_deref().cloned(), entry.paused.as_deref().cloned());
            (name.to_string(), FileRelease { revision: entry.revision, latched, paused })
        });
        FileState { next_incident: self.next_incident, releases: releases.collect(), ..FileState::default() }
    }

    fn configured(&mut self, release: &str) -> Result<&mut Entry, LatchError> {
        let entry = self.releases.get_mut(release).filter(|entry| entry.series.is_some());
        entry.ok_or_else(|| LatchError::Unknown { release: release.to_owned() })
    }

    /// Holds the bounds: what nobody configures and nothing keeps goes, then the oldest of the rest.
    fn trim(&mut self) {
        let extra = self.incidents.len().saturating_sub(MOST_INCIDENTS);
        self.incidents.drain(..extra);
        self.releases.retain(|_, entry| entry.series.is_some() || entry.since().is_some());
        let absent = self.releases.iter().filter(|(_, entry)| entry.series.is_none());
        let mut absent: Vec<(Option<Moment>, Arc<str>)> =
            absent.map(|(name, entry)| (entry.since(), name.clone())).collect();
        absent.sort();
        let extra = absent.len().saturating_sub(MOST_ABSENT);
        absent.iter().take(extra).for_each(|(_, name)| drop(self.releases.remove(name)));
    }
}

/// What taking over a configuration changed.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    pub(super) latched: Vec<Arc<str>>,
    pub(super) lifted: Vec<Lifted>,
}

/// A latch that another revision lifted.
#[derive(Debug)]
pub(super) struct Lifted {
    pub(super) release: Arc<str>,
    pub(super) from: u32,
    pub(super) to: u32,
}

/// What an opening comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Ignored,
    Few(usize),
    TooMany { most: usize, within: std::time::Duration },
}

fn lift_by_revision(release: &str, entry: &mut Entry) -> Option<Lifted> {
    let (from, to) = (entry.latched.as_ref()?.revision, entry.revision);
    if from == to || entry.paused.is_some() {
        return None;
    }
    entry.latched = None;
    entry.openings.iter_mut().for_each(|openings| openings.clear());
    Some(Lifted { release: release.into(), from, to })
}
