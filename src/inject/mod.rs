//! Putting the sidecar into pods: from a pod to a pod with a sidecar, and from an AdmissionReview to its answer.
//!
//! Everything in this folder is a pure function over the JSON of Kubernetes objects, so that fields that this program does not
//! know stay as they are; `webhook` alone has a port, files and a clock. Nothing here decides about requests, and nothing blocks
//! a pod that it does not concern: what cannot be done is told in a warning, and the pod is left as it was. A pod is refused only
//! where its annotations would have the sidecar do something else than was meant.

mod annotations;
mod quantity;

mod pod;
mod ports;
mod sidecar;
mod transform;

mod difference;
mod manifest;
mod review;

pub mod doctor;
pub mod webhook;

pub use difference::difference;
pub use manifest::{Templates, namespaces, templates};
pub use review::{Review, ReviewError, answer};
pub use sidecar::{ADMIN_PORT, PROBES_PORT, SIDECAR, TRAFFIC_PORT};
pub use transform::{Around, Done, Injected, Refused, inject};

/// The annotations and the label of namespaces begin so.
pub const PREFIX: &str = "graylane.io/";
/// What the injection notes on a pod: the document that the sidecar reads of it.
pub const NOTE: &str = "graylane.io/sidecar";
/// The label of a namespace, and the annotation of a pod, that say whether there is to be a sidecar.
pub const INJECT: &str = "graylane.io/inject";

/// What an injection starts from; annotations change it for a namespace or a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// The sidecar's image.
    pub image: String,
    /// The program in the image.
    pub program: String,
    /// The ConfigMap, and the Secret, of pods that name none. They may be missing: everything goes to the pod's own service then.
    pub config: String,
    /// The namespace of the webhook, where nothing is injected.
    pub own_namespace: String,
    /// The minor version of the cluster, 33 of 1.33. Sidecars are native from 29 on, Services find their named ports from 32 on,
    /// and a pod can sleep before it ends from 30 on.
    pub kubernetes: u16,
    /// Pods that say nothing of it mount the ConfigMap that the webhook renders from custom resources.
    pub resources: bool,
    /// The address that traffic and probes come in by: `0.0.0.0`, or `[::]` where pods have IPv6 addresses.
    pub listen: String,
}

impl Defaults {
    /// With this image, for a cluster of the newest kind.
    pub fn new(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            program: "/graylane".to_owned(),
            config: "graylane".to_owned(),
            own_namespace: "graylane-system".to_owned(),
            kubernetes: NEWEST,
            resources: false,
            listen: "0.0.0.0".to_owned(),
        }
    }
}

/// What is done by default is right for this minor version of Kubernetes and those after it.
pub const NEWEST: u16 = 33;
