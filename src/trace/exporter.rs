//! From the workers' queue to batches.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use super::collector::Collector;
use crate::telemetry::OtlpSignal;

/// How often the queue is looked at. Workers never wake the task: that would be a system call of theirs.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A batch waits no longer for more.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A batch is sent at once at the latest with so many items or bytes. gRPC servers take 4 MiB unless told otherwise.
const MOST_ITEMS: u32 = 512;
const MOST_BYTES: usize = 1 << 20;
/// Fewer events than this wait for more, as long as they may.
const FEW_EVENTS: u32 = 10;

/// What a worker hands over.
pub(super) enum Item {
    /// The spans of a request, as they stand in a `ScopeSpans`.
    Spans { bytes: Box<[u8]>, count: u32 },
    /// An event, as it stands in a `ScopeLogs`.
    Event(Box<[u8]>),
}

/// What is sent at once.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    count: u32,
    since: Option<Instant>,
}

impl Batch {
    fn add(&mut self, bytes: &[u8], count: u32) {
        self.bytes.extend_from_slice(bytes);
        self.count += count;
        self.since.get_or_insert_with(Instant::now);
    }

    fn is_full(&self) -> bool {
        self.count >= MOST_ITEMS || self.bytes.len() >= MOST_BYTES
    }

    fn has_waited(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= LONGEST_WAIT)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.count, self.since) = (0, None);
    }
}

/// How much of what there is goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Full batches, and those that have waited.
    Due,
    /// Everything.
    Whole,
}

/// The task behind a tracer. It ends when the last one who holds the tracer lets go.
pub(super) struct Exporter {
    items: Receiver<Item>,
    flushes: mpsc::Receiver<oneshot::Sender<()>>,
    collector: Collector,
    spans: Batch,
    events: Batch,
}

impl Exporter {
    pub(super) fn new(
        items: Receiver<Item>,
        flushes: mpsc::Receiver<oneshot::Sender<()>>,
        collector: Collector,
    ) -> Self {
        Self { items, flushes, collector, spans: Batch::default(), events: Batch::default() }
    }

    pub(super) async fn run(mut self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => self.turn(Turn::Due).await,
                asked = self.flushes.recv() => {
                    self.turn(Turn::Whole).await;
                    match asked {
                        // Whoever asked may have given up.
                        Some(done) => _ = done.send(()),
                        None => return,
                    }
                }
            }
        }
    }

    async fn turn(&mut self, turn: Turn) {
        loop {
            let is_full = self.gather();
            let is_whole = turn == Turn::Whole;
            if is_whole || self.spans.is_full() || self.spans.has_waited() {
                send(&mut self.collector, OtlpSignal::Spans, &mut self.spans).await;
            }
            let events = &self.events;
            if is_whole || events.is_full() || events.count >= FEW_EVENTS || events.has_waited() {
                send(&mut self.collector, OtlpSignal::Events, &mut self.events).await;
            }
            if !is_full {
                return;
            }
        }
    }

    /// Takes what waits, until a batch is full. Returns whether more may wait.
    fn gather(&mut self) -> bool {
        while !self.spans.is_full() && !self.events.is_full() {
            match self.items.try_recv() {
                Ok(Item::Spans { bytes, count }) => self.spans.add(&bytes, count),
                Ok(Item::Event(bytes)) => self.events.add(&bytes, 1),
                Err(_) => return false,
            }
        }
        true
    }
}

async fn send(collector: &mut Collector, signal: OtlpSignal, batch: &mut Batch) {
    if batch.count > 0 {
        collector.send(signal, &batch.bytes, batch.count).await;
        batch.clear();
    }
}
