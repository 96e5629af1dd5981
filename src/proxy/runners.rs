//! Tasks that serve HTTP/2 streams, one stream after the other. A task is large, and to make one for every stream costs more than
//! to wake one that has just become free.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::h2_connection::{Accepted, Stream};
use super::worker::Worker;

/// Tasks that wait for a stream, at most.
const MOST_RESTING: usize = 256;

/// One stream to serve.
pub(super) struct Job {
    pub(super) worker: Rc<Worker>,
    pub(super) stream: Stream,
    pub(super) accepted: Box<Accepted>,
}

/// The tasks of one worker that have nothing to do.
#[derive(Default)]
pub(super) struct Runners {
    resting: RefCell<Vec<Rc<Slot>>>,
    /// The fewest that rested since the last sweep: so many were not needed.
    fewest: Cell<usize>,
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

impl Runners {
    /// Serves a stream in a task that rests, or in a new one.
    pub(super) fn serve(&self, job: Job) {
        let mut resting = self.resting.borrow_mut();
        let slot = resting.pop();
        self.fewest.set(self.fewest.get().min(resting.len()));
        drop(resting);
        match slot {
            Some(slot) => {
                *slot.job.borrow_mut() = Some(job);
                slot.wake();
            }
            None => {
                let slot = Rc::new(Slot { job: RefCell::new(Some(job)), ..Slot::default() });
                tokio::task::spawn_local(run(slot));
            }
        }
    }

    /// Whether the task is to wait for another stream.
    fn rest(&self, slot: &Rc<Slot>) -> bool {
        let mut resting = self.resting.borrow_mut();
        let has_room = resting.len() < MOST_RESTING;
        if has_room {
            resting.push(slot.clone());
        }
        has_room
    }

    /// Ends the tasks that were not needed since the last sweep.
    pub(super) fn sweep(&self) {
        let mut resting = self.resting.borrow_mut();
        let unneeded = self.fewest.get().min(resting.len());
        for slot in resting.drain(..unneeded) {
            slot.is_dismissed.set(true);
            slot.wake();
        }
        self.fewest.set(resting.len());
    }
}

async fn run(slot: Rc<Slot>) {
    while let Some(Job { worker, stream, accepted }) = poll_fn(|cx| slot.poll_job(cx)).await {
        stream.serve(&worker, accepted).await;
        drop(stream);
        // The worker is let go of before the wait: a task that rests keeps nothing alive.
        if !worker.runners.rest(&slot) {
            return;
        }
    }
}
