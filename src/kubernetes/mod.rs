//! The API server of Kubernetes, as far as a sidecar asks it: lists that are kept fresh by a watch, the endpoints of a
//! service, one elected writer.
//!
//! It is a few calls of `outbound` with the JSON of Kubernetes. The `kube` crate does the same and more: its client and
//! runtime (5.0, with k8s-openapi 0.29) would bring 38 crates beside the 258 of this program, for five verbs; and what is
//! hard about a watch (what is gone is read again, a quiet connection is not a good one) has to be known and tested either
//! way.
//!
//! Nothing here judges what it reads. What was read last stays with whoever asked; that the server is away is told as an
//! error, and whoever asked goes on asking.

mod client;
mod error;
mod lease;
mod listing;
mod slice;

pub use client::{Client, namespace_of};
pub use error::ApiError;
pub use lease::{Election, LEASE_FOR};
pub use listing::{Listing, Want, Wide};
pub use slice::{Place, places};

#[cfg(test)]
mod tests;
