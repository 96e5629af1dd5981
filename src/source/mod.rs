//! Where configuration comes from besides the files the process was started with: shared stores and configuration
//! centres.
//!
//! A [`Source`] is a task that posts everything it holds, whole, whenever that changes; it reconnects by itself and never
//! ends. What it posted last stays in force while its server is away. Whoever loads the configuration says what became
//! of it, so that a centre can be told.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config;

/// Everything a source holds at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// What the server calls this state: a revision, a version, a digest. Equal revisions hold equal texts.
    pub revision: String,
    /// The texts, in the order of their names. A path is what problems call the text: the source's name and the key.
    pub texts: Vec<config::Source>,
}

/// What became of documents that were posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The revision it is about.
    pub revision: String,
    /// The version of the configuration in force that holds them, or why they were refused.
    pub outcome: Result<String, String>,
}

/// A source's end of what it shares with the one who loads.
#[derive(Debug)]
pub struct Post {
    /// Where it puts what it holds.
    pub documents: watch::Sender<Option<Arc<Documents>>>,
    /// What became of it.
    pub verdicts: watch::Receiver<Option<Verdict>>,
}

/// A place that holds configuration.
pub trait Source: Send + 'static {
    /// Posts what the place holds for as long as anybody listens.
    fn run(self, post: Post) -> impl Future<Output = ()> + Send;
}
