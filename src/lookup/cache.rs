//! What is kept of a store: bounded, each record for a while.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Answer;

/// Locks, so that requests of several workers seldom meet at one.
const SHARDS: usize = 16;
/// Records that are compared where one has to go.
const COMPARED: usize = 8;

type Shard = HashMap<Box<str>, Entry>;
type Flight = watch::Receiver<Option<Answer>>;

/// Records by their keys.
pub(super) struct Cache {
    shards: Box<[Mutex<Shard>]>,
    hash: std::hash::RandomState,
    most: usize,
}

struct Entry {
    known: Option<Known>,
    /// The look-up that is under way.
    flight: Option<Flight>,
}

struct Known {
    answer: Answer,
    fresh_until: Instant,
    given_until: Instant,
}

/// What a key finds.
pub(super) enum Place {
    Fresh(Answer),
    /// No longer fresh, and not yet too old; nobody looks it up at present.
    Stale(Answer),
    /// It is being looked up.
    Flying(Flight),
    Unknown,
}

impl Cache {
    pub(super) fn new(entries: usize) -> Cache {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Cache { shards, hash: std::hash::RandomState::new(), most: entries.div_ceil(SHARDS) }
    }

    pub(super) fn place(&self, key: &str, now: Instant) -> Place {
        let shard = self.shard(key);
        let Some(entry) = shard.get(key) else { return Place::Unknown };
        match (&entry.known, &entry.flight) {
            (Some(known), _) if now < known.fresh_until => Place::Fresh(known.answer.clone()),
            (Some(known), flight) if now < known.given_until => match flight {
                // The one who looks it up anew brings it; until then this does.
                Some(_) => Place::Fresh(known.answer.clone()),
                None => Place::Stale(known.answer.clone()),
            },
            (_, Some(flight)) => Place::Flying(flight.clone()),
            _ => Place::Unknown,
        }
    }

    /// Notes that a key is being looked up; gives the other flight where it is already.
    pub(super) fn fly(&self, key: &str, flight: Flight) -> Option<Flight> {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.get_mut(key) {
            if let Some(other) = &entry.flight {
                return Some(other.clone());
            }
            entry.flight = Some(flight);
            return None;
        }
        make_room(&mut shard, self.most);
        shard.insert(key.into(), Entry { known: None, flight: Some(flight) });
        None
    }

    /// Ends a look-up: with what was found and how long it counts, or with nothing, so that what was known stays. A record
    /// that may still be given also stays where the store now has what is none; it is only asked for later.
    pub(super) fn land(&self, key: &str, found: Option<(Answer, Instant, Duration, Duration)>) {
        let mut shard = self.shard(key);
        let Some(entry) = shard.get_mut(key) else { return };
        entry.flight = None;
        match found {
            Some((answer, now, fresh, stale)) => {
                let fresh_until = now + fresh;
                if let (Answer::Unusable(_), Some(known)) = (&answer, &mut entry.known)
                    && matches!(known.answer, Answer::Found(_))
                    && now < known.given_until
                {
                    known.fresh_until = fresh_until.min(known.given_until);
                    return;
                }
                entry.known = Some(Known { answer, fresh_until, given_until: fresh_until + stale });
            }
            None if entry.known.is_none() => {
                shard.remove(key);
            }
            None => {}
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    /// Nothing that happens under the lock can leave a map half done.
    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let place = (self.hash.hash_one(key) as usize) % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a few records, whichever a map gives first, the one that would be the first to be too old goes.
fn make_room(shard: &mut Shard, most: usize) {
    if shard.len() < most {
        return;
    }
    let age = |entry: &Entry| entry.known.as_ref().map(|known| known.given_until);
    let oldest = shard.iter().take(COMPARED).min_by_key(|(_, entry)| age(entry)).map(|(key, _)| key.clone());
    if let Some(key) = oldest {
        shard.remove(&key);
    }
}
