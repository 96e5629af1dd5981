//! What every end-to-end test stands on: the real binary on ports of its own, origins in the test's process that record
//! what reached them, and clients that write exact bytes and read strictly.
//!
//! Nothing here sleeps for luck: every wait polls a condition and gives up loudly after [`PATIENCE`].

mod client;
mod collector;
pub(crate) mod frames;
mod geo;
mod grpc;
mod h2c;
mod origin;
mod plan;
mod ports;
mod process;
mod python;
mod redis;
mod sidecar;
mod wire;

use std::time::{Duration, Instant};

pub(crate) use client::{Broken, Client, Response};
pub(crate) use collector::{Collector, Mood, attribute, hex};
pub(crate) use geo::Geo;
pub(crate) use grpc::{GrpcOrigin, Text, grpc_client, grpc_path};
pub(crate) use h2c::{H2Origin, collect, h2_client, send_all};
pub(crate) use origin::{Origin, answer};
pub(crate) use plan::Plan;
pub(crate) use ports::Port;
pub(crate) use process::{Process, graylane};
pub(crate) use python::{PythonServer, python_script};
pub(crate) use redis::Redis;
pub(crate) use sidecar::Sidecar;
pub(crate) use wire::Head;

/// How long a test waits for something that must happen; generous, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `condition` yields something, and says what was awaited when it never does.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        // The pause between two looks.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Bounds a future by [`PATIENCE`].
pub(crate) async fn patient<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// The bucket of a key by an implementation of other people's, so that tests can choose users without asking the proxy.
pub(crate) fn bucket(salt: &str, key: &str) -> u16 {
    let mut text = std::io::Cursor::new(format!("{salt}{key}"));
    let hash = murmur3::murmur3_32(&mut text, 0).expect("memory is readable");
    u16::try_from((u64::from(hash) * 1000) >> 32).expect("below 1000")
}
