//! A supervisor that wants to be told, as systemd with `Type=notify`.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::harness::{Client, Origin, PATIENCE, Plan, Port, Process};

fn heard(socket: &UnixDatagram) -> String {
    let mut line = [0; 256];
    let length = socket.recv(&mut line).expect("the sidecar tells its supervisor");
    String::from_utf8_lossy(&line[..length]).into_owned()
}

#[test]
fn a_supervisor_is_told_when_traffic_is_accepted_and_when_it_ends() {
    let folder = tempfile::TempDir::new().expect("a temporary directory");
    let socket = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&socket).expect("a free path");
    supervisor.set_read_timeout(Some(PATIENCE)).expect("a time-out over zero");
    let (origin, traffic, admin) = (Origin::lane("stable"), Port::reserve(), Port::reserve());
    let config = folder.path().join("graylane.yaml");
    let plan = Plan::to(origin.address()).render(traffic.address(), admin.address());
    std::fs::write(&config, plan).expect("a writable directory");
    let arguments = [Path::new("run"), Path::new("--config"), &config];
    let mut process = Process::start_with(arguments, &[("NOTIFY_SOCKET", socket.as_os_str())]);
    assert_eq!(heard(&supervisor), "READY=1\n");
    // Now, not soon: whoever was told may send at once.
    assert_eq!(Client::connect(traffic.address()).get("/", "").status(), 200);
    process.signal("TERM");
    assert_eq!(heard(&supervisor), "STOPPING=1\n");
    assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
}

#[test]
fn a_supervisor_that_is_gone_changes_nothing() {
    let folder = tempfile::TempDir::new().expect("a temporary directory");
    let (origin, traffic, admin) = (Origin::lane("stable"), Port::reserve(), Port::reserve());
    let config = folder.path().join("graylane.yaml");
    let plan = Plan::to(origin.address()).render(traffic.address(), admin.address());
    std::fs::write(&config, plan).expect("a writable directory");
    let gone = folder.path().join("gone");
    let arguments = [Path::new("run"), Path::new("--config"), &config];
    let mut process = Process::start_with(arguments, &[("NOTIFY_SOCKET", gone.as_os_str())]);
    crate::harness::eventually("a word of warning", || process.stderr().contains("the supervisor").then_some(()));
    assert_eq!(Client::connect(traffic.address()).get("/", "").status(), 200);
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
}
