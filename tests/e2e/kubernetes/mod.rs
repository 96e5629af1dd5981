//! Kubernetes: what is injected, by whom, and what becomes of requests when pods come and go.
//!
//! There is no cluster here. Manifests are judged by the schemas of Kubernetes itself, the webhook is called by curl over TLS, the
//! API server is a stand-in that keeps objects by path, and pods are processes that are started and ended in the order of a kubelet.

mod api_server;
mod certificates;
mod doctor;
mod manifests;
mod namespaces;
mod rendered;
mod rolling;
mod webhook;
