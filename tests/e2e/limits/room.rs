//! Room comes back however a request ends.

use std::time::Duration;

use http::Request;
use tonic::Code;

use super::limited;
use crate::harness::{
    GrpcOrigin, Origin, Plan, Sidecar, Text, answer, eventually, grpc_client, grpc_path, h2_client, patient,
};

/// Never answers `/hold`, and everything else at once.
fn mute() -> Origin {
    Origin::start(|visit| {
        while let Some(request) = visit.request() {
            if request.head.target() == "/hold" {
                return visit.wait_for_close();
            }
            if visit.send(answer("200 OK", "", b"")).is_none() {
                return;
            }
        }
    })
}

#[test]
fn room_comes_back_when_http_1_clients_leave() {
    let origin = mute();
    let sidecar = Sidecar::start(&limited(&origin, "concurrency: 2"));
    for round in 1..=5 {
        let mut leaving = [sidecar.client(), sidecar.client()];
        leaving.iter_mut().for_each(super::hold);
        eventually("both to be there", || {
            let holds = origin.requests().iter().filter(|seen| seen.head.target() == "/hold").count();
            (holds == 2 * round).then_some(())
        });
        assert_eq!(sidecar.get("/", "").status(), 429);
        drop(leaving);
        eventually("room", || (sidecar.get("/", "").status() == 200).then_some(()));
        sidecar.wait_for_metric("graylane_inflight_requests", &[("route", "all")], 0.0);
    }
}

#[tokio::test]
async fn room_comes_back_when_http_2_streams_are_reset() {
    let origin = mute();
    let sidecar = Sidecar::start(&limited(&origin, "concurrency: 2"));
    let client = h2_client(sidecar.traffic()).await;
    let request = |path: &str| Request::get(format!("http://shop.test{path}")).body(()).expect("a request");
    let status = async |path: &str| {
        let mut client = client.clone().ready().await.expect("the connection is up");
        let (response, _) = client.send_request(request(path), true).expect("a stream");
        patient("an answer", response).await.expect("an answer").status().as_u16()
    };
    for _ in 0..5 {
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut client = client.clone().ready().await.expect("the connection is up");
            streams.push(client.send_request(request("/hold"), true).expect("a stream"));
        }
        // Streams of one connection are taken in their order.
        assert_eq!(status("/").await, 429);
        streams.iter_mut().for_each(|(_, stream)| stream.send_reset(h2::Reason::CANCEL));
        patient("room", async { while status("/").await != 200 {} }).await;
    }
}

#[test]
fn room_comes_back_when_the_upstream_fails() {
    let rude = Origin::start(|visit| _ = visit.request());
    let cut = Origin::start(|visit| {
        visit.request();
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    });
    let mute = Origin::start(|visit| {
        visit.request();
        visit.wait_for_close();
    });
    let limits =
        "limits: { stable: { concurrency: 1, adaptive: { least: 1, most: 1 } } }\ntimeouts: { first_byte: 50ms }";
    let plan = Plan::new()
        .upstream("rude", rude.address())
        .upstream("cut", cut.address())
        .upstream("mute", mute.address())
        .route("rude", "/rude", "stable: rude", limits)
        .route("cut", "/cut", "stable: cut", limits)
        .route("mute", "/mute", "stable: mute", limits);
    let sidecar = Sidecar::start(&plan);
    for _ in 0..5 {
        assert_eq!(sidecar.get("/rude", "").status(), 502);
        assert_eq!(sidecar.get("/mute", "").status(), 504);
        let mut client = sidecar.client();
        client.send(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(client.try_answer("GET").is_err());
    }
    assert_eq!(sidecar.metric("graylane_limited_total", &[]), 0.0);
}

#[test]
fn room_is_kept_until_the_last_byte() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        visit.wait_for_close();
    });
    let sidecar = Sidecar::start(&limited(&origin, "concurrency: 1"));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, _) = client.final_head().expect("a head");
    assert_eq!(head.status(), 200);
    assert_eq!(sidecar.get("/", "").status(), 429);
    assert!(!client.stays_silent_for(Duration::from_millis(1)), "the body has begun");
}

#[tokio::test]
async fn a_grpc_call_without_room_gets_resource_exhausted() {
    let origin = GrpcOrigin::start();
    let keys = "limits: { stable: { concurrency: 1 } }";
    let plan = Plan::new().upstream_h2("stable", origin.address()).route("all", "/{*rest}", "stable: stable", keys);
    let sidecar = Sidecar::start(&plan);
    let mut client = grpc_client(sidecar.traffic()).await;
    let text = |message: &str| tonic::Request::new(message.to_owned());
    let endless = client.server_streaming(text(""), grpc_path("Endless"), Text);
    let stream = patient("a stream", endless).await.expect("a stream").into_inner();
    client.ready().await.expect("the channel is up");
    let refused = client.unary(text("7"), grpc_path("Quote"), Text);
    let status = patient("an answer", refused).await.expect_err("there is no room");
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "limited"));
    drop(stream);
    let room = async {
        loop {
            client.ready().await.expect("the channel is up");
            if client.unary(text("7"), grpc_path("Quote"), Text).await.is_ok() {
                return;
            }
        }
    };
    patient("room", room).await;
}
