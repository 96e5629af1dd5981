//! Ports that are taken.

use std::net::TcpListener;

use crate::harness::{Origin, Plan, Port, graylane};

fn run_with(traffic: std::net::SocketAddr, admin: std::net::SocketAddr) -> (Option<i32>, String) {
    let origin = Origin::lane("stable");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("graylane.yaml");
    let text = Plan::to(origin.address()).render(traffic, admin);
    std::fs::write(&path, text).expect("a writable directory");
    let path = path.to_str().expect("a plain path");
    let output = graylane(["run", "--config", path]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_traffic_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = (taken.local_addr().expect("bound"), taken);
    let (code, said) = run_with(taken.0, Port::reserve().address());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&taken.0.to_string()), "{said}");
}

#[test]
fn an_admin_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = (taken.local_addr().expect("bound"), taken);
    let (code, said) = run_with(Port::reserve().address(), taken.0);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&taken.0.to_string()), "{said}");
}
