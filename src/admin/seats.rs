//! Who has the places of a port's connections, and who gives one up when there are no more.
//!
//! Whoever comes is served: a probe that had to wait until strangers let go of their connections would have the pod restarted.
//! So when every place is taken, somebody goes. It is one of the peer that has the most, so that nobody can push others out by
//! coming often; of its connections the one that has waited longest for a request, else the one that has asked longest. Where
//! many peers have as many each, that goes by time alone. Whoever has just come, or begun to ask, is the last to go.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

/// How long a connection that was told to go is waited for, before another one is told.
const PATIENCE: Duration = Duration::from_millis(50);
/// Whoever has come, or begun to ask, more recently than this goes behind all who have not: a probe takes no longer.
const YOUNG: Duration = Duration::from_millis(250);

/// The places of one port.
pub(super) struct Seats {
    most: usize,
    taken: Mutex<Taken>,
    /// Told when somebody has gone.
    gone: Notify,
}

#[derive(Default)]
struct Taken {
    guests: Vec<Guest>,
    next: u64,
}

/// Who has one of them.
struct Guest {
    id: u64,
    peer: IpAddr,
    phase: Phase,
    since: Instant,
    /// Used up when it is told to go.
    leave: Option<oneshot::Sender<()>>,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It waits for a request, or for its client to take the answer.
    Idle,
    /// A request has begun, and its answer has not.
    Asking,
}

/// A place; given back when the connection goes.
pub(super) struct Seat {
    seats: Arc<Seats>,
    id: u64,
    /// Ends when somebody else needs the place.
    told: oneshot::Receiver<()>,
    is_needed: bool,
}

impl Seats {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default(), gone: Notify::new() })
    }

    /// A place for a connection from this peer.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Seat {
        loop {
            let gone = self.gone.notified();
            if let Some(seat) = self.try_take(peer) {
                return seat;
            }
            // One that is answered at this moment goes a little later; then the next one is asked.
            let _ = timeout(PATIENCE, gone).await;
        }
    }

    /// A place, where there is one; else somebody is told to go.
    fn try_take(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let mut taken = self.taken();
        if taken.guests.len() >= self.most {
            taken.tell_one();
            return None;
        }
        let (leave, told) = oneshot::channel();
        let id = taken.next;
        taken.next += 1;
        let peer = peer.to_canonical();
        taken.guests.push(Guest { id, peer, phase: Phase::Idle, since: Instant::now(), leave: Some(leave) });
        Some(Seat { seats: self.clone(), id, told, is_needed: false })
    }

    /// A panic under the lock leaves a list that is whole.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn tell_one(&mut self) {
        let places = |peer: IpAddr| self.guests.iter().filter(|guest| guest.peer == peer).count();
        let staying = self.guests.iter().enumerate().filter(|(_, guest)| guest.leave.is_some());
        let now = Instant::now();
        let first = staying.min_by_key(|(_, guest)| {
            let is_young = now.saturating_duration_since(guest.since) < YOUNG;
            (is_young, std::cmp::Reverse(places(guest.peer)), guest.phase, guest.since)
        });
        let leave = first.map(|(at, _)| at).and_then(|at| self.guests[at].leave.take());
        // One that is gone already needs no word.
        leave.into_iter().for_each(|leave| _ = leave.send(()));
    }
}

impl Seat {
    /// Whether somebody else needs the place; if nobody does yet, the task is woken then.
    pub(super) fn is_needed(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_needed = self.is_needed || Pin::new(&mut self.told).poll(cx).is_ready();
        self.is_needed
    }

    /// Its connection does this from now on.
    pub(super) fn enter(&self, phase: Phase) {
        let mut taken = self.seats.taken();
        if let Some(guest) = taken.guests.iter_mut().find(|guest| guest.id == self.id) {
            (guest.phase, guest.since) = (phase, Instant::now());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().guests.retain(|guest| guest.id != self.id);
        self.seats.gone.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn was_told(seat: &mut Seat) -> bool {
        seat.told.try_recv().is_ok()
    }

    #[tokio::test]
    async fn whoever_has_the_most_gives_one_up_and_the_one_idle_longest_first() {
        let seats = Seats::new(4);
        let mut held = Vec::new();
        for last in [1, 2, 2, 2] {
            held.push(seats.take(peer(last)).await);
        }
        // The oldest of the second peer is asking: it goes behind those that say nothing.
        held[1].enter(Phase::Asking);
        assert!(seats.try_take(peer(3)).is_none());
        assert_eq!(held.iter_mut().map(was_told).collect::<Vec<_>>(), [false, false, true, false]);
        // Who was told is not told again, though it is still there.
        assert!(seats.try_take(peer(3)).is_none());
        assert_eq!(held.iter_mut().map(was_told).collect::<Vec<_>>(), [false, false, false, true]);
        assert!(seats.try_take(peer(3)).is_none());
        assert!(was_told(&mut held[1]), "then the one that asks");
        assert!(!was_told(&mut held[0]));
        held.remove(2);
        assert!(seats.try_take(peer(3)).is_some());
    }

    #[tokio::test]
    async fn who_comes_waits_until_somebody_is_gone() {
        let seats = Seats::new(1);
        let mut first = seats.take(peer(1)).await;
        let next = tokio::spawn({
            let seats = seats.clone();
            async move { seats.take(peer(2)).await }
        });
        (&mut first.told).await.expect("it is told to go");
        // Longer than one is waited for before the next is told.
        tokio::time::sleep(3 * PATIENCE).await;
        assert!(!next.is_finished(), "the bound holds");
        drop(first);
        next.await.expect("there is room");
    }

    #[tokio::test]
    async fn who_has_just_come_goes_behind_all_who_have_not() {
        let seats = Seats::new(4);
        let mut strangers = Vec::new();
        for last in [1, 2] {
            strangers.push(seats.take(peer(last)).await);
            strangers[usize::from(last) - 1].enter(Phase::Asking);
        }
        // Until they are no longer young.
        tokio::time::sleep(YOUNG + Duration::from_millis(10)).await;
        let mut probes = [seats.take(peer(3)).await, seats.take(peer(3)).await];
        for stranger in &mut strangers {
            assert!(seats.try_take(peer(4)).is_none());
            assert!(was_told(stranger), "though it asks, and the probes have more places and say nothing yet");
        }
        assert!(!probes.iter_mut().any(was_told));
    }
}
