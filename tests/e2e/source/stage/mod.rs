//! What the tests of sources stand on: real servers that are started and killed, a relay that can stop passing bytes, and
//! the sources as a loader sees them.

mod apollo_stand_in;
mod centre_server;
mod certificates;
mod etcd_server;
mod hosted;
mod nacos_stand_in;
mod redis_server;
mod relay;
mod server;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graylane::config::{KeyFiles, SourcePlan, load_text};
use graylane::source::{SourceStatus, Sources, SourcesView};
use graylane::telemetry::Telemetry;

use crate::harness::PATIENCE;

pub(crate) use apollo_stand_in::ApolloStandIn;
pub(crate) use centre_server::{CentreServer, Mischief};
pub(crate) use certificates::Certificates;
pub(crate) use etcd_server::EtcdServer;
pub(crate) use nacos_stand_in::NacosStandIn;
pub(crate) use redis_server::RedisServer;
pub(crate) use relay::Relay;
pub(crate) use server::Server;

/// The sources of a configuration as its loader has them.
pub(crate) struct Loader {
    pub(crate) sources: Sources,
    pub(crate) view: SourcesView,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// The text of each document by its name in problems.
pub(crate) type Texts = BTreeMap<String, String>;

/// The plans of the sources in a configuration.
pub(crate) fn plans(yaml: &str) -> Vec<SourcePlan> {
    match load_text(Path::new("/nowhere/t.yaml"), yaml.as_bytes(), KeyFiles::Needed) {
        Ok(loaded) => loaded.settings.sources,
        Err(problems) => panic!("{problems:?}"),
    }
}

impl Loader {
    pub(crate) fn start(yaml: &str) -> Self {
        let telemetry = Arc::new(Telemetry::new(1));
        let sources = Sources::start(&plans(yaml), &telemetry);
        let view = sources.view();
        Self { sources, view, telemetry }
    }

    pub(crate) fn texts(&self) -> Texts {
        let documents = self.sources.documents();
        documents.into_iter().map(|text| (text.path.display().to_string(), text.text)).collect()
    }

    /// Waits for a change after which the documents are as wanted.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&Texts) -> bool) {
        let start = Instant::now();
        while !wanted(&self.texts()) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            if tokio::time::timeout(left, self.sources.changed()).await.is_err() {
                panic!("waited in vain for {what}; there is {:?}, {:?}", self.texts(), self.status());
            }
        }
    }

    /// Waits until a document has a text.
    pub(crate) async fn until_text(&mut self, name: &str, text: &str) {
        self.until(&format!("{name} to be {text}"), |texts| texts.get(name).is_some_and(|there| there == text)).await;
    }

    /// How the only source is.
    pub(crate) fn status(&self) -> SourceStatus {
        self.view.statuses().remove(0)
    }

    /// Waits until the only source is as wanted.
    pub(crate) async fn until_status(&self, what: &str, wanted: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
        let start = Instant::now();
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}: {status:?}");
            // The pause between two looks.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The time from a write to its effect, again and again: prints the median and the 99th percentile.
pub(crate) async fn measure(name: &str, loader: &mut Loader, document: &str, mut write: impl AsyncFnMut(&str)) {
    const WRITES: usize = 50;
    let mut times = Vec::new();
    for turn in 0..WRITES {
        let text = format!("# {turn}");
        let begun = Instant::now();
        write(&text).await;
        loader.until_text(document, &text).await;
        times.push(begun.elapsed());
        // The pause after a change is the pace's; a writer by hand is slower than that.
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    times.sort();
    let (median, p99) = (times[WRITES / 2], times[(WRITES * 99).div_ceil(100) - 1]);
    println!("{name}: from write to effect: median {median:?}, P99 {p99:?} of {WRITES} writes");
    assert!(median < Duration::from_secs(1), "a push is seen at once, not after {median:?}");
}
