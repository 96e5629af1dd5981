//! Many connections, slow ones, and heads without end: each has a bound of its own, and nobody else notices.

use super::raw::{attacked, closed_for};
use crate::harness::{Client, Origin, Plan, Sidecar, eventually};

/// Only 127.0.0.1, where the one who looks on comes from, is trusted.
fn limited(limits: &str) -> (Sidecar, Origin) {
    let origin = Origin::lane("stable");
    let plan = Plan::to(origin.address()).trust("127.0.0.1/32").more(&format!("limits: {{ {limits} }}"));
    (Sidecar::start(&plan), origin)
}

fn stranger(sidecar: &Sidecar) -> Client {
    Client::connect_from("127.0.0.7", sidecar.traffic())
}

fn closed(sidecar: &Sidecar, reason: &str) -> f64 {
    sidecar.metric("graylane_connections_closed_total", &[("reason", reason)])
}

#[test]
fn row_21_one_peer_has_only_so_many_connections() {
    let (sidecar, _origin) = limited("connections_per_peer: 50");
    attacked(&sidecar, "300 connections of one peer, 50 allowed", || {
        eventually("earlier connections to be gone", || {
            (sidecar.metric("graylane_client_connections", &[]) < 5.0).then_some(())
        });
        let before = closed(&sidecar, "peer_connections");
        let crowd: Vec<Client> = (0..300).map(|_| stranger(&sidecar)).collect();
        eventually("250 refused connections", || {
            (closed(&sidecar, "peer_connections") - before == 250.0).then_some(())
        });
        let mut served = 0;
        for mut client in crowd {
            let asked = client.try_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok();
            served += usize::from(asked && client.try_answer("GET").is_ok_and(|answer| answer.status() == 200));
        }
        assert_eq!(served, 50);
        String::from("250 closed at once: `peer_connections`")
    });
}

#[test]
fn row_21_there_are_only_so_many_connections() {
    let (sidecar, _origin) = limited("connections: 40");
    let mut first = sidecar.client();
    assert_eq!(first.get("/", "").status(), 200);
    let crowd: Vec<Client> = (0..100).map(|_| stranger(&sidecar)).collect();
    eventually("61 refused connections", || (closed(&sidecar, "connections") == 61.0).then_some(()));
    // Who was there before is served on, and whoever comes when there is room again.
    assert_eq!(first.get("/", "").status(), 200);
    drop(crowd);
    eventually("room again", || {
        let mut client = sidecar.client();
        client.try_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").ok()?;
        client.try_answer("GET").ok().filter(|answer| answer.status() == 200).map(|_| ())
    });
}

#[test]
fn row_22_three_hundred_slow_heads_are_timed_out() {
    let (sidecar, origin) = limited("header_time: 1s");
    attacked(&sidecar, "300 heads that drip (Slowloris)", || {
        let before = closed(&sidecar, "slow_head");
        let mut crowd: Vec<Client> = (0..300)
            .map(|_| {
                let mut client = stranger(&sidecar);
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n");
                client
            })
            .collect();
        eventually("every head to be timed out", || {
            crowd.iter_mut().for_each(|client| _ = client.try_send(b"X: 1\r\n"));
            (closed(&sidecar, "slow_head") >= before + 300.0).then_some(())
        });
        crowd.iter_mut().for_each(|client| _ = client.rest());
        closed_for(&sidecar, &["slow_head"])
    });
    assert!(origin.requests().iter().all(|request| request.head.target() == "/other"));
}

#[test]
fn row_22_three_hundred_slow_bodies_are_timed_out() {
    let (sidecar, origin) = limited("body_idle: 300ms");
    attacked(&sidecar, "300 bodies that stop (R-U-Dead-Yet)", || {
        let mut crowd: Vec<Client> = (0..300).map(|_| stranger(&sidecar)).collect();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\npart";
        crowd.iter_mut().for_each(|client| client.send(head));
        for client in &mut crowd {
            let rest = client.rest();
            assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&rest));
        }
        String::from("408, or the connection ended: `body_pause`")
    });
    assert!(sidecar.metric("graylane_slow_clients_total", &[("reason", "body_pause")]) > 0.0);
    assert!(origin.requests().iter().all(|request| request.head.target() == "/other"));
}

#[test]
fn row_22_a_hundred_bodies_that_drip_are_timed_out() {
    let (sidecar, origin) = limited("body_idle: 1s, body_bytes_per_second: 100");
    attacked(&sidecar, "100 bodies that drip, a byte at a time", || {
        let before = sidecar.metric("graylane_slow_clients_total", &[]);
        let mut crowd: Vec<Client> = (0..100).map(|_| stranger(&sidecar)).collect();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\npart";
        crowd.iter_mut().for_each(|client| client.send(head));
        eventually("every drip to be ended", || {
            crowd.iter_mut().for_each(|client| _ = client.try_send(b"x"));
            (sidecar.metric("graylane_slow_clients_total", &[]) == before + 100.0).then_some(())
        });
        for client in &mut crowd {
            let rest = client.rest();
            assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&rest));
        }
        String::from("408, or the connection ended: `body_drip`")
    });
    assert!(sidecar.metric("graylane_slow_clients_total", &[("reason", "body_drip")]) > 0.0);
    assert!(origin.requests().iter().all(|request| request.head.target() == "/other"));
}

#[test]
fn row_22_a_thousand_idle_connections_are_closed() {
    let (sidecar, _origin) = limited("idle: 1s, header_time: 1s");
    attacked(&sidecar, "1000 connections that say nothing", || {
        let crowd: Vec<Client> = (0..1000).map(|_| stranger(&sidecar)).collect();
        crowd.into_iter().for_each(|mut client| client.assert_closed());
        closed_for(&sidecar, &["idle"])
    });
}

#[test]
fn row_8_heads_without_end_are_refused_where_their_limit_is() {
    let (sidecar, origin) = limited("header_bytes: 64KiB");
    for (what, begin, more) in [
        ("a field without end", &b"GET / HTTP/1.1\r\nHost: a\r\nX: "[..], &[b'x'; 4096][..]),
        ("fields without end", b"GET / HTTP/1.1\r\nHost: a\r\n", &b"X: y\r\n".repeat(500)),
        ("a target without end", b"GET /", &[b'x'; 4096]),
        ("empty lines without end", b"", &b"\r\n".repeat(500)),
    ] {
        attacked(&sidecar, &format!("HTTP/1: {what}"), || {
            let mut client = stranger(&sidecar);
            client.send(begin);
            let mut sent = 0;
            while client.try_send(more).is_ok() {
                sent += more.len();
                assert!(sent < 64 << 20, "{sent} bytes were taken");
            }
            String::from("refused by 4xx, connection ended")
        });
    }
    assert!(origin.requests().iter().all(|request| request.head.target() == "/other"));
}

#[test]
fn row_8_a_limit_of_fields_above_256_is_what_it_says() {
    let (sidecar, origin) = limited("header_count: 1000, header_bytes: 1MiB");
    // Host is one of them.
    for (fields, status) in [(998, 200), (999, 200), (1000, 431)] {
        let response = sidecar.get("/", &"X: y\r\n".repeat(fields));
        assert_eq!(response.status(), status, "{fields}");
    }
    assert_eq!(origin.requests().len(), 2);
    assert_eq!(origin.last().head.all("x").len(), 999);
}
