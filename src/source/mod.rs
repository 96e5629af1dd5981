//! Where configuration comes from besides the files the process was started with: shared stores and configuration
//! centres.
//!
//! A [`Source`] speaks with one server for as long as that goes well and posts everything the server holds, whole,
//! whenever that changes. [`Sources`] keeps one task for each: it calls the source again after a pause when it broke
//! off, bounds what it may post, and holds what it posted last, which stays in force while its server is away. Whoever
//! loads the configuration says what became of it, so that a centre can be told.
//!
//! Nothing is judged here beyond its size and its age: a document that is no configuration is the loader's to refuse.

mod backoff;
mod call;
mod credentials;
mod error;
mod last_good;
mod link;
mod pace;
mod runner;
mod status;

mod apollo;
mod centre;
mod etcd;
mod kubernetes;
mod nacos;
mod redis;

use std::future::Future;

use crate::config;

pub use error::SourceError;
pub use kubernetes::{RenderPlan, render};
pub use last_good::{Kept, LastGood, LastGoodError, Start, StartError, first};
pub use link::Link;
pub use runner::{Held, HeldSource, Sources};
pub use status::{SourceStatus, SourceVerdict, SourcesView};

/// Everything a source holds at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// What the server calls this state: a revision, a version, a digest.
    pub revision: String,
    /// Where this state stands in the server's own order, if the server has one.
    pub order: Option<Order>,
    /// The texts, in the order of their names. A path is what problems call the text: see [`Link::path`].
    pub texts: Vec<config::Source>,
}

/// The place of a state among those of the same server: of two with the same lineage, the higher one is newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What counts the numbers, a cluster's id for example. Numbers of two lineages say nothing about each other.
    pub lineage: String,
    /// Only goes up.
    pub number: u64,
}

/// What became of documents that were posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The revision it is about.
    pub revision: String,
    /// The version of the configuration in force that holds them, or why they were refused.
    pub outcome: Result<String, String>,
}

/// A place that holds configuration.
pub trait Source: Send + 'static {
    /// Connects, posts what the place holds to `link`, and again whenever that changes, until something goes wrong.
    /// Called again after a pause; what it keeps in `self` lives on.
    fn session(&mut self, link: &mut Link) -> impl Future<Output = SourceError> + Send;
}

#[cfg(test)]
mod tests;
