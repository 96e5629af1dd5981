//! Whole protocols over TLS on both sides of the sidecar, by clients and servers of other people: WebSocket by PyPI
//! `websockets` (OpenSSL), gRPC by PyPI `grpcio` (BoringSSL).

use std::path::Path;
use std::process::Command;

use super::kit::{Authority, behind};
use crate::harness::{Plan, PythonServer, Sidecar, python_script};

/// A server's program with its certificate, and a sidecar that believes it and shows a certificate of its own.
fn scene(server: &str, protocol: &str) -> (Sidecar, PythonServer) {
    let (authority, inner) = (Authority::new(), Authority::new());
    let files = tempfile::TempDir::new().expect("a temporary directory");
    let identity = inner.identity(&["127.0.0.1"]);
    let [cert, key] = [("cert.pem", &identity.cert), ("key.pem", &identity.key)].map(|(name, text)| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("a writable directory");
        path
    });
    let server = PythonServer::start(python_script(server).arg(cert).arg(key));
    let keys = format!("endpoints: [\"127.0.0.1:{}\"], {protocol}tls: {{ ca: inner.pem }}", server.port());
    let plan = Plan::new().upstream_of("stable", &keys).rest().file("inner.pem", inner.pem.as_str());
    let plan = plan.file("authority.pem", authority.pem.as_str());
    (Sidecar::start(&behind(plan, &authority.identity(&["shop.test"]), "")), server)
}

/// The file of the authority that vouches for the sidecar.
fn authority(sidecar: &Sidecar) -> impl AsRef<Path> {
    sidecar.directory().join("authority.pem")
}

/// Runs a client to its end; it says `ok` where everything was as it should be.
fn check(client: &mut Command) {
    let client = client.output().expect("python starts");
    assert_eq!(String::from_utf8_lossy(&client.stdout).trim(), "ok", "{}", String::from_utf8_lossy(&client.stderr));
}

#[test]
fn row_14_websockets_pass_over_tls_on_both_sides() {
    let (sidecar, _server) = scene("ws_server.py", "");
    let url = format!("wss://{}/live", sidecar.traffic());
    check(python_script("ws_client.py").arg(url).arg(authority(&sidecar).as_ref()));
}

#[test]
fn row_19_all_kinds_of_grpc_calls_pass_over_tls_on_both_sides() {
    let (sidecar, _server) = scene("grpc_server.py", "protocol: h2, ");
    let address = sidecar.traffic().to_string();
    check(python_script("grpc_client.py").arg(address).arg(authority(&sidecar).as_ref()));
    sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
}
