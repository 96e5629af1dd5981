//! Who keeps the upstreams of the configuration in force fresh and checked, over every change of it.

use std::collections::HashMap;

use tokio::task::{AbortHandle, JoinSet};

use super::{Directory, check, discovery};

/// The look-ups and checks of all upstreams, on the control runtime; they end when this is dropped. An upstream that stays over a
/// change keeps its checks: a configuration that changes faster than they come must not put them off.
pub struct Care {
    seed: u64,
    checks: HashMap<u64, AbortHandle>,
    discoveries: HashMap<u64, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Care {
    /// Of no upstream yet. `seed` sets when checks are made.
    pub fn new(seed: u64) -> Self {
        Self { seed, checks: HashMap::new(), discoveries: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Looks up and checks the upstreams of a directory, and no others; to be called on the runtime that is to do so.
    pub fn follow(&mut self, directory: &Directory) {
        let mut before = std::mem::take(&mut self.checks);
        for upstream in directory.upstreams().iter().filter(|upstream| upstream.is_watched()) {
            let fresh = || self.tasks.spawn(check::watch(upstream.clone(), self.seed));
            let task = before.remove(&upstream.id).unwrap_or_else(fresh);
            self.checks.insert(upstream.id, task);
        }
        before.into_values().for_each(|task| task.abort());
        let mut before = std::mem::take(&mut self.discoveries);
        for upstream in directory.upstreams().iter().filter(|upstream| upstream.is_found_out()) {
            let fresh = || self.tasks.spawn(discovery::keep(upstream.clone(), self.seed ^ upstream.id));
            let task = before.remove(&upstream.id).unwrap_or_else(fresh);
            self.discoveries.insert(upstream.id, task);
        }
        before.into_values().for_each(|task| task.abort());
        // Takes those that were aborted out of the set.
        while self.tasks.try_join_next().is_some() {}
    }
}
