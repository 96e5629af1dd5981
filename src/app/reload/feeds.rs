//! Shared stores and centres as parts of the configuration: what each holds follows the files, in the order the sources
//! were named, and each is told what became of it.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::config;
use crate::source::{Documents, Verdict};
/// x
pub struct Post {
    pub documents: watch::Sender<Option<Arc<Documents>>>,
    pub verdicts: watch::Receiver<Option<Verdict>>,
}
/// x
pub trait Source: Send + 'static {
    fn run(self, post: Post) -> impl Future<Output = ()> + Send;
}

/// Where a configuration comes from.
#[derive(Default)]
pub struct Origin {
    /// Files and folders of `*.yaml`.
    pub files: Vec<PathBuf>,
    /// Sources beside them, in the order in which their documents follow.
    pub feeds: Vec<Feed>,
}

impl Origin {
    /// Files alone.
    pub fn files(files: Vec<PathBuf>) -> Self {
        Self { files, feeds: Vec::new() }
    }
}

/// A source that is to be started.
pub struct Feed {
    name: String,
    first: Option<Arc<Documents>>,
    run: Box<dyn FnOnce(Post) -> Running + Send>,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Feed {
    /// A source by the name that people know it by.
    pub fn new(name: &str, source: impl Source) -> Self {
        Self { name: name.to_owned(), first: None, run: Box::new(|post| Box::pin(source.run(post))) }
    }

    /// What it held when the first configuration was loaded. Until it posts something itself, that stays part of every
    /// other configuration.
    pub fn holding(self, first: Documents) -> Self {
        Self { first: Some(Arc::new(first)), ..self }
    }
}

/// Every source that runs.
pub(super) struct Feeds(Vec<Fed>);

struct Fed {
    name: String,
    documents: watch::Receiver<Option<Arc<Documents>>>,
    verdicts: watch::Sender<Option<Verdict>>,
    /// The revision that is part of the configuration in force.
    accepted: Option<String>,
}

/// What all sources held at one moment.
pub(super) struct Held(Vec<Option<Arc<Documents>>>);

impl Held {
    /// Every text, source by source.
    pub(super) fn texts(&self) -> Vec<config::Source> {
        self.0.iter().flatten().flat_map(|documents| documents.texts.iter().cloned()).collect()
    }
}

impl Feeds {
    /// Starts the sources on this runtime; `changed` is told whenever one of them posts.
    pub(super) fn start(feeds: Vec<Feed>, changed: &Arc<Notify>) -> Self {
        let start = |Feed { name, first, run }| {
            let (post, documents) = watch::channel(first.clone());
            let (verdicts, told) = watch::channel(None);
            tokio::spawn(run(Post { documents: post, verdicts: told }));
            let (mut posted, changed) = (documents.clone(), changed.clone());
            // Ends with its source.
            tokio::spawn(async move {
                while posted.changed().await.is_ok() {
                    changed.notify_one();
                }
            });
            Fed { name, documents, verdicts, accepted: first.map(|first| first.revision.clone()) }
        };
        Self(feeds.into_iter().map(start).collect())
    }

    /// What they hold now.
    pub(super) fn held(&self) -> Held {
        Held(self.0.iter().map(|fed| fed.documents.borrow().clone()).collect())
    }

    /// Their names, with the revisions that are held now.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|fed| match fed.documents.borrow().as_ref() {
            Some(documents) => format!("{} at {}", fed.name, documents.revision),
            None => fed.name.clone(),
        })
    }

    /// What was held is in force, as part of this version.
    pub(super) fn accept(&mut self, held: &Held, version: &str) {
        for (fed, documents) in self.0.iter_mut().zip(&held.0) {
            let Some(documents) = documents else { continue };
            fed.accepted = Some(documents.revision.clone());
            fed.tell(&documents.revision, Ok(version.to_owned()));
        }
    }

    /// What was held was refused. That concerns those whose part is not in force already.
    pub(super) fn refuse(&self, held: &Held, problems: &[String]) {
        for (fed, documents) in self.0.iter().zip(&held.0) {
            let Some(documents) = documents else { continue };
            if fed.accepted.as_ref() != Some(&documents.revision) {
                fed.tell(&documents.revision, Err(problems.join("; ")));
            }
        }
    }
}

impl Fed {
    fn tell(&self, revision: &str, outcome: Result<String, String>) {
        let verdict = Some(Verdict { revision: revision.to_owned(), outcome });
        self.verdicts.send_if_modified(|told| {
            let is_news = *told != verdict;
            *told = verdict;
            is_news
        });
    }
}
