//! What is counted for each upstream.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::cells::Cells;
use super::label::{ConnectResult, ConnectionState};

const STATES: usize = ConnectionState::ALL.len();

/// The series of one upstream.
pub struct UpstreamSeries {
    cells: Cells,
    panic: AtomicBool,
}

impl UpstreamSeries {
    pub(super) fn new(workers: usize) -> Self {
        Self { cells: Cells::new(workers, STATES + ConnectResult::ALL.len()), panic: AtomicBool::new(false) }
    }

    /// Counts an attempt to connect.
    #[inline]
    pub fn connect(&self, worker: usize, result: ConnectResult) {
        self.cells.add(worker, STATES + result as usize, 1);
    }

    /// One connection more is in this state.
    #[inline]
    pub fn enter(&self, worker: usize, state: ConnectionState) {
        self.cells.add(worker, state as usize, 1);
    }

    /// One connection less is in this state.
    #[inline]
    pub fn leave(&self, worker: usize, state: ConnectionState) {
        self.cells.sub(worker, state as usize, 1);
    }

    /// Tells whether all endpoints are used because too few are fit.
    pub fn set_panic(&self, panic: bool) {
        self.panic.store(panic, Relaxed);
    }

    /// Whether all endpoints are used because too few are fit.
    pub fn panic(&self) -> bool {
        self.panic.load(Relaxed)
    }

    /// How many connections are in this state now.
    pub fn connections(&self, state: ConnectionState) -> u64 {
        self.cells.level(state as usize)
    }

    /// How many attempts to connect ended like this.
    pub fn connects(&self, result: ConnectResult) -> u64 {
        self.cells.sum(STATES + result as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_moves_from_active_to_idle_and_away() {
        let series = UpstreamSeries::new(1);
        series.connect(0, ConnectResult::Connected);
        series.enter(0, ConnectionState::Active);
        series.leave(0, ConnectionState::Active);
        series.enter(0, ConnectionState::Idle);
        assert_eq!(series.connections(ConnectionState::Active), 0);
        assert_eq!(series.connections(ConnectionState::Idle), 1);
        series.leave(0, ConnectionState::Idle);
        assert_eq!(series.connections(ConnectionState::Idle), 0);
        assert_eq!(series.connects(ConnectResult::Connected), 1);
        assert_eq!(series.connects(ConnectResult::Refused), 0);
    }
}
