//! The binary is replaced on a running port, and sockets come from elsewhere.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};

use super::succession::{Succession, Visitors, with_workers};
use crate::harness::{Client, Origin, Plan, Port, eventually};

#[test]
fn replacing_the_process_loses_no_request() {
    let origin = Origin::lane("stable");
    let mut line = Succession::start(&Plan::to(origin.address()), 2);
    let visitors = Visitors::start(line.traffic, 2);
    for _ in 0..3 {
        let before = visitors.answered();
        eventually("requests between two replacements", || (visitors.answered() > before + 50).then_some(()));
        line.replace();
        assert_eq!(line.admin_get("/readyz"), 200);
    }
    let (answered, failed) = visitors.end();
    assert_eq!(failed, 0, "of {answered}");
    assert!(answered > 150);
    assert_eq!(line.ids.len(), 4);
}

#[test]
fn the_next_process_may_have_another_number_of_workers() {
    let origin = Origin::lane("stable");
    let plan = Plan::to(origin.address());
    let mut line = Succession::start(&plan, 3);
    let text = std::fs::read_to_string(line.config()).expect("it was written").replace("workers: 3", "workers: 1");
    for workers in [1, 4] {
        std::fs::write(line.config(), with_workers(&text, workers)).expect("a writable directory");
        line.replace();
        // The kernel spreads connections over every socket, so one that nobody accepts from would show.
        for _ in 0..100 {
            assert_eq!(Client::connect(line.traffic).get("/", "Connection: close\r\n").status(), 200, "{workers}");
        }
    }
}

#[test]
fn a_process_that_cannot_start_takes_nothing_over() {
    let origin = Origin::lane("stable");
    let line = Succession::start(&Plan::to(origin.address()), 2);
    std::fs::write(line.config(), "nonsense: true\n").expect("a writable directory");
    line.signal("USR2");
    eventually("the hand-over to fail", || line.log().contains("ended before it was ready").then_some(()));
    assert_eq!(line.admin_get("/readyz"), 200);
    assert_eq!(Client::connect(line.traffic).get("/", "").status(), 200);
}

/// A socket that systemd would hold: it is there before the process and after it.
#[test]
fn a_socket_from_elsewhere_outlives_the_process() {
    let origin = Origin::lane("stable");
    let (port, admin) = (Port::reserve(), Port::reserve());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = directory.path().join("graylane.yaml");
    let plan = Plan::to(origin.address());
    std::fs::write(&config, plan.render(port.address(), admin.address())).expect("a writable directory");
    let listener = TcpListener::bind(port.address()).expect("a reserved port");
    for _ in 0..2 {
        // Nobody accepts yet.
        let mut early = Client::connect(port.address());
        early.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let parent_fd = listener.try_clone().expect("a descriptor").into();
        let mut process = Command::new(env!("CARGO_BIN_EXE_graylane"))
            .args(["run", "--config"])
            .arg(&config)
            .env("LISTEN_FDS", "1")
            .env_remove("LISTEN_PID")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .fd_mappings(vec![FdMapping { parent_fd, child_fd: 3 }])
            .expect("one descriptor does not collide")
            .spawn()
            .expect("the binary is built");
        let answer = early.try_answer("GET");
        let ended = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
        let status = process.wait().expect("our own child");
        assert!(ended.expect("kill is there").success());
        assert_eq!(answer.expect("an answer").status(), 200);
        assert_eq!(status.code(), Some(0));
    }
}
