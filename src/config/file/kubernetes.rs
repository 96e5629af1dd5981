//! The API server of Kubernetes, and custom resources as a source.

use crate::config::read::mirror;
use crate::config::text::At;

mirror! {
    /// How the API server of Kubernetes is reached, for endpoints `k8s:SERVICE.NAMESPACE:PORT` and for sources of the kind
    /// `kubernetes`. A pod needs none of it but the rights of its service account.
    #[schemars(rename = "Kubernetes")]
    struct FileKubernetes("`kubernetes`") {
        /// Its URL; default that of the cluster that this pod runs in.
        #[schemars(extend("examples" = ["https://10.96.0.1:443"]))]
        url: At<String>,
        /// The file with the token; default that of the pod's service account.
        token_file: At<String>,
        /// A PEM file of certificate authorities that vouch for it; default that of the pod's service account.
        ca_file: At<String>,
        /// The zone of this pod: endpoints in it come first. Default: the environment variable `GRAYLANE_ZONE`; without a
        /// zone all endpoints are alike.
        #[schemars(extend("examples" = ["cn-hangzhou-h"]))]
        zone: At<String>,
    }
}

mirror! {
    /// `BusinessRule` and `GrayRelease` resources of one namespace, those of this sidecar's `service`.
    #[schemars(rename = "KubernetesSource")]
    struct FileKubernetesSource("`kubernetes`") {
        /// The namespace; default the pod's own.
        #[schemars(extend("examples" = ["shop"]))]
        namespace: At<String>,
        /// Whether this sidecar may say in the resources what became of them; of all that may, one is elected by the Lease
        /// `graylane-status-SERVICE`.
        #[schemars(extend("default" = false))]
        write_status: At<bool>,
    }
}
