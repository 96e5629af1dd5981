//! Bodies that stop half-way: what is left of them is never taken for a request, and never sent twice.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::{Plan, Sidecar};

const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_body_that_an_upstream_does_not_take_is_not_read_as_requests() {
    // A Unix socket has buffers of a fixed size, so that an upload gets stuck at a certain byte: with lengths that
    // differ by less than a read, one of them has been read to its end by then.
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("stuck.sock");
    let listener = UnixListener::bind(&path).expect("a free path");
    let plan = Plan::new().upstream("stable", format!("unix:{}", path.display())).route(
        "rest",
        "/{*rest}",
        "stable: stable",
        "timeouts: { first_byte: 250ms }",
    );
    let sidecar = Sidecar::start(&plan.more("limits: { body_idle: 20s }"));
    let mut clients = Vec::new();
    for size in (150_000..450_000).step_by(15_000) {
        let mut body = HIDDEN.repeat(size / HIDDEN.len());
        body.truncate(size);
        let mut client = sidecar.client();
        let _ = client.try_send(
            format!("POST /case HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
        );
        clients.push((body.len(), client));
    }
    for (size, client) in &mut clients {
        let response = client.answer_to("POST");
        // It is the upstream that is slow, not the client.
        assert_eq!(response.status(), 504, "{size}: {response:?}");
        if response.get("connection").is_some_and(|value| value == "close") {
            client.assert_closed();
        } else {
            assert!(client.stays_silent_for(Duration::from_millis(50)), "{size}: the body was read as a request");
        }
    }
    drop(listener);
}
