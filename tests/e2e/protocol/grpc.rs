//! gRPC by a real client and a real service (tonic), HTTP/2 on both sides.

use std::time::Duration;

use tokio_stream::StreamExt;
use tonic::{Code, Request};

use crate::harness::{
    GrpcOrigin, H2Origin, Origin, Plan, Port, Sidecar, Text, eventually, grpc_client, grpc_path, patient,
};

fn scene() -> (Sidecar, GrpcOrigin) {
    let origin = GrpcOrigin::start();
    let plan = Plan::new().upstream_h2("stable", origin.address()).rest();
    (Sidecar::start(&plan), origin)
}

fn text(message: &str) -> Request<String> {
    Request::new(message.to_owned())
}

#[tokio::test]
async fn row_19_a_unary_call_passes_with_metadata() {
    let (sidecar, _origin) = scene();
    let mut client = grpc_client(sidecar.traffic()).await;
    let answer = client.unary(text("10086 手机"), grpc_path("Quote"), Text);
    let answer = patient("an answer", answer).await.expect("a price");
    assert_eq!(answer.metadata().get("x-lane-seen").expect("a mark"), "stable");
    assert_eq!(answer.into_inner(), "price of 10086 手机");
}

#[tokio::test]
async fn row_19_an_error_without_a_message_passes_whole() {
    let (sidecar, _origin) = scene();
    let mut client = grpc_client(sidecar.traffic()).await;
    let answer = client.unary(text("0"), grpc_path("Quote"), Text);
    let status = patient("an answer", answer).await.expect_err("no such SKU");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.message(), "no such SKU: 商品");
    assert_eq!(status.metadata().get("x-detail").expect("it passes"), "sku 0");
}

#[tokio::test]
async fn row_19_a_server_stream_passes_message_by_message() {
    let (sidecar, _origin) = scene();
    let mut client = grpc_client(sidecar.traffic()).await;
    let answer = client.server_streaming(text("100"), grpc_path("Watch"), Text);
    let stream = patient("a stream", answer).await.expect("a stream");
    let all: Vec<_> = patient("its end", stream.into_inner().collect()).await;
    let all: Result<Vec<String>, _> = all.into_iter().collect();
    let expected: Vec<String> = (1..=100).map(|step| step.to_string()).collect();
    assert_eq!(all.expect("no error"), expected);
}

#[tokio::test]
async fn row_19_an_error_at_the_end_of_a_stream_passes_in_the_trailers() {
    let (sidecar, _origin) = scene();
    let mut client = grpc_client(sidecar.traffic()).await;
    let answer = client.server_streaming(text("101"), grpc_path("Watch"), Text);
    let mut stream = patient("a stream", answer).await.expect("a stream").into_inner();
    for _ in 0..100 {
        stream.message().await.expect("a message").expect("not yet the end");
    }
    let status = stream.message().await.expect_err("too many");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "a hundred at most");
}

#[tokio::test]
async fn row_19_a_client_stream_passes() {
    let (sidecar, _origin) = scene();
    let mut client = grpc_client(sidecar.traffic()).await;
    let numbers = tokio_stream::iter((1..=1000).map(|n| n.to_string()));
    let answer = client.client_streaming(Request::new(numbers), grpc_path("Sum"), Text);
    let answer = patient("an answer", answer).await.expect("a sum");
    assert_eq!(answer.into_inner(), "500500");
}

#[tokio::test]
async fn row_19_both_sides_stream_in_turns() {
    let (sidecar, _origin) = scene();
    let mut client = grpc_client(sidecar.traffic()).await;
    let (say, said) = tokio::sync::mpsc::channel::<String>(1);
    let said = tokio_stream::wrappers::ReceiverStream::new(said);
    let answer = client.streaming(Request::new(said), grpc_path("Chat"), Text);
    let mut answers = patient("a stream", answer).await.expect("a stream").into_inner();
    for turn in 0..20 {
        say.send(format!("turn {turn}")).await.expect("it is taken");
        let heard = patient("an answer", answers.message()).await;
        let heard = heard.expect("a message").expect("not the end");
        assert_eq!(heard, format!("re: turn {turn}"));
    }
    drop(say);
    let end = patient("the end", answers.message()).await;
    assert_eq!(end.expect("no error"), None);
}

#[tokio::test]
async fn row_20_a_call_given_up_ends_at_the_service() {
    let (sidecar, origin) = scene();
    let mut client = grpc_client(sidecar.traffic()).await;
    let answer = client.server_streaming(text("go"), grpc_path("Endless"), Text);
    let mut stream = patient("a stream", answer).await.expect("a stream").into_inner();
    let first = patient("a message", stream.message()).await;
    assert_eq!(first.expect("no error").as_deref(), Some("first"));
    drop(stream);
    drop(client);
    let ended = tokio::task::spawn_blocking(move || {
        eventually("the service to notice", || (origin.cancelled() == 1).then_some(()));
    });
    ended.await.expect("the service noticed");
}

#[tokio::test]
async fn row_19_an_upstream_that_is_down_is_unavailable() {
    let nobody = Port::reserve();
    let plan = Plan::new().upstream_h2("stable", nobody.address()).rest();
    let sidecar = Sidecar::start(&plan);
    let mut client = grpc_client(sidecar.traffic()).await;
    let answer = client.unary(text("7"), grpc_path("Quote"), Text);
    let status = patient("an answer", answer).await.expect_err("nobody is there");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let address = nobody.address().to_string();
    assert!(!status.message().contains(&address), "{status:?}");
}

#[tokio::test]
async fn row_19_without_a_route_a_call_is_unimplemented() {
    let origin = Origin::lane("stable");
    let plan = Plan::new().upstream("stable", origin.address()).route("only", "/only", "stable: stable", "");
    let sidecar = Sidecar::start(&plan);
    let mut client = grpc_client(sidecar.traffic()).await;
    let answer = client.unary(text("7"), grpc_path("Quote"), Text);
    let status = patient("an answer", answer).await.expect_err("no route");
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
}

#[tokio::test]
async fn row_19_the_callers_deadline_is_honoured_and_passed_on() {
    let origin = H2Origin::start(|_, mut respond| async move {
        // Never answers; ends when the sidecar gives up.
        let _ = std::future::poll_fn(|context| respond.poll_reset(context)).await;
    });
    let plan = Plan::new().upstream_h2("stable", origin.address()).rest();
    let sidecar = Sidecar::start(&plan);
    let mut client = crate::harness::h2_client(sidecar.traffic()).await;
    let request = http::Request::post("http://shop.test/goods.Prices/Quote")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "300m")
        .body(())
        .expect("a request");
    let start = std::time::Instant::now();
    let (response, _) = client.send_request(request, true).expect("a stream");
    let response = patient("an answer", response).await.expect("an answer");
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(response.headers()["grpc-status"], "4");
    let seen = origin.only();
    let passed = seen.headers["grpc-timeout"].to_str().expect("text").to_owned();
    let (digits, unit) = passed.split_at(passed.len() - 1);
    let value: u64 = digits.parse().expect("digits");
    let micros = match unit {
        "S" => value * 1_000_000,
        "m" => value * 1000,
        "u" => value,
        "n" => value / 1000,
        other => panic!("unit {other}"),
    };
    assert!((1..=300_000).contains(&micros), "{passed}");
}
