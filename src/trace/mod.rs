//! What is told to OpenTelemetry: spans of requests and attempts, and evaluation events, by OTLP.
//!
//! A worker decides with one look-up of a header whether a request is recorded. One that is writes its spans at its end
//! into bytes as they go out, and hands them over in a bounded queue; a task of the control runtime gathers them into
//! batches and sends them over HTTP or gRPC. What finds no room is dropped and counted: a collector that is slow, gone or
//! mad costs spans, never requests, and a bounded piece of memory.
//!
//! OpenTelemetry's own SDK was not taken. It brings 27 crates into the program (its message structs alone 14), and wants
//! strings for each attribute of each span; what is needed of OTLP is one screen of protobuf ([`protobuf`]) and one call,
//! which [`crate::outbound`] can make. Its crates read what is written here, in the tests.

mod context;
mod event;
mod protobuf;
mod resource;
mod span;

mod collector;
mod exporter;

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::config::{ContextIdWord, Settings, TracingPlan, UntrustedTrace};
use crate::telemetry::access::UserHash;
use crate::telemetry::{OtlpFate, OtlpSignal, Telemetry};

pub use context::{Context, TraceId, Traceparent};
pub use event::Evaluation;
pub use span::{Attributes, Kind, Parent, Span, Spans, Status};

use collector::Collector;
use exporter::{Exporter, Item};
use resource::Resource;

/// Requests and events that may wait. With the most attempts and the longest values a request's spans have some 8 KiB, so
/// that a collector that hangs costs 16 MiB at the very worst.
const QUEUE: usize = 2048;

/// Which traces are recorded, and where to. Shared by all workers, and asked without a lock.
pub struct Tracer {
    plan: TracingPlan,
    service: Box<str>,
    /// A trace that begins here is recorded where its rank is below.
    sampled_below: u64,
    /// A decision is told where its rank is below.
    told_below: u64,
    queue: SyncSender<Item>,
    flush: mpsc::Sender<oneshot::Sender<()>>,
    telemetry: Arc<Telemetry>,
    users: UserHash,
}

/// What becomes of the trace fields that a request came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Passing {
    /// They pass as they are.
    #[default]
    AsIs,
    /// `traceparent` is written anew, `tracestate` passes.
    Continued,
    /// Both end here. A new `traceparent` goes on where there is a context.
    Restarted,
}

/// How the trace of a request begins here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beginning {
    /// The trace, with the span of this request where it has one of its own.
    pub context: Option<Context>,
    /// What becomes of the fields.
    pub passing: Passing,
    /// Where it came from, if the request is recorded.
    pub recorded: Option<Origin>,
}

/// Where the trace of a recorded request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The span that caused the request.
    pub parent: Parent,
    /// The context of a peer that is not trusted.
    pub link: Option<Context>,
}

impl Tracer {
    /// Decides over a request. `sent` is the context it came with, `draw` gives random numbers.
    ///
    /// A trusted peer's trace is followed, and recorded where the peer records it. Others choose neither what is recorded
    /// nor under which id, unless the configuration lets them: their trace ends, and one of ours begins.
    pub fn begin(&self, sent: Option<Context>, is_trusted: bool, mut draw: impl FnMut() -> u64) -> Beginning {
        let follows = is_trusted || self.plan.untrusted == UntrustedTrace::Follow;
        match sent.filter(|_| follows) {
            Some(parent) if parent.is_sampled() => Beginning {
                context: Some(parent.at(span_id(&mut draw))),
                passing: Passing::Continued,
                recorded: Some(Origin { parent: Parent::Remote(parent.span), link: None }),
            },
            Some(parent) => Beginning { context: Some(parent), ..Beginning::default() },
            None if self.sampled_below == 0 => Beginning { passing: Passing::Restarted, ..Beginning::default() },
            None => {
                let mut trace = [0; 16];
                trace[..8].copy_from_slice(&span_id(&mut draw));
                trace[8..].copy_from_slice(&draw().to_be_bytes());
                let context = Context::new(trace, span_id(&mut draw), false);
                let is_sampled = context.rank() < self.sampled_below;
                Beginning {
                    context: Some(Context::new(trace, context.span, is_sampled)),
                    passing: Passing::Restarted,
                    recorded: is_sampled.then_some(Origin { parent: Parent::None, link: sent }),
                }
            }
        }
    }

    /// Whether a decision is told as an event. Those of one trace are all told or none, so that they can be joined.
    pub fn wants_event(&self, context: Option<Context>, draw: impl FnOnce() -> u64) -> bool {
        self.told_below > 0 && context.map_or_else(|| draw() >> 1, |context| context.rank()) < self.told_below
    }

    /// Whether events name their users.
    pub fn names_users(&self) -> bool {
        self.plan.context_id != ContextIdWord::Absent
    }

    /// The name by which a user may leave the process.
    pub fn name<'k>(&self, key: &'k str) -> Option<Cow<'k, str>> {
        match self.plan.context_id {
            ContextIdWord::Absent => None,
            ContextIdWord::Plain => Some(Cow::Borrowed(key)),
            ContextIdWord::Hashed => {
                let hash = self.users.hash(key);
                Some(Cow::Owned(String::from_utf8_lossy(hash.as_bytes()).into_owned()))
            }
        }
    }

    /// The service that is told of.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Hands the spans of a request over, or drops and counts them. Never waits.
    pub fn record(&self, worker: usize, spans: Spans) {
        let count = spans.count;
        // An exact copy, so that what waits is no larger than what it says.
        let item = Item::Spans { bytes: spans.bytes.into_boxed_slice(), count };
        if self.queue.try_send(item).is_err() {
            self.telemetry.otlp().count(worker, OtlpSignal::Spans, OtlpFate::QueueFull, u64::from(count));
        }
    }

    /// Hands an event over, or drops and counts it. Never waits.
    pub fn tell(&self, worker: usize, evaluation: &Evaluation<'_>) {
        if self.queue.try_send(Item::Event(evaluation.encode().into_boxed_slice())).is_err() {
            self.telemetry.otlp().count(worker, OtlpSignal::Events, OtlpFate::QueueFull, 1);
        }
    }

    /// Sends everything that waits; false if that took longer than `limit`.
    pub async fn flush(&self, limit: Duration) -> bool {
        let flushed = async {
            let (done, told) = oneshot::channel();
            self.flush.send(done).await.is_ok() && told.await.is_ok()
        };
        tokio::time::timeout(limit, flushed).await.unwrap_or(false)
    }
}

/// Eight bytes that are not all zero.
fn span_id(draw: &mut impl FnMut() -> u64) -> [u8; 8] {
    draw().max(1).to_be_bytes()
}

/// A share of all ranks, which go from 0 to 2^63 - 1.
fn ranks(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64
}

/// The tracer of the process, as whoever changes the configuration knows it.
pub struct Tracing {
    telemetry: Arc<Telemetry>,
    users: UserHash,
    instance: String,
    current: Option<(Told, Arc<Tracer>)>,
}

/// What a tracer is made for: another one takes another tracer.
#[derive(PartialEq)]
struct Told {
    plan: TracingPlan,
    service: String,
    environment: &'static str,
}

impl Tracing {
    /// Nothing is told yet. `users` is the hash by which users are named.
    pub fn new(telemetry: Arc<Telemetry>, users: UserHash) -> Self {
        Self { telemetry, users, instance: instance_id(), current: None }
    }

    /// The tracer for this configuration; the one in use, where nothing changed that concerns it. One that is given up
    /// sends what it still gets, and ends with the last request that holds it. Needs a tokio runtime around it.
    pub fn follow(&mut self, settings: &Settings) -> Option<Arc<Tracer>> {
        let told = settings.tracing.clone().map(|plan| Told {
            plan,
            service: settings.service.clone(),
            environment: settings.environment.as_str(),
        });
        if self.current.as_ref().map(|(told, _)| told) != told.as_ref() {
            self.current = told.map(|told| {
                let tracer = Arc::new(self.start(&told));
                (told, tracer)
            });
        }
        self.current.as_ref().map(|(_, tracer)| tracer.clone())
    }

    fn start(&self, told: &Told) -> Tracer {
        let (queue, items) = sync_channel(QUEUE);
        let (flush, flushes) = mpsc::channel(1);
        let variable = |name: &str| std::env::var(name).ok();
        let resource = Resource::of(&told.service, told.environment, &self.instance, variable);
        let collector = Collector::new(told.plan.clone(), resource, self.telemetry.clone());
        tokio::spawn(Exporter::new(items, flushes, collector).run());
        Tracer {
            sampled_below: ranks(told.plan.sample),
            told_below: ranks(told.plan.evaluations),
            plan: told.plan.clone(),
            service: told.service.as_str().into(),
            queue,
            flush,
            telemetry: self.telemetry.clone(),
            users: self.users.clone(),
        }
    }
}

/// A random UUID (RFC 9562 section 5.4) that lasts as long as the process.
fn instance_id() -> String {
    let random = RandomState::new();
    let (high, low) = (random.hash_one(0), random.hash_one(1));
    let (version, variant) = (high & !0xf000 | 0x4000, low >> 2 | 1 << 63);
    let node = variant & 0xffff_ffff_ffff;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{node:012x}",
        version >> 32,
        version >> 16 & 0xffff,
        version & 0xffff,
        variant >> 48
    )
}

#[cfg(test)]
mod tests;
