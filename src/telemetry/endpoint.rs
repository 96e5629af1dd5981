//! What is told of each endpoint of an upstream.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::label::{CheckResult, EjectionResult, EndpointState};

const STATES: usize = EndpointState::ALL.len();
const RESULTS: usize = CheckResult::ALL.len();
const EJECTIONS: usize = EjectionResult::ALL.len();

/// The series of one endpoint as configured, over all its addresses. Nothing here is written by an ordinary request, so
/// one copy for all workers is enough.
#[derive(Default)]
pub struct EndpointSeries {
    addresses: [AtomicU64; STATES],
    checks: [AtomicU64; RESULTS],
    ejections: [AtomicU64; EJECTIONS],
}

impl EndpointSeries {
    /// Tells how many addresses stand how, in the order of [`EndpointState::ALL`].
    pub fn set_addresses(&self, counts: [u64; STATES]) {
        self.addresses.iter().zip(counts).for_each(|(cell, count)| cell.store(count, Relaxed));
    }

    /// Counts a check.
    pub fn checked(&self, result: CheckResult) {
        self.checks[result as usize].fetch_add(1, Relaxed);
    }

    /// Counts an ejection, or one that the cap refused.
    pub fn ejected(&self, result: EjectionResult) {
        self.ejections[result as usize].fetch_add(1, Relaxed);
    }

    /// How many addresses stand like this.
    pub fn addresses(&self, state: EndpointState) -> u64 {
        self.addresses[state as usize].load(Relaxed)
    }

    pub(super) fn checks(&self, result: CheckResult) -> u64 {
        self.checks[result as usize].load(Relaxed)
    }

    pub(super) fn ejections(&self, result: EjectionResult) -> u64 {
        self.ejections[result as usize].load(Relaxed)
    }
}
