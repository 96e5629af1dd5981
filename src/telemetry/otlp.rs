//! What became of what was told to OpenTelemetry.

use super::cells::Cells;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpSignal {
    /// Spans of traces.
    Spans,
    /// Evaluation events.
    Events,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpFate {
    /// The collector took it.
    Exported,
    /// Thrown away because too much waited.
    QueueFull,
    /// Thrown away because the collector could not be told.
    Failed,
    /// Refused by the collector, which took the rest.
    Rejected,
}

impl OtlpSignal {
    /// Every one, in order.
    pub const ALL: [Self; 2] = [Self::Spans, Self::Events];

    /// The word that stands in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Events => "events",
        }
    }
}

impl OtlpFate {
    /// Every one, in order.
    pub const ALL: [Self; 4] = [Self::Exported, Self::QueueFull, Self::Failed, Self::Rejected];

    /// The word that stands in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::QueueFull => "queue_full",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }
}

/// The counters of what is told to OpenTelemetry.
pub struct OtlpSeries(Cells);

impl OtlpSeries {
    pub(super) fn new(workers: usize) -> Self {
        Self(Cells::new(workers, OtlpSignal::ALL.len() * OtlpFate::ALL.len()))
    }

    /// This became of `n` spans or events.
    pub fn count(&self, worker: usize, signal: OtlpSignal, fate: OtlpFate, n: u64) {
        self.0.add(worker, place(signal, fate), n);
    }

    /// How many of them it became of so far.
    pub fn sum(&self, signal: OtlpSignal, fate: OtlpFate) -> u64 {
        self.0.sum(place(signal, fate))
    }
}

fn place(signal: OtlpSignal, fate: OtlpFate) -> usize {
    signal as usize * OtlpFate::ALL.len() + fate as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_do_not_overlap() {
        let series = OtlpSeries::new(1);
        for (n, signal) in OtlpSignal::ALL.into_iter().enumerate() {
            for fate in OtlpFate::ALL {
                series.count(n, signal, fate, 1 + place(signal, fate) as u64);
            }
        }
        for signal in OtlpSignal::ALL {
            for fate in OtlpFate::ALL {
                assert_eq!(series.sum(signal, fate), 1 + place(signal, fate) as u64);
            }
        }
    }
}
