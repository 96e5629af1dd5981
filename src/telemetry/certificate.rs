//! What is told of each certificate.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// The series of one certificate file of one listener or upstream.
#[derive(Default)]
pub struct CertificateSeries(AtomicI64);

impl CertificateSeries {
    /// Tells when it ends, in seconds since the epoch.
    pub fn set_not_after(&self, seconds: i64) {
        self.0.store(seconds, Relaxed);
    }

    pub(super) fn not_after(&self) -> i64 {
        self.0.load(Relaxed)
    }
}
