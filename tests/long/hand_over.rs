//! 100,000 requests while the process is replaced again and again, and what a second socket on the port would do.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::harness::{Origin, Plan, eventually};
use crate::succession::{Succession, Visitors};

const REQUESTS: usize = 100_000;
const REPLACEMENTS: usize = 10;
/// How long a tenth of the requests may take.
const MOST_A_PART: std::time::Duration = std::time::Duration::from_secs(120);

#[test]
fn no_request_of_100_000_is_refused_or_reset_while_the_process_is_replaced() {
    let origin = Origin::lane("stable");
    let mut line = Succession::start(&Plan::to(origin.address()), 2);
    let visitors = Visitors::start(line.traffic, 2);
    for at in 1..=REPLACEMENTS {
        let (began, wanted) = (std::time::Instant::now(), REQUESTS / REPLACEMENTS * at);
        while visitors.answered() < wanted {
            // The pause between two looks.
            std::thread::sleep(std::time::Duration::from_millis(10));
            assert!(began.elapsed() < MOST_A_PART, "{} of {wanted} answered", visitors.answered());
        }
        line.replace();
    }
    let (answered, failed) = visitors.end();
    println!("{} processes, {answered} requests answered, {failed} not", line.ids.len());
    assert_eq!(failed, 0);
    assert!(answered >= REQUESTS);
}

fn listener(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("Linux has it");
    socket.bind(&address.into()).expect("a port of our own");
    socket.listen(1024).expect("it listens");
    socket.into()
}

/// Why listeners are handed over: a second socket on the port has a queue of its own.
#[test]
fn what_waits_in_a_socket_of_its_own_is_lost_and_what_waits_in_a_shared_one_is_not() {
    let waiting =
        |address| -> Vec<TcpStream> { (0..500).map(|_| TcpStream::connect(address).expect("room")).collect() };
    let lost = |clients: Vec<TcpStream>| {
        let lives = |mut client: TcpStream| {
            client.set_nonblocking(true).expect("a socket");
            client.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        };
        clients.into_iter().map(lives).filter(|lives| !lives).count()
    };
    let old = listener(SocketAddr::from(([127, 0, 0, 1], 0)));
    let address = old.local_addr().expect("it is bound");
    let next = listener(address);
    let clients = waiting(address);
    drop(old);
    let beside = lost(clients);
    let shared = next.try_clone().expect("a descriptor");
    let clients = waiting(address);
    drop(next);
    let handed = lost(clients);
    println!("of 500 that wait: {beside} lost with a second socket, {handed} with the same one handed over");
    assert!(beside > 0);
    assert_eq!(handed, 0);
    eventually("the rest to be accepted", || shared.accept().ok());
}
