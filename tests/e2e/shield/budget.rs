//! A dying gray must not double stable's load.

use crate::harness::{Origin, Plan, Sidecar, answer};

#[test]
fn beyond_the_budget_grays_failures_are_the_answers() {
    let (stable, gray) = (Origin::lane("stable"), Origin::answering(|_| answer("500 Oops", "", b"")));
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: full")
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\nshield: { on: [500], budget: 20% }");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    let failed = (0..500).filter(|_| client.get("/p", "").status() == 500).count();
    // A fifth of the requests and a few a second at the least: most of a burst of failures is not repeated.
    assert!((300..=440).contains(&failed), "{failed} of 500 were not made good");
    assert_eq!(stable.requests().len(), 500 - failed);
    sidecar.wait_for_metric("graylane_shielded_total", &[("route", "all")], (500 - failed) as f64);
}
