use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc as channels;
use std::time::Duration;

use super::*;
use crate::change::Concern;

const PATIENCE: Duration = Duration::from_secs(30);

/// A webhook that answers these statuses, one a call, and tells the bodies.
fn webhook(statuses: &'static [u16]) -> (String, channels::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/invalidate", listener.local_addr().unwrap());
    let (tell, told) = channels::channel();
    std::thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            let mut piece = [0; 4096];
            while !text.ends_with(b"}") {
                let count = stream.read(&mut piece).unwrap();
                text.extend_from_slice(&piece[..count]);
            }
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            let text = String::from_utf8(text).unwrap();
            let body = text.split_once("\r\n\r\n").unwrap().1.to_owned();
            if tell.send(body).is_err() {
                return;
            }
        }
    });
    (url, told)
}

fn event() -> Event {
    let skus = Concern::Skus(["A1".to_owned()].into());
    Event::of(skus, "goods", Some(42), "one", "two").unwrap()
}

fn counted(telemetry: &Telemetry, target: &str, result: &str) -> bool {
    let series = format!("graylane_invalidations_total{{target=\"{target}\",result=\"{result}\"}} ");
    let text = telemetry.render().unwrap();
    let line = text.lines().find(|line| line.starts_with(&series)).unwrap_or_else(|| panic!("{text}")).to_owned();
    !line.ends_with(" 0")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_fails_first_is_called_again_with_the_same_event() {
    let (url, told) = webhook(&[503, 500, 204]);
    let telemetry = Arc::new(Telemetry::new(1));
    let mut products = Products::new(telemetry.clone());
    products.follow(&ProductsPlan { webhook: Some(url), ..ProductsPlan::default() });
    products.tell(&event());
    let bodies: Vec<String> = (0..3).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    let told: serde_json::Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!((&told["sku_ids"], &told["product_version"]), (&serde_json::json!(["A1"]), &serde_json::json!(42)));
    assert_eq!((&told["from"], &told["config_version"]), (&"one".into(), &"two".into()));
    let until_sent = async {
        while !counted(&telemetry, "webhook", "sent") {
            // The pause between two looks.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_sent).await.expect("what was taken is counted");
    assert!(counted(&telemetry, "webhook", "retried") && !counted(&telemetry, "webhook", "dropped"));
}

#[tokio::test]
async fn a_target_that_never_answers_costs_a_bounded_queue_and_what_is_dropped_is_counted() {
    // Nobody listens on the discard port.
    let plan = ProductsPlan { webhook: Some("http://127.0.0.1:9/".to_owned()), ..ProductsPlan::default() };
    let telemetry = Arc::new(Telemetry::new(1));
    let mut products = Products::new(telemetry.clone());
    products.follow(&plan);
    (0..=QUEUE).for_each(|_| products.tell(&event()));
    assert!(counted(&telemetry, "webhook", "dropped"), "no room");
}

#[test]
fn what_concerns_no_product_is_no_event() {
    assert!(Event::of(Concern::Nothing, "goods", Some(42), "one", "two").is_none());
}
