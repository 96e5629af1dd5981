//! The connections of one worker, so that they can be ended in order.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::crowd::Seat;

/// Every client connection of one worker.
#[derive(Default)]
pub(super) struct Connections {
    open: RefCell<HashMap<u64, Rc<Parking>>>,
    next: Cell<u64>,
    /// The process ends; connections may wait for another request until then.
    draining: Cell<Option<Instant>>,
    empty: RefCell<Option<Waker>>,
}

/// Where a connection can be reached while it waits.
#[derive(Default)]
pub(super) struct Parking {
    waker: RefCell<Option<Waker>>,
    /// The listener that it came by.
    door: u64,
    /// That listener is closed, so it is not to wait for another request after this.
    leaving: Cell<Option<Instant>>,
}

impl Connections {
    /// Notes a connection that came by a listener, for as long as the guard lives.
    pub(super) fn enter(self: &Rc<Self>, door: u64) -> Guest {
        let id = self.next.get();
        self.next.set(id + 1);
        let parking = Rc::new(Parking { door, ..Parking::default() });
        self.open.borrow_mut().insert(id, parking.clone());
        Guest { id, parking, connections: self.clone(), seat: None }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// From `by` on no connection that came by this listener waits for another request, and all are told now.
    pub(super) fn close(&self, door: u64, by: Instant) {
        let open = self.open.borrow();
        let own: Vec<_> = open.values().filter(|parking| parking.door == door).cloned().collect();
        drop(open);
        for parking in own {
            parking.leaving.set(Some(by));
            let waker = parking.waker.borrow_mut().take();
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// Those that are not told yet are: from `by` on they do not wait for another request. Who comes later is not meant.
    pub(super) fn usher(&self, by: Instant) {
        let open = self.open.borrow();
        let untold: Vec<_> = open.values().filter(|parking| parking.leaving.get().is_none()).cloned().collect();
        drop(open);
        for parking in untold {
            parking.leaving.set(Some(by));
            let waker = parking.waker.borrow_mut().take();
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// From `by` on no connection waits for another request, and all are told now.
    pub(super) fn drain(&self, by: Instant) {
        self.draining.set(Some(by));
        let wakers: Vec<Waker> =
            self.open.borrow().values().filter_map(|parking| parking.waker.borrow_mut().take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ready when the last connection has ended.
    pub(super) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.open.borrow().is_empty() {
            return Poll::Ready(());
        }
        *self.empty.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A connection's place among [`Connections`].
pub(super) struct Guest {
    id: u64,
    parking: Rc<Parking>,
    connections: Rc<Connections>,
    /// Held for as long as the guest stays.
    seat: Option<Seat>,
}

impl Guest {
    /// With its place among all clients of the process, for as long as it stays.
    pub(super) fn seated(mut self, seat: Seat) -> Self {
        self.seat = Some(seat);
        self
    }

    /// Whether the process, or the listener that it came by, is ending its connections.
    pub(super) fn is_draining(&self) -> bool {
        self.leaves_by().is_some()
    }

    /// Until when it may wait for another request, if it is being ended. A request that is on its way when we decide to
    /// end would find the connection closed, and not every client may send it again; so whoever keeps asking is answered
    /// once more, with `Connection: close`.
    pub(super) fn leaves_by(&self) -> Option<Instant> {
        [self.connections.draining.get(), self.parking.leaving.get()].into_iter().flatten().min()
    }

    /// Ready when draining begins; polled beside whatever else the connection waits for.
    pub(super) fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_draining() {
            return Poll::Ready(());
        }
        let mut parked = self.parking.waker.borrow_mut();
        if !parked.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *parked = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self.connections.open.borrow_mut();
        open.remove(&self.id);
        if open.is_empty()
            && let Some(waker) = self.connections.empty.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn draining_wakes_those_who_wait_and_ends_with_the_last() {
        let connections = Rc::<Connections>::default();
        let guest = connections.enter(0);
        assert!(!guest.is_draining());
        let waiting = async {
            poll_fn(|cx| guest.poll_drain(cx)).await;
            drop(guest);
        };
        let ending = async {
            connections.drain(Instant::now());
            poll_fn(|cx| connections.poll_empty(cx)).await;
        };
        let both = futures_join(waiting, ending);
        tokio::time::timeout(std::time::Duration::from_secs(5), both).await.unwrap();
        assert_eq!(connections.len(), 0);
    }

    #[tokio::test]
    async fn a_closed_listener_ends_its_own_connections_only() {
        let connections = Rc::<Connections>::default();
        let (one, other) = (connections.enter(1), connections.enter(2));
        let waiting = poll_fn(|cx| one.poll_drain(cx));
        futures_join(waiting, async { connections.close(1, Instant::now()) }).await;
        assert!(one.is_draining() && !other.is_draining());
        assert!(!connections.enter(1).is_draining(), "numbers are not given twice");
    }

    #[tokio::test]
    async fn ushering_tells_each_once_and_not_who_comes_later() {
        let connections = Rc::<Connections>::default();
        let (first, by) = (connections.enter(1), Instant::now());
        connections.usher(by);
        connections.usher(by + std::time::Duration::from_secs(9));
        assert_eq!(first.leaves_by(), Some(by));
        let later = connections.enter(1);
        assert!(!later.is_draining());
        connections.usher(by);
        assert!(later.is_draining());
    }

    async fn futures_join(a: impl Future<Output = ()>, b: impl Future<Output = ()>) {
        tokio::join!(a, b);
    }
}
