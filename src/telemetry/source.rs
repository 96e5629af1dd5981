//! What is told of each source of configuration.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use super::label::SourceFault;

const FAULTS: usize = SourceFault::ALL.len();

/// The series of one source. Written by its task alone, so one copy is enough.
pub struct SourceSeries {
    began: Instant,
    up: AtomicBool,
    restored: AtomicBool,
    /// Milliseconds from `began` to the last contact, plus one; 0 while there was none.
    contact: AtomicU64,
    /// How long it counts as fresh without contact, in milliseconds.
    ttl: AtomicU64,
    documents: AtomicU64,
    bytes: AtomicU64,
    posts: AtomicU64,
    errors: [AtomicU64; FAULTS],
}

impl Default for SourceSeries {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            up: AtomicBool::new(false),
            restored: AtomicBool::new(false),
            contact: AtomicU64::new(0),
            ttl: AtomicU64::new(u64::MAX),
            documents: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            posts: AtomicU64::new(0),
            errors: [const { AtomicU64::new(0) }; FAULTS],
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl SourceSeries {
    /// Sets how long the source counts as fresh without contact.
    pub fn set_ttl(&self, ttl: Duration) {
        self.ttl.store(millis(ttl), Relaxed);
    }

    /// The server answered just now.
    pub fn contacted(&self) {
        self.contact.store(millis(self.began.elapsed()).saturating_add(1), Relaxed);
        self.up.store(true, Relaxed);
    }

    /// There is no connection to the server.
    pub fn lost(&self) {
        self.up.store(false, Relaxed);
    }

    /// Tells whether what is held was kept by an earlier process and not confirmed since.
    pub fn set_restored(&self, is_restored: bool) {
        self.restored.store(is_restored, Relaxed);
    }

    /// Counts what went wrong.
    pub fn failed(&self, fault: SourceFault) {
        self.errors[fault as usize].fetch_add(1, Relaxed);
    }

    /// Other documents came into being: this many, of so many bytes.
    pub fn posted(&self, documents: usize, bytes: usize) {
        self.documents.store(documents as u64, Relaxed);
        self.bytes.store(bytes as u64, Relaxed);
        self.posts.fetch_add(1, Relaxed);
    }

    /// Whether the server answers.
    pub fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// How long ago the server answered last, if ever.
    pub fn silent_for(&self) -> Option<Duration> {
        let contact = self.contact.load(Relaxed).checked_sub(1)?;
        Some(self.began.elapsed().saturating_sub(Duration::from_millis(contact)))
    }

    /// Whether there was no contact for longer than the time to live (since the start, if there never was one), or what is
    /// held is not confirmed since the start.
    pub fn is_stale(&self) -> bool {
        self.restored.load(Relaxed)
            || millis(self.silent_for().unwrap_or_else(|| self.began.elapsed())) > self.ttl.load(Relaxed)
    }

    /// The documents held.
    pub fn documents(&self) -> u64 {
        self.documents.load(Relaxed)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// How often the documents changed.
    pub fn posts(&self) -> u64 {
        self.posts.load(Relaxed)
    }

    /// How often this went wrong.
    pub fn errors(&self, fault: SourceFault) -> u64 {
        self.errors[fault as usize].load(Relaxed)
    }

    /// The last contact in seconds since the epoch; 0 while there was none.
    pub(super) fn last_contact(&self) -> f64 {
        let Some(silent) = self.silent_for() else { return 0.0 };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(silent).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_longer_than_the_time_to_live_is_stale() {
        let series = SourceSeries::default();
        assert!(!series.is_stale() && series.silent_for().is_none() && !series.is_up());
        series.set_ttl(Duration::ZERO);
        while series.began.elapsed() < Duration::from_millis(2) {}
        assert!(series.is_stale(), "never answered");
        series.contacted();
        series.set_ttl(Duration::from_secs(60));
        assert!(!series.is_stale() && series.is_up());
        series.lost();
        assert!(!series.is_stale() && !series.is_up());
    }
}
