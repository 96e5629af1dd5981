//! The admin port.

use std::time::{Duration, Instant};

use crate::harness::{Client, Origin, Plan, Port, Sidecar};

fn scene() -> (Sidecar, Origin, Origin) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = "level: permille\npermille: 50";
    let plan = Plan::gray(stable.address(), gray.address(), release);
    (Sidecar::start(&plan), stable, gray)
}

#[test]
fn it_says_that_it_lives_and_is_ready() {
    let (sidecar, _stable, _gray) = scene();
    assert_eq!(sidecar.admin_get("/healthz").status(), 200);
    assert_eq!(sidecar.admin_get("/readyz").status(), 200);
    assert_eq!(sidecar.admin_get("/nothing-here").status(), 404);
}

#[test]
fn the_api_answers_in_json() {
    let (sidecar, _stable, _gray) = scene();
    for (name, word) in [
        ("config", "version"),
        ("releases", "\"r\""),
        ("routes", "\"all\""),
        ("upstreams", "\"gray\""),
        ("breakers", ""),
        ("audit", ""),
    ] {
        let response = sidecar.admin_get(&format!("/api/v1/{name}"));
        assert_eq!(response.status(), 200, "{name}");
        let shown = response.json().to_string();
        assert!(shown.contains(word), "{name}: {shown}");
    }
}

#[test]
fn the_traffic_port_does_not_serve_the_admin_paths() {
    let (sidecar, _stable, _gray) = scene();
    let response = sidecar.get("/metrics", "");
    assert!(response.get("x-lane").is_some(), "{response:?}");
}

#[test]
fn changing_calls_from_another_origin_are_refused() {
    let (sidecar, _stable, _gray) = scene();
    let request = "POST /api/flags/sync HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.test\r\n\
                   Content-Length: 0\r\nConnection: close\r\n\r\n";
    let response = Client::once(sidecar.admin(), request);
    assert!((400..500).contains(&response.status()), "{response:?}");
}

/// As many connections as there are places, of a stranger that says nothing on them: probes and people are answered all the same.
#[test]
fn silent_connections_keep_neither_probes_nor_people_out() {
    let origin = Origin::lane("stable");
    let probes = Port::reserve();
    let more =
        format!("---\napiVersion: graylane.io/v1alpha1\nkind: Sidecar\nspec: {{ probes: \"{}\" }}\n", probes.address());
    let sidecar = Sidecar::start_laid_out(&Plan::to(origin.address()), |directory, text| {
        let config = directory.join("graylane.yaml");
        std::fs::write(&config, format!("{text}{more}")).expect("a writable directory");
        config
    });
    for port in [probes.address(), sidecar.admin()] {
        let silent: Vec<Client> = (0..150).map(|_| Client::connect_from("127.0.0.7", port)).collect();
        // Half a request, which has longer than one that says nothing.
        let asking: Vec<Client> = (0..150)
            .map(|_| {
                let mut client = Client::connect_from("127.0.0.8", port);
                let _ = client.try_send(b"GET /healthz HTTP/1.1\r\n");
                client
            })
            .collect();
        let begun = Instant::now();
        for path in ["/healthz", "/readyz"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            assert_eq!(Client::once(port, &request).status(), 200, "{path} of {port}");
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "a probe waited for {took:?} at {port}");
        drop((silent, asking));
    }
}
