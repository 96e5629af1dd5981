//! Experiments, and the groups of them that releases name.

use std::sync::Arc;

use super::upstream::check_names;
use crate::config::file::{FileAb, FileExperiment};
use crate::config::problem::Findings;
use crate::config::read::Table;
use crate::config::text::At;
use crate::decide::{Ab, Experiment, Permille};

/// A group is at least one of the 1000 buckets.
const MOST_GROUPS: usize = 1000;

/// An experiment by name. One that is not valid stays known, so that naming it is no second problem.
pub(super) struct KnownExperiment {
    name: String,
    groups: Vec<String>,
    built: Option<Arc<Experiment>>,
}

/// All of them.
pub(super) struct Experiments {
    list: Vec<KnownExperiment>,
    /// The table could not be read, so any name may be in it.
    unread: bool,
}

pub(super) fn experiments(table: Option<&Table<FileExperiment>>, findings: &mut Findings) -> Experiments {
    check_names(table, "an experiment", findings);
    let entries = table.map(|table| table.entries.as_slice()).unwrap_or_default();
    let list = entries
        .iter()
        .map(|(name, written)| KnownExperiment {
            name: name.value.clone(),
            groups: written
                .iter()
                .flat_map(|written| &written.groups)
                .flat_map(Table::names)
                .map(str::to_owned)
                .collect(),
            built: written.as_ref().and_then(|written| experiment(name, written, findings)),
        })
        .collect();
    Experiments { list, unread: table.is_some_and(|table| table.unread) }
}

fn experiment(name: &At<String>, written: &FileExperiment, findings: &mut Findings) -> Option<Arc<Experiment>> {
    let groups = written.groups.as_ref()?;
    if let Some((group, _)) = groups.entries.get(MOST_GROUPS) {
        findings.error(group.at, format!("more than {MOST_GROUPS} groups"));
        return None;
    }
    // A share that was refused is told already; what the groups would come to with it is not known.
    let shares = groups.entries.iter().map(|(group, share)| {
        let share = share.as_ref()?;
        if share.value.0 == 0 {
            let message = format!("group `{}` has 0 of the 1000 buckets, so nobody is in it", group.value);
            findings.warn(share.at, message);
        }
        Some((group.value.clone(), Permille::new(share.value.0)?))
    });
    let shares = shares.collect::<Option<Vec<_>>>()?;
    let salt = written.salt.as_ref().map_or(name.value.as_str(), |salt| salt.value.as_str());
    match Experiment::new(name.value.as_str(), salt, shares) {
        Ok(experiment) => {
            let total: u32 =
                groups.entries.iter().filter_map(|(_, share)| Some(u32::from(share.as_ref()?.value.0))).sum();
            if total < 1000 && !written.flawed {
                let message = format!(
                    "the groups of experiment `{}` add up to {total} permille: {} of the 1000 buckets are in no group",
                    name.value,
                    1000 - total
                );
                findings.warn(name.at, message);
            }
            Some(Arc::new(experiment))
        }
        Err(error) => {
            let place = groups.entries.first().map_or(name.at, |(group, _)| group.at);
            findings.error(place, error.to_string());
            None
        }
    }
}

/// The groups that see gray.
pub(super) fn ab(written: &FileAb, experiments: &Experiments, findings: &mut Findings) -> Option<Ab> {
    let named = written.experiment.as_ref()?;
    let Some(experiment) = experiments.list.iter().find(|known| known.name == named.value) else {
        if experiments.unread {
            return None;
        }
        let names = experiments.list.iter().map(|known| known.name.as_str());
        findings.error(named.at, format!("there is no experiment `{}`", named.value)).suggest_or_list(named, names);
        return None;
    };
    let groups = written.groups.as_ref()?;
    if groups.0.is_empty() && !written.flawed {
        findings.error(named.at, "`ab` names no group that sees gray");
    }
    for group in &groups.0 {
        if !experiment.groups.contains(&group.value) {
            findings
                .error(group.at, format!("experiment `{}` has no group `{}`", named.value, group.value))
                .suggest_or_list(group, experiment.groups.iter().map(String::as_str));
        }
    }
    let names: Vec<&str> = groups.0.iter().map(|group| group.value.as_str()).collect();
    Ab::new(Arc::clone(experiment.built.as_ref()?), &names).ok()
}
