//! Sidecars in a row: the pod's own service, and the guard against going round.

use crate::harness::{Origin, Plan, Sidecar};

#[test]
fn a_decision_for_another_lane_goes_through_that_lanes_sidecar_to_its_own_service() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = "level: full";
    let beside_gray = Sidecar::start(
        &Plan::new()
            .upstream("stable", stable.address())
            .upstream_of("gray", "endpoints: [local]")
            .release("r", "level: permille\npermille: 0")
            .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r")
            .more(&format!("lane: gray\nlocal: {}\n", gray.address())),
    );
    let beside_stable = Sidecar::start(
        &Plan::new()
            .upstream_of("stable", "endpoints: [local]")
            .upstream("gray", beside_gray.traffic())
            .release("r", release)
            .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r")
            .more(&format!("local: {}\n", stable.address())),
    );
    // The first sidecar decides gray; the second would decide stable, but the mark binds it.
    let response = beside_stable.get("/api/v1/sku/7", "x-user-id: u1\r\n");
    assert_eq!(response.get("x-lane").as_deref(), Some("gray"));
    let head = gray.only().head;
    assert_eq!(head.get("x-gray-lane").as_deref(), Some("gray"));
    assert_eq!(head.get("x-gray-release").as_deref(), Some("r"));
    assert_eq!(stable.connections(), 0);
}

#[test]
fn a_unix_socket_is_an_endpoint() {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("service.sock");
    let listener = UnixListener::bind(&path).expect("a socket file");
    let service = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the sidecar connects");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        while lines.next().is_some_and(|line| !line.expect("text").is_empty()) {}
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("the sidecar reads");
    });
    let plan = Plan::new()
        .upstream_of("stable", "endpoints: [local]")
        .rest()
        .more(&format!("local: \"unix:{}\"\n", path.display()));
    let sidecar = Sidecar::start(&plan);
    assert_eq!(sidecar.get("/", "").text(), "ok");
    service.join().expect("the service answered");
}

#[test]
fn a_request_that_goes_round_is_ended_with_508() {
    let sidecar = Sidecar::start(&Plan::new().upstream("stable", "@traffic").rest());
    let response = sidecar.get("/round", "");
    assert_eq!(response.status(), 508, "{response:?}");
    assert_eq!(response.failure(), "loop");
    assert_eq!(sidecar.get("/round", "").status(), 508);
}

#[test]
fn the_loop_guard_holds_where_nobody_is_trusted() {
    let plan = Plan::new().trust("10.0.0.0/8").upstream("stable", "@traffic").rest();
    let round = Sidecar::start(&plan);
    assert_eq!(round.get("/round", "").status(), 508);
}
