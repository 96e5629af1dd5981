//! Deadlines that cost nothing while nothing is late.
//!
//! A connection has one timer for all it ever waits for. Moving a deadline later does not touch the timer: it fires
//! early, sees that nothing is due, and is set again. So a busy connection sets its timer once in seconds, not several
//! times a request.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::deadline::Passed;
use super::failure::Failure;
use super::gray_drain::GrayDrain;
use super::share::{ClientShare, PATIENCE};
use crate::config::Timeouts;

/// The deadline passed before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late;

/// The timer of one task.
#[derive(Default)]
pub(super) struct Timer {
    armed: Option<Armed>,
}

/// A timer that is set.
struct Armed {
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes; nobody before it was polled.
    wakes: Option<Waker>,
}

impl Armed {
    /// Whether the timer would say nothing new, and wakes this task when it has something to say.
    fn is_set_for(&self, cx: &Context<'_>) -> bool {
        self.wakes.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) && !self.sleep.is_elapsed()
    }
}

impl Timer {
    /// Ready once `due` has passed.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let set = || Armed { sleep: Box::pin(tokio::time::sleep_until(due.into())), wakes: None };
        let armed = self.armed.get_or_insert_with(set);
        let is_sooner = due < armed.sleep.deadline().into_std();
        if is_sooner || !armed.is_set_for(cx) {
            if is_sooner {
                armed.sleep.as_mut().reset(due.into());
            }
            while armed.sleep.as_mut().poll(cx).is_ready() {
                if due <= Instant::now() {
                    // The next deadline is set afresh.
                    self.armed = None;
                    return Poll::Ready(());
                }
                armed.sleep.as_mut().reset(due.into());
            }
            // A task that has used its turn up was not noted as the one to wake.
            armed.wakes = tokio::task::coop::has_budget_remaining().then(|| cx.waker().clone());
        }
        // A task that has used its turn up finds nothing ready, a timer neither: a peer that floods us would never be late.
        if !tokio::task::coop::has_budget_remaining() && due <= Instant::now() {
            self.armed = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Does the work unless it gets late. `due` is asked only when the work has to wait, so work that is done at once
    /// costs no look at the clock; it may say another time each time it is asked.
    pub(super) async fn race<T>(
        &mut self,
        mut due: impl FnMut() -> Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, Late> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            self.poll_due(cx, due()).map(|()| Err(Late))
        })
        .await
    }
}

/// What an exchange is waiting for; tells whose lateness it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The client's body.
    Upload,
    /// The client's body, which came too slowly so far.
    Drip,
    /// The upstream's word that it wants the body, or the body without it.
    Word,
    /// The upstream's first byte, or that it takes what is sent to it.
    FirstByte,
    /// The rest of the upstream's answer.
    Download,
    /// That the client takes the answer.
    Delivery,
}

/// The deadlines of one exchange.
pub(super) struct Clock {
    last: Instant,
    /// Whether and how the upstream is told what is left.
    pub(super) passed: Passed,
    /// The end of an exchange on gray whose release is taken back; none on stable.
    pub(super) drain: Option<GrayDrain>,
    first_byte: Duration,
    upload: Duration,
    idle: Duration,
    /// The deadline of the wait that was looked at last.
    due: Cell<Instant>,
    /// How long the wait that has not been looked at yet may be.
    within: Cell<Option<Duration>>,
    /// What the time was, since when nothing was waited for.
    seen: Cell<Option<Instant>>,
    waiting: Cell<Waiting>,
    /// Since when the client takes nothing of the answer at hand.
    untaken: Cell<Option<Instant>>,
    /// The client once took nothing for long: what its upstream does after that may be the client's doing.
    was_untaken: Cell<bool>,
    /// The client's share of the time of the attempt under way.
    pub(super) client: ClientShare,
}

impl Clock {
    /// For a request that began at `started`; `whole` bounds the exchange as a whole, `upload` the client's pauses.
    pub(super) fn new(started: Instant, whole: Option<Duration>, limits: &Timeouts, upload: Duration) -> Self {
        let Timeouts { first_byte, idle, .. } = *limits;
        let last = started + whole.map_or(NEVER, |whole| whole.min(NEVER));
        let due = Cell::new(last.min(started + first_byte));
        Self {
            last,
            passed: Passed::default(),
            drain: None,
            first_byte,
            upload: upload.min(idle),
            idle,
            due,
            within: Cell::new(None),
            seen: Cell::new(Some(started)),
            waiting: Cell::new(Waiting::FirstByte),
            untaken: Cell::new(None),
            was_untaken: Cell::new(false),
            client: ClientShare::default(),
        }
    }

    /// What the time is, but for what was done without a wait since somebody asked last.
    pub(super) fn now(&self) -> Instant {
        let now = self.seen.get().unwrap_or_else(Instant::now);
        self.seen.set(Some(now));
        now
    }

    /// This is what the time is.
    pub(super) fn note_now(&self, now: Instant) {
        self.seen.set(Some(now));
    }

    /// Time has passed that this clock does not know of.
    pub(super) fn forget_now(&self) {
        self.seen.set(None);
    }

    /// The exchange now waits for this; what there was to wait for before has come. Once the answer has begun, the
    /// answer is what is waited for: a body that still goes up then only shows that something moves. The time begins to run
    /// once there is something to wait for, so this costs no look at the clock.
    pub(super) fn wait_for(&self, waiting: Waiting) {
        let answered = self.is_answered();
        let within = match waiting {
            Waiting::Upload if !answered => self.upload,
            Waiting::FirstByte | Waiting::Word if !answered => self.first_byte,
            _ => self.idle,
        };
        if !answered || matches!(waiting, Waiting::Download | Waiting::Delivery) {
            self.waiting.set(waiting);
            self.note_taken();
        }
        self.within.set(Some(within));
    }

    /// The client has taken what there was to take, if it was waited for.
    fn note_taken(&self) {
        if let Some(since) = self.untaken.take()
            && self.now().saturating_duration_since(since) >= PATIENCE
        {
            self.was_untaken.set(true);
        }
    }

    /// Whether the client took nothing of its answer for so long that an upstream may have given it up. Servers do that some
    /// time after they could send nothing more; what they sent before lies with the system until the client goes on.
    pub(super) fn was_untaken(&self) -> bool {
        self.note_taken();
        self.was_untaken.get()
    }

    /// The deadline of what is waited for, now that it is waited for.
    pub(super) fn due(&self) -> Instant {
        if let Some(within) = self.within.take() {
            let now = self.now();
            self.due.set(self.last.min(now + within));
            if self.waiting.get() == Waiting::Delivery {
                self.untaken.set(Some(now));
            }
        }
        self.seen.set(None);
        self.due.get()
    }

    fn is_answered(&self) -> bool {
        matches!(self.waiting.get(), Waiting::Download | Waiting::Delivery)
    }

    /// The client's body is waited for.
    pub(super) fn wait_for_client(&self, now: Instant) {
        self.wait_for(Waiting::Upload);
        if !self.is_answered() {
            self.client.wait(now);
        }
    }

    /// The client waits to be asked for its body, and the upstream may wait for the body.
    pub(super) fn wait_for_word(&self, now: Instant) {
        self.wait_for(Waiting::Word);
        if !self.is_answered() {
            self.client.wait(now);
        }
    }

    /// The upstream asked for the body: if the client waited for that, it is its turn now.
    pub(super) fn asked(&self, now: Instant) {
        if self.waiting.get() == Waiting::Word {
            self.client.take_back();
            self.wait_for_client(now);
        }
    }

    /// The upstream's answer has begun; `failed` is whether its head says that the request failed. It may still
    /// be held back for another one, so what is waited for from here on is to be said by whoever passes it on.
    pub(super) fn answered(&self, now: Instant, failed: impl FnOnce() -> bool) {
        match self.waiting.get() {
            Waiting::Word => self.client.take_back(),
            _ => self.client.answered(now, failed),
        }
    }

    /// The client is not waited for any more, but the upstream.
    pub(super) fn client_came(&self, now: Instant) {
        self.client.came(now);
        self.wait_for(Waiting::FirstByte);
    }

    /// The client's body is waited for, which on the whole has to come on by `by`.
    pub(super) fn wait_for_body(&self, by: Instant, now: Instant) {
        self.wait_for_client(now);
        if self.waiting.get() == Waiting::Upload && by < now + self.upload {
            self.waiting.set(Waiting::Drip);
            self.within.set(None);
            self.due.set(self.last.min(by));
        }
    }

    /// What went wrong when the exchange got late: whatever it was waiting for.
    pub(super) fn lateness(&self) -> Failure {
        match self.waiting.get() {
            Waiting::FirstByte | Waiting::Download if self.is_over() => Failure::RequestLate,
            _ if self.is_over() => Failure::ClientOverdue,
            Waiting::Word => Failure::WordLate,
            Waiting::Upload | Waiting::Delivery => Failure::ClientLate,
            Waiting::Drip => Failure::ClientDrips,
            Waiting::FirstByte => Failure::FirstByteLate,
            Waiting::Download => Failure::BodyLate,
        }
    }

    /// Whether all of the answer that came was taken, and more is waited for.
    pub(super) fn is_between_parts(&self) -> bool {
        self.waiting.get() == Waiting::Download
    }

    /// Whether the exchange as a whole is late, not one of its steps.
    pub(super) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    /// Whether the exchange as a whole is late then.
    pub(super) fn is_over_at(&self, now: Instant) -> bool {
        now >= self.last
    }

    /// How long nothing may move.
    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    /// The time left for the exchange as a whole.
    pub(super) fn left(&self) -> Duration {
        self.last.saturating_duration_since(Instant::now())
    }

    /// When the exchange as a whole gets late.
    pub(super) fn last(&self) -> Instant {
        self.last
    }
}

/// Longer than any exchange.
pub(super) const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_is_in_time_is_done_and_late_work_is_not() {
        let mut timer = Timer::default();
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(timer.race(|| later, async { 1 }).await, Ok(1));
        let due = Instant::now() + Duration::from_millis(20);
        assert_eq!(timer.race(|| due, std::future::pending::<()>()).await, Err(Late));
        assert!(Instant::now() >= due);
    }

    #[test]
    fn an_upload_that_ends_behind_the_begin_of_the_answer_does_not_hurry_the_answer() {
        let limits =
            Timeouts { first_byte: Duration::from_secs(1), idle: Duration::from_secs(60), ..Timeouts::default() };
        let start = Instant::now();
        let clock = Clock::new(start, None, &limits, Duration::from_secs(2));
        clock.wait_for(Waiting::Upload);
        assert_eq!((clock.waiting.get(), clock.within.get()), (Waiting::Upload, Some(Duration::from_secs(2))));
        clock.wait_for(Waiting::Download);
        clock.wait_for(Waiting::FirstByte);
        assert_eq!((clock.waiting.get(), clock.within.get()), (Waiting::Download, Some(Duration::from_secs(60))));
    }

    #[test]
    fn the_upstreams_word_makes_the_wait_for_it_the_upstreams() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let clock = || {
            let clock = Clock::new(start, None, &Timeouts::default(), 5 * second);
            clock.wait_for_word(start + second);
            assert_eq!((clock.waiting.get(), clock.lateness()), (Waiting::Word, Failure::WordLate));
            clock
        };
        let upstreams = |clock: &Clock| clock.client.upstreams(start, start + 9 * second);
        assert_eq!(upstreams(&clock()), second, "nobody said anything");
        let answered = clock();
        answered.answered(start + 9 * second, || true);
        assert_eq!(upstreams(&answered), 9 * second);
        let asked = clock();
        asked.asked(start + 4 * second);
        assert_eq!((asked.waiting.get(), upstreams(&asked)), (Waiting::Upload, 4 * second));
        let sent = clock();
        sent.client_came(start + 4 * second);
        sent.asked(start + 5 * second);
        assert_eq!((sent.waiting.get(), upstreams(&sent)), (Waiting::FirstByte, 6 * second));
    }

    #[test]
    fn a_client_that_took_nothing_for_long_is_remembered() {
        let clock = |waiting| {
            let clock = Clock::new(Instant::now(), None, &Timeouts::default(), Duration::from_secs(5));
            clock.wait_for(waiting);
            clock.due();
            clock
        };
        let later = Instant::now() + 2 * PATIENCE;
        let taken_at_once = clock(Waiting::Delivery);
        taken_at_once.note_now(Instant::now());
        taken_at_once.wait_for(Waiting::Delivery);
        taken_at_once.note_now(later);
        assert!(!taken_at_once.was_untaken(), "nobody waited any more");
        let upstreams = clock(Waiting::Download);
        upstreams.note_now(later);
        assert!(!upstreams.was_untaken());
        let untaken = clock(Waiting::Delivery);
        untaken.note_now(later);
        assert!(untaken.was_untaken());
        let resumed = clock(Waiting::Delivery);
        resumed.wait_for(Waiting::Upload);
        resumed.note_now(later);
        resumed.wait_for(Waiting::Download);
        assert!(resumed.was_untaken(), "an upload beside it changes nothing");
    }

    #[test]
    fn what_a_request_is_late_for_is_whom_it_waited_for() {
        let late = Instant::now().checked_sub(Duration::from_secs(9)).expect("the machine runs for longer");
        let clock = Clock::new(late, Some(Duration::from_secs(1)), &Timeouts::default(), Duration::from_secs(5));
        assert_eq!(clock.lateness(), Failure::RequestLate);
        clock.wait_for_client(late);
        assert_eq!(clock.lateness(), Failure::ClientOverdue);
        clock.answered(late, || false);
        clock.wait_for(Waiting::Download);
        assert_eq!(clock.lateness(), Failure::RequestLate);
        clock.wait_for(Waiting::Delivery);
        assert_eq!(clock.lateness(), Failure::ClientOverdue);
    }

    #[test]
    fn the_time_of_a_wait_runs_from_the_first_look_at_it() {
        let limits = Timeouts { first_byte: Duration::from_secs(1), ..Timeouts::default() };
        let clock = Clock::new(Instant::now(), None, &limits, Duration::from_secs(2));
        clock.forget_now();
        clock.wait_for(Waiting::FirstByte);
        let before = Instant::now();
        let due = clock.due();
        assert!(due >= before + Duration::from_secs(1));
        assert_eq!(clock.due(), due, "a second look moves nothing");
    }

    #[test]
    fn between_two_waits_the_clock_is_asked_once() {
        let started = Instant::now();
        let clock = Clock::new(started, None, &Timeouts::default(), Duration::from_secs(2));
        assert_eq!(clock.now(), started);
        clock.due();
        let woken = clock.now();
        assert!(woken > started);
        assert_eq!(clock.now(), woken);
    }

    #[tokio::test]
    async fn a_timer_that_was_set_while_a_turn_was_used_up_fires_all_the_same() {
        let mut timer = Timer::default();
        let due = Instant::now() + Duration::from_millis(20);
        let mut turns = 0;
        let late = poll_fn(|cx| {
            turns += 1;
            if turns == 1 {
                // All that is left of this turn.
                while tokio::task::coop::has_budget_remaining() {
                    let _ = pin!(tokio::task::coop::consume_budget()).poll(cx);
                }
            }
            timer.poll_due(cx, due)
        });
        assert_eq!(tokio::time::timeout(Duration::from_secs(10), late).await, Ok(()));
    }

    #[tokio::test]
    async fn work_that_never_waits_is_late_all_the_same() {
        let (mut timer, due) = (Timer::default(), Instant::now() + Duration::from_millis(20));
        let busy = async {
            loop {
                tokio::task::coop::consume_budget().await;
            }
        };
        assert_eq!(timer.race(|| due, busy).await, Err::<(), _>(Late));
    }

    #[tokio::test]
    async fn a_deadline_that_moves_on_is_not_late() {
        let mut timer = Timer::default();
        let first = Instant::now() + Duration::from_millis(400);
        let due = Cell::new(first);
        let work = async {
            // The work goes on beyond what was the deadline at first, with time to spare on a busy machine.
            while Instant::now() <= first {
                tokio::time::sleep(Duration::from_millis(20)).await;
                due.set(Instant::now() + Duration::from_secs(20));
            }
        };
        assert_eq!(timer.race(|| due.get(), work).await, Ok(()));
    }
}
