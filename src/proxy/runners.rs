//! Tasks that serve HTTP/2 streams, one stream after the other. A task is large, and to make one for every stream costs more than
//! to wake one that has just become free.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::h2_connection::{Accepted, Stream};
use super::timer::Timer;
use super::worker::Worker;
use crate::wire::Spares;

/// Tasks that wait for a stream, at most.
const MOST_RESTING: usize = 256;

/// One stream to serve.
pub(super) struct Job {
    pub(super) worker: Rc<Worker>,
    pub(super) stream: Stream,
    pub(super) accepted: Box<Accepted>,
}

/// The tasks of one worker that have nothing to do.
pub(super) struct Runners(Spares<Resting>);

impl Default for Runners {
    fn default() -> Self {
        Self(Spares::new(MOST_RESTING))
    }
}

/// Where a task gets its next stream.
#[derive(Default)]
struct Slot {
    job: RefCell<Option<Job>>,
    waker: RefCell<Option<Waker>>,
    is_dismissed: Cell<bool>,
}

impl Slot {
    fn wake(&self) {
        self.waker.borrow().iter().for_each(Waker::wake_by_ref);
    }

    fn poll_job(&self, cx: &mut Context<'_>) -> Poll<Option<Job>> {
        if let Some(job) = self.job.borrow_mut().take() {
            return Poll::Ready(Some(job));
        }
        if self.is_dismissed.get() {
            return Poll::Ready(None);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A task that waits; where nobody takes it before it is let go, it ends.
struct Resting(Rc<Slot>);

impl Drop for Resting {
    fn drop(&mut self) {
        if self.0.job.borrow().is_none() {
            self.0.is_dismissed.set(true);
            self.0.wake();
        }
    }
}

impl Runners {
    /// Serves a stream in a task that rests, or in a new one.
    pub(super) fn serve(&self, job: Job) {
        match self.0.take() {
            Some(resting) => {
                *resting.0.job.borrow_mut() = Some(job);
                resting.0.wake();
            }
            None => {
                let slot = Rc::new(Slot { job: RefCell::new(Some(job)), ..Slot::default() });
                tokio::task::spawn_local(run(slot));
            }
        }
    }

    /// Ends the tasks that were not needed since the last sweep.
    pub(super) fn sweep(&self) {
        self.0.sweep();
    }
}

async fn run(slot: Rc<Slot>) {
    // One timer for all streams of the task: to make and take down one for each costs more than that a task that rests is
    // now and then woken by a deadline that is none any more.
    let mut timer = Timer::default();
    while let Some(Job { worker, stream, accepted }) = poll_fn(|cx| slot.poll_job(cx)).await {
        stream.serve(&worker, accepted, &mut timer).await;
        drop(stream);
        // The worker is let go of before the wait: a task that rests keeps nothing alive.
        worker.runners.0.give(Resting(slot.clone()));
    }
}
