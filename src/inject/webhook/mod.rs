//! The webhook: the pure functions of this room behind HTTPS, for an API server to ask before it makes a pod.
//!
//! It answers from memory, so that no pod waits for anything but the arithmetic; only a namespace that nobody has heard of yet is
//! asked for, within a bound. Its certificate
//! comes from files, read again when they change, or it makes one itself, keeps it in a Secret that all its replicas share, and
//! writes the authority into the MutatingWebhookConfiguration. While it cannot do that it serves what it has, and says so.

mod authority;
mod bootstrap;
mod certificate;
mod cluster;
mod door;
mod namespaces;
mod serve;

pub use authority::{AuthorityError, Made, make};
pub use bootstrap::{Bootstrap, BootstrapError};
pub use certificate::{Certificate, CertificateError, ends, watch};
pub use cluster::{Access, Cluster, ClusterError};
pub use namespaces::Namespaces;
pub use serve::{MOST_BODY, serve};
