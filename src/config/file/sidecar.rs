//! What a pod says of the sidecar beside it, in the form of a Kubernetes object: `apiVersion: graylane.io/v1alpha1`,
//! `kind: Sidecar`. The injection writes it; it never is an object of a cluster.

use crate::config::read::mirror;
use crate::config::text::At;
use crate::config::units::{Name, Time};

/// The only version there is.
pub(in crate::config) const SIDECAR_API_VERSION: &str = "graylane.io/v1alpha1";
/// The only kind there is.
pub(in crate::config) const SIDECAR_KIND: &str = "Sidecar";

mirror! {
    /// What a pod says of the sidecar beside it. It wins over the native form, which many pods share.
    #[schemars(rename = "Sidecar")]
    struct FileSidecar("a Sidecar") {
        /// `graylane.io/v1alpha1`
        #[schemars(extend("enum" = ["graylane.io/v1alpha1"]))]
        [required] apiVersion: At<String>,
        /// `Sidecar`
        #[schemars(extend("enum" = ["Sidecar"]))]
        [required] kind: At<String>,
        /// What it says.
        [required] spec: FileSidecarSpec,
    }
}

mirror! {
    /// What a pod says of its sidecar.
    #[schemars(rename = "SidecarSpec")]
    struct FileSidecarSpec("the `spec` of a Sidecar") {
        /// The address of the first listener, in place of the configuration's.
        #[schemars(extend("examples" = ["0.0.0.0:15080"]))]
        listen: At<String>,
        /// The pod's own service.
        #[schemars(extend("examples" = ["127.0.0.1:8080"]))]
        local: At<String>,
        /// The lane of the pod.
        lane: At<Name>,
        /// Worker threads.
        workers: At<u32>,
        /// How long requests in flight may take once the process was told to end.
        drain: At<Time>,
        /// How long the process goes on as before once it was told to end.
        drainWait: At<Time>,
        /// An address that answers `/healthz` and `/readyz` and nothing else, for whoever cannot reach the admin port.
        #[schemars(extend("examples" = ["0.0.0.0:15091"]))]
        probes: At<String>,
        /// Where no document of the native form is there: everything goes to the pod's own service.
        #[schemars(extend("default" = false))]
        passThrough: At<bool>,
    }
}
