//! How the API server of Kubernetes is reached, and what is read there.

use std::path::PathBuf;

/// How the API server is reached. What is not given is what a pod finds in its container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubernetesAccess {
    /// Its URL without a slash at the end; `None`: the cluster that this pod runs in.
    pub url: Option<String>,
    /// The file with the token; `None`: that of the pod's service account, if there is one.
    pub token: Option<PathBuf>,
    /// The PEM file of the authorities that vouch for it; `None`: that of the pod's service account, if there is one.
    pub ca: Option<PathBuf>,
    /// The zone of this pod; `None`: the environment variable `GRAYLANE_ZONE`, if it is set.
    pub zone: Option<String>,
}

/// Custom resources of a namespace as a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesPlan {
    /// Where they are read.
    pub access: KubernetesAccess,
    /// The namespace; `None`: the pod's own.
    pub namespace: Option<String>,
    /// The service whose resources are taken.
    pub service: String,
    /// Whether this sidecar may be the one that says in the resources what became of them.
    pub write_status: bool,
}
