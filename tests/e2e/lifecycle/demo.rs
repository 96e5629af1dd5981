//! The first thing a newcomer runs.

use std::net::{SocketAddr, TcpListener};

use crate::harness::{Client, Process, Response, eventually, graylane};

/// The addresses it told so far, in order, each once.
fn addresses(said: &str) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for rest in said.split("http://127.0.0.1:").skip(1) {
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

fn ask(address: SocketAddr, path: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    Client::once(address, &request)
}

#[test]
fn the_demo_tells_its_addresses_serves_visitors_and_ends_on_ctrl_c() {
    let mut demo = Process::start(["demo", "--port", "0", "--admin-port", "0", "--traffic", "100"]);
    let ports = eventually("the addresses", || {
        assert!(demo.exited().is_none(), "{}", demo.stderr());
        Some(addresses(&demo.stdout())).filter(|ports| ports.len() >= 2)
    });
    let admin = ports.iter().find(|port| ask(**port, "/readyz").status() == 200);
    let admin = *admin.expect("one of them is the admin port");
    eventually("visitors in both lanes", || {
        let metrics = ask(admin, "/metrics").text();
        let seen = |lane: &str| {
            let of_lane = |line: &&str| line.starts_with("graylane_requests_total{") && line.contains(lane);
            metrics.lines().filter(of_lane).any(|line| !line.ends_with(" 0"))
        };
        (seen("lane=\"gray\"") && seen("lane=\"stable\"")).then_some(())
    });
    demo.signal("INT");
    assert_eq!(demo.wait().code(), Some(0), "{}", demo.stderr());
    assert!(Client::try_connect(admin).is_err(), "it still listens");
}

#[test]
fn the_incident_drill_tells_in_a_table_who_was_hurt() {
    let output = graylane(["demo", "--port", "0", "--admin-port", "0", "--incident", "errors", "--traffic", "150"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let row = said.lines().find(|line| line.starts_with("| 92 % of 500s")).expect(&said);
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let (shielded, bare) = cells[3].split_once(" / ").expect(row);
    let [shielded, bare] = [shielded, bare].map(|count| count.parse::<u64>().expect(row));
    // Both routes met the same at the same moments. A busy machine may fail a visit that the shield has nothing to do with.
    assert!(bare >= 10 && shielded <= bare / 10, "{said}");
    assert!(cells[5].starts_with("back after "), "{said}");
    assert!(said.contains("Left behind: 0 requests under way") && !said.contains('\x1b'), "{said}");
}

#[test]
fn the_demo_says_which_port_is_taken_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let output = graylane(["demo", "--port", &port, "--admin-port", "0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
}
