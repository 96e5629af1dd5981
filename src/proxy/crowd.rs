//! How many clients there are, over all workers: a place for each connection, and no more than there may be.
//!
//! Asked when a connection comes and when it goes, never for a request. Peers that are trusted are gateways, behind which
//! many clients stand, so only the total counts for them, and no lock is taken.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Limits;
use crate::telemetry::Closing;

/// Parts of the map of peers, each under a lock of its own.
const SHARDS: usize = 16;

/// Every client connection of the process, and whose it is.
#[derive(Debug, Default)]
pub struct Crowd {
    total: AtomicUsize,
    peers: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
}

impl Crowd {
    /// A place for a connection from this peer, or why there is none.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, trusted: bool, limits: &Limits) -> Result<Seat, Closing> {
        if self.total.fetch_add(1, Relaxed) >= limits.connections {
            self.total.fetch_sub(1, Relaxed);
            return Err(Closing::Connections);
        }
        let mut seat = Seat { crowd: self.clone(), peer: None };
        if !trusted {
            let peer = network(peer);
            let mut peers = self.shard(peer);
            let count = peers.entry(peer).or_default();
            if *count >= limits.connections_per_peer {
                return Err(Closing::PeerConnections);
            }
            *count += 1;
            seat.peer = Some(peer);
        }
        Ok(seat)
    }

    fn shard(&self, peer: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let octets = match peer {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        // Neighbours fall into different shards; whoever chooses addresses on purpose gains a shared lock, no more.
        let mixed = octets.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        self.peers[mixed as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom an address stands for. One IPv6 host has a whole /64 to choose addresses from.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// A place in the crowd, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    peer: Option<IpAddr>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.total.fetch_sub(1, Relaxed);
        let Some(peer) = self.peer else { return };
        let mut peers = self.crowd.shard(peer);
        if let Some(count) = peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn(usize, usize) -> Limits =
        |connections, connections_per_peer| Limits { connections, connections_per_peer, ..Limits::default() };

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_given_until_there_are_none_and_come_back() {
        let crowd = Arc::<Crowd>::default();
        let limits = LIMITS(3, 2);
        let admit = |from: &str, trusted| crowd.admit(peer(from), trusted, &limits);
        let first = admit("10.0.0.1", false).unwrap();
        let second = admit("::ffff:10.0.0.1", false).unwrap();
        assert_eq!(admit("10.0.0.1", false).unwrap_err(), Closing::PeerConnections);
        let other = admit("10.0.0.2", false).unwrap();
        assert_eq!(admit("10.0.0.3", false).unwrap_err(), Closing::Connections);
        drop((first, other));
        let again = admit("10.0.0.1", false).unwrap();
        assert_eq!(admit("10.0.0.1", false).unwrap_err(), Closing::PeerConnections);
        drop((second, again));
        assert_eq!(crowd.total.load(Relaxed), 0);
        assert!(crowd.peers.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn a_trusted_peer_counts_in_the_total_only() {
        let crowd = Arc::<Crowd>::default();
        let limits = LIMITS(5, 1);
        let seats: Vec<_> = (0..5).map(|_| crowd.admit(peer("10.0.0.1"), true, &limits).unwrap()).collect();
        assert_eq!(crowd.admit(peer("10.0.0.1"), true, &limits).unwrap_err(), Closing::Connections);
        drop(seats);
        assert!(crowd.admit(peer("10.0.0.1"), false, &limits).is_ok());
    }

    #[test]
    fn an_ipv6_peer_is_its_network() {
        let crowd = Arc::<Crowd>::default();
        let limits = LIMITS(10, 1);
        let _seat = crowd.admit(peer("2001:db8::1"), false, &limits).unwrap();
        assert_eq!(crowd.admit(peer("2001:db8::2"), false, &limits).unwrap_err(), Closing::PeerConnections);
        assert!(crowd.admit(peer("2001:db8:0:1::1"), false, &limits).is_ok());
    }
}
