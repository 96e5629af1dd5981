//! Telling the outside which products a change of the configuration concerns, so that caches drop what is stale.
//!
//! Each target has a queue and a task of its own, so that a slow one holds up neither the others nor a change. A target that
//! fails is tried again, later and later; what finds no room, or fails too often, is dropped and counted. An event may come
//! twice: it carries an id. Nobody waits for any of it.

mod event;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::ProductsPlan;
use crate::telemetry::{InvalidationResult, Telemetry};

pub use event::Event;
use target::Target;

/// Most events that wait for one target.
const QUEUE: usize = 256;

/// Who is told.
pub struct Products {
    telemetry: Arc<Telemetry>,
    targets: BTreeMap<&'static str, Told>,
}

/// A target with the queue before it. Its task ends when the queue is empty and this is gone.
struct Told {
    target: Target,
    queue: mpsc::Sender<Arc<str>>,
}

impl Products {
    /// Nobody yet.
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry, targets: BTreeMap::new() }
    }

    /// Tells these from now on. A target that stays the same keeps what waits for it; one that goes gets what waits for it
    /// still. Needs a tokio runtime around it.
    pub fn follow(&mut self, plan: &ProductsPlan) {
        let wanted = Target::all(plan);
        self.targets.retain(|_, told| wanted.contains(&told.target));
        for target in wanted {
            let telemetry = self.telemetry.clone();
            self.targets.entry(target.word()).or_insert_with(|| {
                let (queue, events) = mpsc::channel(QUEUE);
                tokio::spawn(target::tell(target.clone(), events, telemetry));
                Told { target, queue }
            });
        }
    }

    /// Tells everybody of an event.
    pub fn tell(&self, event: &Event) {
        let text: Arc<str> = event.to_json().into();
        for (word, told) in &self.targets {
            if told.queue.try_send(text.clone()).is_err() {
                self.telemetry.invalidation(word, InvalidationResult::Dropped);
                tracing::error!(target_of_event = word, "an invalidation is dropped: {QUEUE} wait already");
            }
        }
    }
}

#[cfg(test)]
mod tests;
