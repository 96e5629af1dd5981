//! The last requests that failed, so that evidence can name some.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

/// How many each worker remembers of a lane.
const KEPT: usize = 20;

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRequest {
    /// When it was over.
    pub at: SystemTime,
    /// Its id.
    pub request_id: Box<str>,
    /// The status that was answered; 0 where none was.
    pub status: u16,
    /// The sidecar's word for what went wrong; `None` where the upstream answered so.
    pub error: Option<&'static str>,
}

/// The last failures of one lane: a ring for each worker, and one for everybody else.
///
/// A worker never waits for its ring: while somebody reads it, a failure goes unremembered.
/// The rings come with the first failure.
pub(super) struct Recent {
    workers: usize,
    rings: OnceLock<Box<[Ring]>>,
}

type Ring = Mutex<VecDeque<FailedRequest>>;

impl Recent {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, rings: OnceLock::new() }
    }

    pub(super) fn note(&self, worker: usize, failed: FailedRequest) {
        let rings = self.rings.get_or_init(|| (0..=self.workers).map(|_| Mutex::default()).collect());
        let ring = rings.get(worker).or(rings.last());
        let Some(Ok(mut ring)) = ring.map(Mutex::try_lock) else { return };
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(failed);
    }

    /// The last of all workers, oldest first.
    pub(super) fn last(&self) -> Vec<FailedRequest> {
        let rings = self.rings.get().into_iter().flatten();
        let rings = rings.map(|ring| ring.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all: Vec<FailedRequest> = rings.flat_map(|ring| ring.iter().cloned().collect::<Vec<_>>()).collect();
        all.sort_by_key(|failed| failed.at);
        let extra = all.len().saturating_sub(KEPT);
        all.drain(..extra);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn failed(second: u64) -> FailedRequest {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        FailedRequest { at, request_id: second.to_string().into(), status: 500, error: None }
    }

    #[test]
    fn the_last_failures_of_all_workers_are_given_in_order() {
        let recent = Recent::new(2);
        (0..100).for_each(|second| recent.note(second as usize % 2, failed(second)));
        recent.note(usize::MAX, failed(100));
        let seconds: Vec<String> = recent.last().iter().map(|failed| failed.request_id.to_string()).collect();
        assert_eq!(seconds, (81..=100).map(|second: u64| second.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_worker_does_not_wait_for_a_reader() {
        let recent = Recent::new(1);
        recent.note(0, failed(0));
        let reading = recent.rings.get().unwrap()[0].lock().unwrap();
        recent.note(0, failed(1));
        drop(reading);
        assert_eq!(recent.last(), [failed(0)]);
        recent.note(0, failed(2));
        assert_eq!(recent.last(), [failed(0), failed(2)]);
    }
}
