//! Figures once a second, as a program reads them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::scene;
use crate::harness::{PATIENCE, Sidecar, eventually};

/// One listener.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn open(sidecar: &Sidecar) -> Self {
        let mut stream = TcpStream::connect(sidecar.admin()).expect("the admin port listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is read");
        Self(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line in time");
        line
    }

    fn status(&mut self) -> String {
        self.line()
    }

    /// The next event.
    fn figures(&mut self) -> Value {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the stream ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).expect("JSON in one line");
            }
        }
    }
}

#[test]
fn rates_shares_and_percentiles_follow_the_traffic() {
    let (sidecar, _stable, _gray) = scene();
    let mut listener = Listener::open(&sidecar);
    let first = listener.figures();
    assert_eq!((&first["over_seconds"], &first["releases"][0]["gray_share"]), (&0.0.into(), &Value::Null));
    let mut user = 0;
    let figures = eventually("both lanes in the figures", || {
        for _ in 0..40 {
            user += 1;
            sidecar.get("/", &format!("x-user-id: u{user}\r\n"));
        }
        let figures = listener.figures();
        let lanes = figures["releases"][0]["lanes"].as_array().expect("lanes").clone();
        lanes.iter().all(|lane| lane["rate"].as_f64() > Some(0.0)).then_some(figures)
    });
    let share = figures["releases"][0]["gray_share"].as_f64().expect("a share");
    assert!(share > 0.1 && share < 0.9, "{figures}");
    for lane in figures["routes"][0]["lanes"].as_array().expect("lanes") {
        assert_eq!((&lane["errors"], &lane["breaker"]), (&0.0.into(), &"closed".into()), "{lane}");
        assert!(lane["p50_seconds"].as_f64() <= lane["p99_seconds"].as_f64(), "{lane}");
    }
}

#[test]
fn events_come_once_a_second_and_listeners_share_the_looks() {
    let (sidecar, _stable, _gray) = scene();
    let mut listeners = [Listener::open(&sidecar), Listener::open(&sidecar)];
    let begun = Instant::now();
    let mut numbers = listeners.each_mut().map(|listener| {
        let mut last = listener.figures();
        for _ in 0..3 {
            last = listener.figures();
        }
        last["number"].as_u64().expect("a number")
    });
    assert!(begun.elapsed() > Duration::from_millis(2500));
    numbers.sort_unstable();
    assert!(numbers[1] <= 6, "two listeners do not double the looks: {numbers:?}");
}

#[test]
fn so_many_listen_and_no_more_until_one_goes() {
    let (sidecar, _stable, _gray) = scene();
    let mut listeners: Vec<Listener> = (0..32).map(|_| Listener::open(&sidecar)).collect();
    for listener in &mut listeners {
        assert!(listener.status().contains(" 200 "));
    }
    assert!(Listener::open(&sidecar).status().contains(" 503 "));
    drop(listeners.pop());
    eventually("room for another one", || Listener::open(&sidecar).status().contains(" 200 ").then_some(()));
}

#[test]
fn a_listener_does_not_keep_a_sidecar_from_ending() {
    let (mut sidecar, _stable, _gray) = scene();
    let mut listener = Listener::open(&sidecar);
    listener.figures();
    let begun = Instant::now();
    sidecar.terminate();
    assert!(sidecar.wait().success(), "{}", sidecar.stderr());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
