//! One address as all workers of the process see it: two atomics, written when something changes.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::Address;
use super::moment::Moment;

/// One address.
#[derive(Debug)]
pub struct Standing {
    pub(super) address: Address,
    /// The place of its endpoint among the configured ones.
    pub(super) endpoint: usize,
    /// From when on it may be sent to: what the checks and the ejections say in one number, so that choosing costs one
    /// relaxed load. A worker that reads it a moment late only sends one request more or less.
    open_from: AtomicU64,
    /// Failures in a row, over all workers.
    failures: AtomicU32,
    /// It is used only where nothing near can be.
    is_far: AtomicBool,
}

impl Standing {
    pub(super) fn new(address: Address, endpoint: usize) -> Self {
        let open_from = AtomicU64::new(Moment::START.to_bits());
        Self { address, endpoint, open_from, failures: AtomicU32::new(0), is_far: AtomicBool::new(false) }
    }

    pub(super) fn is_far(&self) -> bool {
        self.is_far.load(Relaxed)
    }

    pub(super) fn set_far(&self, is_far: bool) {
        self.is_far.store(is_far, Relaxed);
    }

    /// The address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn open_from(&self) -> Moment {
        Moment::from_bits(self.open_from.load(Relaxed))
    }

    pub(super) fn set_open_from(&self, moment: Moment) {
        self.open_from.store(moment.to_bits(), Relaxed);
    }

    /// A request went well: the row is broken. Written only where there is one, so that workers do not fight over the
    /// line of an endpoint that is well.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A request failed; whether the row has become so long. It starts anew then, so that an endpoint that fails on
    /// (because it may not be ejected) asks for it once a row.
    pub(super) fn failed(&self, row: u32) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures >= row {
            self.failures.store(0, Relaxed);
        }
        failures >= row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_in_a_row_count() {
        let standing = Standing::new(Address::Tcp(([127, 0, 0, 1], 80).into()), 0);
        let failed = |times| (0..times).map(|_| standing.failed(3)).collect::<Vec<_>>();
        assert_eq!(failed(2), [false, false]);
        standing.succeeded();
        assert_eq!(failed(4), [false, false, true, false], "the row starts anew");
    }
}
