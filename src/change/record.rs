//! One entry of the audit trail.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::difference::Names;
use super::plan::Plan;

/// One configuration that was offered, or one change of something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When; written as `time` (RFC 3339 with nanoseconds) and, since numbers of that size do not survive a browser, as
    /// text in `time_unix_nano`.
    #[serde(flatten, serialize_with = "time", deserialize_with = "read_time")]
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
    /// The same names by kind, and by what became of them.
    pub names: BTreeMap<String, Names>,
    /// What differs, such as `releases.pricing-v2.permille: 50 -> 80`.
    pub differences: Vec<String>,
    /// Why it was refused; empty if it was not.
    pub problems: Vec<String>,
    /// Who changed a release, as far as that is known; `null` for configurations.
    pub by: Option<String>,
    /// Why, where that was said.
    pub detail: Option<String>,
}

/// Most differences that one record holds.
const MOST_DIFFERENCES: usize = 100;

impl AuditRecord {
    /// A record of this moment about nothing yet.
    pub fn now(action: AuditAction, source: impl Into<String>) -> Self {
        Self {
            time: SystemTime::now(),
            action,
            from: None,
            version: None,
            source: source.into(),
            changed: Vec::new(),
            names: BTreeMap::new(),
            differences: Vec::new(),
            problems: Vec::new(),
            by: None,
            detail: None,
        }
    }

    /// The same about this plan.
    pub fn about(mut self, plan: &Plan) -> Self {
        self.from = Some(plan.from.clone());
        self.version = Some(plan.to.clone());
        let all = plan.names.iter().flat_map(|(kind, names)| {
            let names = names.added.iter().chain(&names.changed).chain(&names.removed);
            names.map(move |name| if name == kind { kind.clone() } else { format!("{kind}.{name}") })
        });
        self.changed = all.collect();
        self.names = plan.names.clone();
        self.differences = plan.differences.iter().take(MOST_DIFFERENCES).map(ToString::to_string).collect();
        let omitted = plan.differences.len().saturating_sub(MOST_DIFFERENCES) + plan.omitted;
        if omitted > 0 {
            self.differences.push(format!("and {omitted} more"));
        }
        self
    }
}

/// What became of a configuration or a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// It is in use from then on.
    Applied,
    /// It was refused as a whole.
    Refused,
    /// An earlier configuration is in use again, and stays so until its source changes.
    RolledBack,
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
    /// Records that could not be kept for so long that there was no room for them.
    Lost,
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

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    #[derive(Deserialize)]
    struct Written {
        time_unix_nano: String,
    }
    let nanos: i128 = Written::deserialize(deserializer)?.time_unix_nano.parse().map_err(serde::de::Error::custom)?;
    Ok(Timestamp::from_nanosecond(nanos).map_err(serde::de::Error::custom)?.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_is_exact_to_the_nanosecond() {
        let mut record = AuditRecord::now(AuditAction::Applied, "config/goods.yaml");
        record.time = SystemTime::UNIX_EPOCH + Duration::new(1_795_342_981, 7);
        let json = serde_json::to_value(record).unwrap();
        assert_eq!(json["time"], "2026-11-22T10:23:01.000000007Z");
        assert_eq!(json["time_unix_nano"], "1795342981000000007");
        assert_eq!(json["action"], "applied");
    }

    #[test]
    fn a_record_is_read_as_it_was_written_even_where_the_clock_was_wrong() {
        for time in [
            SystemTime::UNIX_EPOCH - Duration::new(86_400, 5),
            SystemTime::UNIX_EPOCH + Duration::new(20_000_000_000, 1),
        ] {
            let mut record = AuditRecord::now(AuditAction::Applied, "config/goods.yaml");
            record.time = time;
            let line = serde_json::to_string(&record).unwrap();
            let read: AuditRecord = serde_json::from_str(&line).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
        }
    }
}
