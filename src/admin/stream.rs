//! `GET /api/v1/stream`: figures once a second, as server-sent events (WHATWG HTML, "Server-sent events").
//!
//! Nobody counts while nobody listens, and however many listen, one look a second is made: whoever is due first makes it, the
//! others share it. Nothing waits for a reader. A figure is made when the connection has room for it; who takes none for
//! [`LATEST`] is let go, and so is who does not read at all, by the deadlines of the connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::AdminState;
use super::figures::{Figures, Looker};
use super::problem::Problem;
use super::view::AdminView;

/// Listeners at a time; a quarter of the connections there may be.
const LISTENERS: usize = 32;
/// How long from one event to the next.
const EVERY: Duration = Duration::from_secs(1);
/// A look is shared by those who ask within this time: a little less than a second, for timers are not exact.
const FRESH: Duration = Duration::from_millis(900);
/// Who is this late to take an event does not read.
const LATEST: Duration = Duration::from_secs(10);

/// What all listeners share.
#[derive(Clone)]
struct Pulse {
    view: Arc<dyn AdminView>,
    last: Arc<Mutex<(Looker, Bytes)>>,
    free: Arc<Semaphore>,
    ended: watch::Receiver<bool>,
}

/// The path of the stream; it ends when `ended` turns true.
pub(super) fn routes(view: Arc<dyn AdminView>, ended: watch::Receiver<bool>) -> Router<AdminState> {
    Router::new().route("/api/v1/stream", get(stream)).with_state(Pulse::new(view, ended))
}

async fn stream(State(pulse): State<Pulse>) -> Response {
    let Some(events) = Events::of(pulse) else {
        let detail = format!("{LISTENERS} listen already; close one, or ask for the lists instead");
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    };
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(events)).into_response()
}

impl Pulse {
    fn new(view: Arc<dyn AdminView>, ended: watch::Receiver<bool>) -> Pulse {
        Pulse { view, last: Arc::default(), free: Arc::new(Semaphore::new(LISTENERS)), ended }
    }

    /// The figures of this moment as an event.
    fn event(&self) -> Bytes {
        // A panic under this lock leaves an old event at worst.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = std::time::Instant::now();
        let (looker, event) = &mut *last;
        if event.is_empty() || looker.at().is_none_or(|at| now.saturating_duration_since(at) >= FRESH) {
            *event = written(&looker.look(&*self.view, now));
        }
        event.clone()
    }
}

/// JSON has no line end unless somebody asks for one, so the data is one line.
fn written(figures: &Figures) -> Bytes {
    let data = serde_json::to_string(figures).expect("figures have text for keys");
    Bytes::from(format!("event: figures\nid: {}\ndata: {data}\n\n", figures.number))
}

/// The body of one listener.
struct Events {
    pulse: Pulse,
    ticks: Interval,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// When the last event was taken.
    taken: Instant,
    /// Given back when the connection goes.
    _permit: OwnedSemaphorePermit,
}

impl Events {
    /// For one more listener, unless there are too many.
    fn of(pulse: Pulse) -> Option<Events> {
        let permit = pulse.free.clone().try_acquire_owned().ok()?;
        let mut ticks = interval_at(Instant::now(), EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut ended = pulse.ended.clone();
        let end = Box::pin(async move { _ = ended.wait_for(|ended| *ended).await });
        Some(Events { pulse, ticks, end, taken: Instant::now(), _permit: permit })
    }
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.end.as_mut().poll(cx).is_ready() || self.taken.elapsed() > LATEST {
            return Poll::Ready(None);
        }
        if self.ticks.poll_tick(cx).is_pending() {
            return Poll::Pending;
        }
        self.taken = Instant::now();
        let event = self.pulse.event();
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use super::super::tests::Still;
    use super::*;

    /// What the connection of a listener gets when it has room for an event at this moment.
    fn take(events: &mut Events, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let polled = Pin::new(events).poll_frame(cx);
        polled.map(|frame| frame.map(|frame| frame.expect("no error is there").into_data().expect("data")))
    }

    #[tokio::test]
    async fn who_takes_no_event_for_ten_seconds_is_let_go_and_its_place_is_free_again() {
        let (_stays, ended) = watch::channel(false);
        let pulse = Pulse::new(Arc::new(Still::default()), ended);
        let mut listeners: Vec<Events> = (0..LISTENERS).filter_map(|_| Events::of(pulse.clone())).collect();
        assert!(Events::of(pulse.clone()).is_none(), "one too many");
        // All of them take the first event at once.
        for events in &mut listeners {
            let first = poll_fn(|cx| take(events, cx)).await.expect("an event");
            assert!(first.starts_with(b"event: figures\n"), "{first:?}");
        }
        // Ten seconds later: the one was busy for a little less, the other for a little more.
        let long_ago = |margin: i64| {
            let late = LATEST.as_millis() as i64 + margin;
            Instant::now().checked_sub(Duration::from_millis(late as u64)).expect("the machine is up for longer")
        };
        listeners[0].taken = long_ago(-2000);
        listeners[1].taken = long_ago(1);
        let mut now = Context::from_waker(Waker::noop());
        assert_ne!(take(&mut listeners[0], &mut now), Poll::Ready(None), "it was not late");
        assert_eq!(take(&mut listeners[1], &mut now), Poll::Ready(None), "it was late");
        // Its connection drops the body that has ended, and somebody else may listen.
        drop(listeners.remove(1));
        let mut next = Events::of(pulse.clone()).expect("a place is free");
        assert!(Events::of(pulse).is_none(), "no more than one place is free");
        assert!(poll_fn(|cx| take(&mut next, cx)).await.is_some());
    }

    #[tokio::test]
    async fn who_was_late_and_takes_an_event_in_time_stays() {
        let (_stays, ended) = watch::channel(false);
        let mut events = Events::of(Pulse::new(Arc::new(Still::default()), ended)).expect("a place");
        assert!(poll_fn(|cx| take(&mut events, cx)).await.is_some());
        let taken = events.taken;
        events.taken = taken - LATEST / 2;
        // The next event is due a second after the first; taking it is what counts.
        assert!(poll_fn(|cx| take(&mut events, cx)).await.is_some());
        assert!(events.taken > taken);
    }
}
