//! What a change leaves behind: nothing.

use super::crowd::Versions;
use crate::harness::{Sidecar, eventually};

const WARM_UP: usize = 100;
const RELOADS: usize = 1000;

#[test]
fn a_thousand_changes_leave_no_descriptor_thread_series_or_memory() {
    let versions = Versions::new();
    let sidecar = Sidecar::start(&versions.plans[0]);
    let mut client = sidecar.client();
    let mut turn = |reloads: usize| {
        for at in 1..=reloads {
            sidecar.reload(&versions.plans[at % 2]);
            if at % 10 == 0 {
                assert_eq!(client.get("/", "").status(), 200);
            }
        }
    };
    let series = || sidecar.admin_get("/metrics").text().lines().count();
    turn(WARM_UP);
    let (threads, memory) = (sidecar.status_figure("Threads:"), sidecar.memory_kib("VmRSS:"));
    let (descriptors, lines) = (sidecar.descriptors(), series());
    turn(RELOADS);
    // Connections of the upstream that is not used any more end a moment later.
    eventually("its descriptors to go", || (sidecar.descriptors() <= descriptors + 2).then_some(()));
    eventually("its series to go", || (series() <= lines).then_some(()));
    // Blocking threads come and go with the load of the machine; a leak would be of hundreds.
    assert!(sidecar.status_figure("Threads:") <= threads + 8);
    let grown = sidecar.memory_kib("VmRSS:").saturating_sub(memory);
    println!("{RELOADS} reloads: {grown} KiB more than after the first {WARM_UP}");
    assert!(grown < 8 * 1024, "{grown} KiB: a leak of 8 KiB for each change");
}
