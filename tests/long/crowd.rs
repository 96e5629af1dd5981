//! Ten thousand clients that keep their connection and say nothing.

use crate::harness::{Client, Origin, Plan, Sidecar};

const CROWD: usize = 10_000;

#[test]
fn ten_thousand_idle_connections_are_cheap_and_still_served() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    assert_eq!(sidecar.get("/", "").status(), 200);
    let before = sidecar.memory_kib("VmRSS:");
    let mut crowd: Vec<Client> = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        let mut client = sidecar.client();
        assert_eq!(client.get("/", "").status(), 200);
        crowd.push(client);
    }
    let after = sidecar.memory_kib("VmRSS:");
    let each = (after - before) as f64 / CROWD as f64;
    println!("{CROWD} idle connections: {} MiB resident, {each:.1} KiB each", after / 1024);
    // A bound against leaks, not the figure: that one is printed.
    assert!(after - before < 32 * CROWD as u64, "{before} to {after} KiB");
    for client in crowd.iter_mut().step_by(997) {
        assert_eq!(client.get("/", "").status(), 200);
    }
}
