//! Many changes under load: nobody notices.

use std::time::Duration;

use super::crowd::{Crowd, Versions};
use crate::harness::Sidecar;

const RELOADS: usize = 60;

#[test]
fn no_request_fails_no_tunnel_ends_and_none_sees_two_versions() {
    let versions = Versions::new();
    let sidecar = Sidecar::start(&versions.plans[0]);
    let crowd = Crowd::start(&sidecar, 6, 6, 10, Duration::from_millis(1));
    for at in 1..=RELOADS {
        sidecar.reload(&versions.plans[at % 2]);
        // The pace of the changes.
        std::thread::sleep(Duration::from_millis(10));
    }
    let (tally, closed) = crowd.end();
    assert_eq!((tally.failed, tally.mixed, closed), (0, 0, 0), "of {} requests", tally.requests);
    assert!(tally.requests > RELOADS, "{}", tally.requests);
    assert_eq!(sidecar.metric("graylane_config_version", &[]), 1.0 + RELOADS as f64);
}
