//! What a lane is sent, and what the process refuses when it has too much to do.

mod lanes;
mod overload;
mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Client, Origin, Plan, answer};

/// An origin that answers `/hold` only once the switch is on, and anything else at once.
fn holding(name: &'static str) -> (Origin, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&open);
    let origin = Origin::answering(move |request| {
        while request.head.target() == "/hold" && !switch.load(Ordering::Acquire) {
            // The time that the answer takes, in small parts.
            std::thread::sleep(Duration::from_millis(2));
        }
        answer("200 OK", &format!("X-Lane: {name}\r\n"), b"")
    });
    (origin, open)
}

/// Everything to one upstream, whose lane has these limits.
fn limited(origin: &Origin, limits: &str) -> Plan {
    let keys = format!("limits: {{ stable: {{ {limits} }} }}");
    Plan::new().upstream("stable", origin.address()).route("all", "/{*rest}", "stable: stable", &keys)
}

/// Sends `GET /hold` and reads nothing yet.
fn hold(client: &mut Client) {
    client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
}
