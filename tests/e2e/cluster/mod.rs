//! What is for Kubernetes: definitions, manifests, and what a sidecar asks of an API server.

pub(crate) mod api_server;
mod discovery;
mod manifests;
mod resources;
