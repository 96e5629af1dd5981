//! A sidecar that nobody asks for anything costs next to nothing: there is one on every pod.

use std::fs;
use std::time::Duration;

use crate::harness::{Origin, Plan, Sidecar, eventually};

/// The most wake-ups a second, of all threads together: those of the looks at files and upstreams, twice a second each.
const MOST_A_SECOND: u64 = 40;

fn wake_ups(sidecar: &Sidecar) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", sidecar.process_id())).unwrap();
    let of_task = |folder: fs::DirEntry| {
        let status = fs::read_to_string(folder.path().join("status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.flatten().map(of_task).sum()
}

#[test]
fn a_sidecar_without_requests_hardly_wakes() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: full\nrollback_on: [{ metric: graylane_error_rate, threshold: 5%, duration: 30s }]")
        .more("breakers: { default: {} }\n")
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\nbreaker: default");
    let sidecar = Sidecar::start(&plan);
    // Its windows have calls in them.
    assert_eq!(sidecar.get("/", "x-user-id: u\r\n").status(), 200);
    eventually("a quiet second", || {
        let before = wake_ups(&sidecar);
        std::thread::sleep(Duration::from_secs(1));
        // A thread that ended meanwhile takes its count with it.
        wake_ups(&sidecar).checked_sub(before).filter(|woken| *woken < MOST_A_SECOND)
    });
}
