//! What is wrong with the injection of a namespace, and how it is mended: pure functions over the objects of a cluster, or over
//! manifests before they are one.
//!
//! It looks at what a webhook never sees: which Services target a number and pass the sidecar by, whether anybody calls the webhook
//! at all, whether a NetworkPolicy lets the sidecar's port in, whether a ConfigMap is a configuration. What it would inject it learns
//! from the same function that injects.

mod config;
mod finding;
mod network;
mod objects;
mod pods;
mod services;
mod webhooks;

pub use finding::{Finding, Weight, written};
pub use objects::Objects;

use super::Defaults;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All objects of a namespace, as a cluster has them: what is missing is missing.
    Cluster,
    /// Manifests: what is not among them may be elsewhere.
    Manifests,
}

/// Everything that is found, what is worst first, else in the order of the objects.
///
/// `now` is in seconds since the epoch. `minor` is the cluster's version, where it is known.
pub fn examine(objects: &Objects, defaults: &Defaults, view: View, minor: Option<u16>, now: i64) -> Vec<Finding> {
    let mut found = Vec::new();
    webhooks::examine(objects, defaults, view, now, &mut found);
    webhooks::version(defaults, minor, &mut found);
    let fronted = pods::examine(objects, defaults, view, &mut found);
    services::examine(objects, &fronted, &mut found);
    network::examine(objects, &fronted, &mut found);
    config::examine(objects, &fronted, view, &mut found);
    found.sort_by_key(|finding| finding.weight);
    found
}
