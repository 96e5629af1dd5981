//! Why a release was taken back, with the figures of that moment.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// Failed calls that evidence keeps: the last ones.
pub const MOST_FAILURES: usize = 20;

/// A moment, written in RFC 3339 with nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Timestamp);

impl Moment {
    /// Now, by the clock of the machine.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The same moment as others hold it.
    pub fn system_time(self) -> SystemTime {
        self.0.into()
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        Self(Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.9}", self.0))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// What took a release back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Breakers opened too often.
    Openings,
    /// Gray is worse than stable at the same time.
    Worse,
    /// A figure of `rollback_on` was bad for long enough.
    Figure,
    /// A person.
    Person,
    /// Nobody knows whether it was taken back: the state file could not be read.
    StateUnreadable,
}

impl Cause {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openings => "openings",
            Self::Worse => "worse",
            Self::Figure => "figure",
            Self::Person => "person",
            Self::StateUnreadable => "state_unreadable",
        }
    }
}

/// What one lane of a route did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneFigures {
    /// The route.
    pub route: String,
    /// The lane.
    pub lane: String,
    /// The seconds that are looked back upon; `null` for all since the start of the process.
    pub over_seconds: Option<f64>,
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// The mean of their durations; `null` where nobody called, or nobody counted.
    pub mean_seconds: Option<f64>,
    /// The 99th percentile of their durations.
    pub p99_seconds: Option<f64>,
    /// Those that were slow.
    pub slow_calls: Option<u64>,
}

/// One request that failed, to be found in the access log and in traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedCall {
    /// When it was over.
    pub time: Moment,
    /// Its id.
    pub request_id: String,
    /// Its route.
    pub route: String,
    /// Its lane.
    pub lane: String,
    /// The status that was answered; 0 where none was.
    pub status: u16,
    /// The sidecar's word for what went wrong; `null` where the upstream answered with this status.
    pub error: Option<String>,
}

/// Why a release is taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What did it.
    pub cause: Cause,
    /// The same in a sentence, with the figure that decided.
    pub detail: String,
    /// Who did it: `breaker`, `comparison`, or a person as far as known.
    pub by: String,
    /// Every lane of the release's routes.
    pub figures: Vec<LaneFigures>,
    /// The limits as configured.
    pub thresholds: Value,
    /// The last requests that failed, oldest first; no more than [`MOST_FAILURES`].
    pub failures: Vec<FailedCall>,
}

impl Evidence {
    /// Nothing but a cause.
    pub fn of(cause: Cause, by: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
            by: by.into(),
            figures: Vec::new(),
            thresholds: Value::Null,
            failures: Vec::new(),
        }
    }

    /// Keeps the last failures only.
    pub(super) fn bounded(mut self) -> Self {
        self.failures.sort_by_key(|call| call.time);
        let extra = self.failures.len().saturating_sub(MOST_FAILURES);
        self.failures.drain(..extra);
        self
    }
}

/// A release that was taken back, with the evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number: one more than the last, over restarts too where there is a state directory.
    pub number: u64,
    /// When.
    pub time: Moment,
    /// The release.
    pub release: String,
    /// The release's revision.
    pub revision: u32,
    /// The version of the configuration.
    pub config_version: String,
    /// Why.
    #[serde(flatten)]
    pub evidence: Evidence,
}
