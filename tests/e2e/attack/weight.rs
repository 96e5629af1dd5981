//! Attacks that are about memory and work, not about many of anything: what is held for a client that takes nothing, and bodies
//! that are mostly framing.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::raw::{END_HEADERS, END_STREAM, HEADERS, SETTINGS, WINDOW_UPDATE, attacked, block, frame, get};
use crate::harness::{Client, Origin, PATIENCE, Plan, Sidecar, answer, eventually};

/// A connection that takes next to nothing.
fn deaf(sidecar: &Sidecar) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a socket takes options");
    socket.connect(&sidecar.traffic().into()).expect("it accepts");
    TcpStream::from(socket)
}

/// Streams at once on one connection.
const STREAMS: u32 = 100;

#[test]
fn row_22_answers_behind_a_shut_socket_are_not_gathered() {
    // CVE-2019-9517: the windows of HTTP/2 are wide open, and the socket is not read.
    let large = answer("200 OK", "", &vec![b'x'; 1024 * 1024]);
    let origin = Origin::answering(move |received| match received.head.target() {
        "/other" => answer("200 OK", "", b""),
        _ => large.clone(),
    });
    let plan = Plan::new().upstream("stable", origin.address());
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { idle: 600ms }");
    let sidecar = Sidecar::start(&plan);
    let most = 0x7fff_ffff_u32;
    attacked(&sidecar, "2 connections of 100 streams with windows of 2 GiB that are not read (CVE-2019-9517)", || {
        let before = sidecar.metric("graylane_slow_clients_total", &[("reason", "answer")]);
        let mut greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        greeting.extend(frame(SETTINGS, 0, 0, &[&[0, 4][..], &most.to_be_bytes()].concat()));
        greeting.extend(frame(WINDOW_UPDATE, 0, 0, &(most - 65_535).to_be_bytes()));
        (0..STREAMS).for_each(|turn| greeting.extend(get(2 * turn + 1)));
        let crowd: Vec<TcpStream> = (0..2)
            .map(|_| {
                let mut socket = deaf(&sidecar);
                socket.write_all(&greeting).expect("it is taken");
                socket
            })
            .collect();
        // The system takes some megabytes of each connection, so a few answers are sent whole.
        let late = before + 1.6 * f64::from(STREAMS);
        eventually("the streams to be given up", || {
            (sidecar.metric("graylane_slow_clients_total", &[("reason", "answer")]) >= late).then_some(())
        });
        drop(crowd);
        String::from("the streams reset after `idle`: `answer`")
    });
    sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
}

/// How a connection ends for one who has read nothing so far.
fn end(socket: &mut TcpStream) -> std::io::ErrorKind {
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out over zero");
    let ended = std::io::copy(socket, &mut std::io::sink());
    ended.map_or_else(|error| error.kind(), |_| std::io::ErrorKind::UnexpectedEof)
}

/// What the system has taken of an answer is megabytes, and it keeps them for a peer that takes a few bytes now and then for as
/// long as that peer likes, unless the connection is reset.
#[test]
fn row_22_whoever_takes_nothing_is_reset_and_leaves_nothing_with_the_system() {
    let large = answer("200 OK", "", &vec![b'x'; 16 * 1024 * 1024]);
    let origin = Origin::answering(move |_| large.clone());
    let plan = Plan::new().upstream("stable", origin.address()).more("limits: { idle: 600ms }");
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { idle: 600ms }");
    let sidecar = Sidecar::start(&plan);
    let mut one = deaf(&sidecar);
    one.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is taken");
    let mut many = deaf(&sidecar);
    let most = 0x7fff_ffff_u32;
    let mut greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    greeting.extend(frame(SETTINGS, 0, 0, &[&[0, 4][..], &most.to_be_bytes()].concat()));
    greeting.extend(frame(WINDOW_UPDATE, 0, 0, &(most - 65_535).to_be_bytes()));
    greeting.extend(get(1));
    many.write_all(&greeting).expect("it is taken");
    sidecar.wait_for_metric("graylane_slow_clients_total", &[("reason", "answer")], 2.0);
    sidecar.wait_for_metric("graylane_client_connections", &[], 0.0);
    assert_eq!(end(&mut one), std::io::ErrorKind::ConnectionReset);
    assert_eq!(end(&mut many), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn row_22_whoever_takes_nothing_from_a_tunnel_is_reset() {
    let origin = Origin::start(|visit| {
        let head = visit.head().unwrap();
        visit.note(&head);
        visit.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
        visit.send(vec![b'x'; 16 * 1024 * 1024]);
        visit.wait_for_close();
    });
    let plan = Plan::new().upstream("stable", origin.address());
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { idle: 600ms }");
    let sidecar = Sidecar::start(&plan);
    let mut client = deaf(&sidecar);
    let asked = b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.write_all(asked).expect("it is taken");
    origin.wait_for(1);
    sidecar.wait_for_metric("graylane_client_connections", &[], 0.0);
    assert_eq!(end(&mut client), std::io::ErrorKind::ConnectionReset);
}

/// While a request waits for its answer, its client is watched, and what it sends meanwhile is read ahead: a little of it, since
/// one stranger may have thousands of connections.
#[test]
fn row_22_little_is_read_behind_a_request_that_waits() {
    const CONNECTIONS: u32 = 500;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    // It takes every connection and says nothing.
    std::thread::spawn(move || silent.incoming().collect::<Vec<_>>());
    let sidecar = Sidecar::start(&Plan::to(address));
    let before = sidecar.memory_kib("VmRSS:");
    let behind = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(60_000)).repeat(2);
    let crowd: Vec<Client> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = sidecar.client();
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let _ = client.try_send(behind.as_bytes());
            client
        })
        .collect();
    sidecar.wait_for_metric("graylane_inflight_requests", &[], f64::from(CONNECTIONS));
    // A span in which more may be read.
    std::thread::sleep(Duration::from_secs(1));
    let each = sidecar.memory_kib("VmRSS:").saturating_sub(before) / u64::from(CONNECTIONS);
    assert!(each < 56, "{each} KiB for each connection");
    drop(crowd);
}

fn limited() -> (Sidecar, Origin) {
    let origin = Origin::answering(|received| answer("200 OK", "", received.body.len().to_string().as_bytes()));
    (Sidecar::start(&Plan::to(origin.address())), origin)
}

/// Sends a chunked body of these pieces, over and over, until it is ended or so many bytes went.
fn pour(client: &mut Client, piece: &[u8], most: usize) -> usize {
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut sent = 0;
    while sent < most && client.try_send(piece).is_ok() {
        sent += piece.len();
    }
    sent
}

#[test]
fn row_5_bodies_that_are_mostly_extensions_are_refused() {
    // CVE-2023-39326, CVE-2024-22019 and others: a byte of data for hundreds of framing, without end.
    let (sidecar, origin) = limited();
    let piece = format!("1;{}\r\nx\r\n", "a".repeat(240)).repeat(64);
    attacked(&sidecar, "HTTP/1: chunks of a byte with 240 bytes of extension (CVE-2023-39326)", || {
        let mut client = sidecar.client();
        let sent = pour(&mut client, piece.as_bytes(), 64 << 20);
        assert!(sent < 16 << 20, "{sent} bytes were taken");
        String::from("refused by 400, connection ended")
    });
    assert!(origin.requests().iter().all(|request| request.head.target() == "/other"));
}

#[test]
fn row_5_bodies_of_tiny_chunks_cost_no_more_than_they_weigh() {
    // CVE-2020-8659: what is kept for a chunk must not be many times the chunk.
    let (sidecar, _origin) = limited();
    let piece = b"1\r\nx\r\n".repeat(10_000);
    attacked(&sidecar, "HTTP/1: a million chunks of a byte (CVE-2020-8659)", || {
        let mut client = sidecar.client();
        pour(&mut client, &piece, piece.len() * 100);
        client.send(b"0\r\n\r\n");
        let got = client.answer_to("POST");
        assert_eq!((got.status(), got.text().as_str()), (200, "1000000"));
        String::from("200, every byte at the upstream")
    });
}

#[test]
fn row_21_crumbs_of_cookies_count_like_fields() {
    // A crumb costs its sender one byte, and becomes a field and a copy.
    let (sidecar, origin) = limited();
    attacked(&sidecar, "a head of 16,000 crumbs of a cookie, a byte each", || {
        let mut socket = TcpStream::connect(sidecar.traffic()).expect("it accepts");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out over zero");
        let mut greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        greeting.extend(frame(SETTINGS, 0, 0, &[]));
        // The first goes into the table, and each further byte is that entry once more.
        let crumb = [&[0x40 | 32][..], &[3], b"a=b"].concat();
        let fields = [block("GET"), crumb, vec![0x80 | 62; 16_000]].concat();
        greeting.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields));
        socket.write_all(&greeting).expect("it is taken");
        let heard = std::io::Read::read(&mut socket, &mut [0; 64]).expect("something is said");
        assert!(heard > 0);
        String::from("refused, none at the origin")
    });
    assert!(origin.requests().iter().all(|request| request.head.target() == "/other"));
}
