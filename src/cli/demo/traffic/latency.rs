//! Latencies of one lane in fixed memory, with quantiles that are at most 1/32 (3 %) too high.

use std::time::Duration;

/// Each power of two of microseconds is divided into this many steps.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2^26 us, about 67 s; more counts as that. No exchange may take that long.
const TOP_BITS: u32 = 26;
const SLOTS: usize = ((TOP_BITS - STEP_BITS + 1) * STEPS as u32) as usize;

/// Counts of latencies in steps that grow with the latency.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    slots: Box<[u64; SLOTS]>,
    count: u64,
}

impl Latency {
    pub(super) fn new() -> Latency {
        Latency { slots: Box::new([0; SLOTS]), count: 0 }
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).min((1 << TOP_BITS) - 1);
        self.slots[slot(us)] += 1;
        self.count += 1;
    }

    pub(super) fn add(&mut self, other: &Latency) {
        for (own, others) in self.slots.iter_mut().zip(other.slots.iter()) {
            *own += others;
        }
        self.count += other.count;
    }

    pub(super) fn clear(&mut self) {
        self.slots.fill(0);
        self.count = 0;
    }

    /// The latency that a share `q` (0 to 1) of the records does not exceed; none without records.
    pub(super) fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = ((self.count as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.slots.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_micros(highest(found)))
    }
}

/// The slot of a latency below 2^TOP_BITS: the steps below [`STEPS`] are exact, above them the leading bits decide.
fn slot(us: u64) -> usize {
    let exponent = (u64::BITS - us.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (u64::from(exponent) * STEPS + (us >> exponent)) as usize
}

/// The greatest latency that falls into `slot`, in microseconds.
fn highest(slot: usize) -> u64 {
    let slot = slot as u64;
    let exponent = (slot / STEPS).saturating_sub(1);
    ((slot - exponent * STEPS + 1) << exponent) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_falls_into_a_slot_that_is_at_most_a_step_wide() {
        for us in (0..5_000).chain([65_535, 65_536, 1_000_000, (1 << TOP_BITS) - 1]) {
            let slot = slot(us);
            assert!(slot < SLOTS, "{us}");
            let highest = highest(slot);
            assert!(highest >= us && highest <= us + us / STEPS, "{us}: {highest}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_records() {
        let mut latency = Latency::new();
        assert_eq!(latency.quantile(0.5), None);
        for ms in 1..=1000 {
            latency.record(Duration::from_millis(ms));
        }
        latency.record(Duration::from_secs(1_000_000));
        for (q, expected) in [(0.0, 0.001), (0.5, 0.501), (0.99, 0.991), (1.0, 67.1)] {
            let got = latency.quantile(q).unwrap().as_secs_f64();
            assert!(got >= expected && got <= expected * 1.032, "{q}: {got}");
        }
        latency.clear();
        assert_eq!(latency.quantile(0.5), None);
    }
}
