//! What happened to configurations and releases, kept in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// How many records are kept; the oldest go first.
const KEPT: usize = 1000;

/// One configuration that was offered, or one change of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// When; written as `time` (RFC 3339 with nanoseconds) and, since numbers of that size do not survive a browser, as
    /// text in `time_unix_nano`.
    #[serde(flatten, serialize_with = "time")]
    pub time: SystemTime,
    /// What became of it.
    pub action: AuditAction,
    /// The version that was in use before; `null` at the start, and where a release changed.
    pub from: Option<String>,
    /// Its own version; `null` where it could not be read far enough to have one, and where a release changed.
    pub version: Option<String>,
    /// Where it came from.
    pub source: String,
    /// Names of what it adds, changes or takes away; the release that changed.
    pub changed: Vec<String>,
    /// Why it was refused; empty if it was not.
    pub problems: Vec<String>,
    /// Who changed a release, as far as that is known; `null` for configurations.
    pub by: Option<String>,
    /// Why, where that was said.
    pub detail: Option<String>,
}

/// What became of a configuration or a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// It is in use from then on.
    Applied,
    /// It was refused as a whole.
    Refused,
    /// A release was taken back.
    Latched,
    /// A release that was taken back was opened again.
    Lifted,
    /// Nothing may open a release any more.
    Paused,
    /// It may be opened again.
    Resumed,
    /// Somebody set a fault on purpose.
    FaultSet,
    /// Somebody took faults on purpose away.
    FaultRemoved,
}

fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Written {
        time: String,
        time_unix_nano: String,
    }
    let time = Timestamp::try_from(*time).unwrap_or(Timestamp::UNIX_EPOCH);
    Written { time: format!("{time:.9}"), time_unix_nano: time.as_nanosecond().to_string() }.serialize(serializer)
}

/// The last records, oldest first.
#[derive(Debug, Default)]
pub struct AuditTrail(Mutex<VecDeque<AuditRecord>>);

impl AuditTrail {
    /// Adds a record; the oldest goes if there are too many.
    pub fn push(&self, record: AuditRecord) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == KEPT {
            records.pop_front();
        }
        records.push_back(record);
    }

    /// All that are kept, oldest first.
    pub fn records(&self) -> Vec<AuditRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn record(version: usize) -> AuditRecord {
        AuditRecord {
            time: SystemTime::UNIX_EPOCH + Duration::new(1_795_342_981, 7),
            action: AuditAction::Applied,
            from: None,
            version: Some(version.to_string()),
            source: "config/goods.yaml".to_owned(),
            changed: Vec::new(),
            problems: Vec::new(),
            by: None,
            detail: None,
        }
    }

    #[test]
    fn the_time_is_exact_to_the_nanosecond() {
        let json = serde_json::to_value(record(1)).unwrap();
        assert_eq!(json["time"], "2026-11-22T10:23:01.000000007Z");
        assert_eq!(json["time_unix_nano"], "1795342981000000007");
        assert_eq!(json["action"], "applied");
    }

    #[test]
    fn the_oldest_record_goes_first() {
        let trail = AuditTrail::default();
        (0..KEPT + 5).for_each(|version| trail.push(record(version)));
        let records = trail.records();
        assert_eq!(records.len(), KEPT);
        assert_eq!(records[0].version.as_deref(), Some("5"));
    }
}
