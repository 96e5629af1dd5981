//! The load beside other people's: `wrk` and `h2load` on an origin that takes a set time, so that rates do not depend on
//! how fast the machine is; and an open loop beside a closed one on an origin that stands still for a while.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use loadtest::load::{Crowd, Mode, Outcome, Prepared};
use loadtest::origin::{self, Speaks};
use loadtest::scenario::{Client, SMALL_BODY};
use loadtest::stage::Target;
use loadtest::visitors::{Lane, Visitor};
use tokio::net::TcpListener;

/// An origin in a thread of its own, which can be told to stand still. It ends with the test's process.
struct Origin {
    address: SocketAddr,
    pause: tokio::sync::mpsc::UnboundedSender<Duration>,
}

impl Origin {
    fn start(lane: Lane, speaks: Speaks) -> Self {
        let (told, address) = mpsc::channel();
        let (pause, mut pauses) = tokio::sync::mpsc::unbounded_channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
                told.send(listener.local_addr().expect("an address")).expect("the test waits");
                tokio::spawn(origin::accept(listener, lane, speaks));
                while let Some(length) = pauses.recv().await {
                    // The one thread of this runtime: nobody is answered meanwhile.
                    thread::sleep(length);
                }
            });
        });
        Self { address: address.recv().expect("the origin starts"), pause }
    }

    fn load(
        &self,
        client: Client,
        path: &str,
        (connections, streams): (usize, usize),
        mode: Mode,
        seconds: f64,
    ) -> Outcome {
        let visitor = Visitor { path: path.to_owned(), headers: vec![], lane: Lane::Stable };
        let prepared: Rc<Prepared> = Prepared::new(vec![visitor], SMALL_BODY);
        let target = Target { address: self.address, tls: None, client };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let crowd = Crowd::open(&target, &prepared, connections, streams).await.expect("connections open");
            crowd.run(mode, Duration::from_secs_f64(seconds)).await
        })
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|problem| panic!("{program}: {problem}; scripts/setup-test-env installs it"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number before or after a word, wherever it stands.
fn number(text: &str, pattern: &str) -> f64 {
    let line = text.lines().find(|line| line.contains(pattern)).unwrap_or_else(|| panic!("no {pattern} in {text}"));
    let words: Vec<&str> = line.split([' ', ',', ':']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|word| *word == pattern).expect("it is a word of the line");
    let near = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| words.get(at));
    near.filter_map(|word| word.parse().ok()).next().unwrap_or_else(|| panic!("no number in {line}"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// In turns, because the machine has other things to do too.
fn agree(ours: impl Fn() -> f64, theirs: impl Fn() -> f64) {
    let rounds: Vec<(f64, f64)> = (0..3).map(|_| (ours(), theirs())).collect();
    let (ours, theirs) =
        (median(rounds.iter().map(|one| one.0).collect()), median(rounds.iter().map(|one| one.1).collect()));
    assert!((0.93..1.07).contains(&(ours / theirs)), "{ours:.0} and {theirs:.0} requests a second, of {rounds:?}");
}

#[test]
fn a_closed_loop_over_http1_has_the_rate_of_wrk() {
    let origin = Origin::start(Lane::Stable, Speaks::Http1);
    let url = format!("http://{}/delay/20", origin.address);
    agree(
        || origin.load(Client::Http1, "/delay/20", (32, 1), Mode::Closed, 2.0).per_second(),
        || number(&said("wrk", &["-t", "1", "-c", "32", "-d", "2s", &url]), "Requests/sec"),
    );
}

#[test]
fn a_closed_loop_over_http2_has_the_rate_of_h2load() {
    let origin = Origin::start(Lane::Stable, Speaks::Http2);
    let url = format!("http://{}/delay/20", origin.address);
    agree(
        || origin.load(Client::Http2, "/delay/20", (4, 8), Mode::Closed, 2.0).per_second(),
        || number(&said("h2load", &["-D", "2", "-c", "4", "-m", "8", &url]), "req/s"),
    );
}

#[test]
fn an_open_loop_keeps_its_rate_whatever_the_answers_take() {
    let origin = Origin::start(Lane::Stable, Speaks::Http1);
    let outcome = origin.load(Client::Http1, "/delay/20", (64, 1), Mode::Open { per_second: 500.0 }, 2.0);
    assert_eq!((outcome.requests, outcome.errors, outcome.wrong), (1001, 0, 0), "{:?}", outcome.problem);
}

/// For 600 ms of two seconds the origin stands still: nearly a third of those who come on time wait, but of those who come one after
/// the other only as many as there are connections.
#[test]
fn an_open_loop_charges_a_pause_to_everybody_who_came_meanwhile() {
    let origin = Origin::start(Lane::Stable, Speaks::Http1);
    let with_pause = |mode| {
        // The pause is to fall into the turn, not into the opening of connections.
        let pause = origin.pause.clone();
        let later = thread::spawn(move || {
            thread::sleep(Duration::from_millis(700));
            pause.send(Duration::from_millis(600)).expect("the origin runs");
        });
        let outcome = origin.load(Client::Http1, "/", (8, 1), mode, 2.0);
        later.join().expect("it ends");
        outcome
    };
    let open = with_pause(Mode::Open { per_second: 500.0 });
    let closed = with_pause(Mode::Closed);
    assert!(open.quantile(0.85) > 100.0, "open: P85 {} ms", open.quantile(0.85));
    assert!(closed.quantile(0.85) < 100.0, "closed: P85 {} ms", closed.quantile(0.85));
}

#[test]
fn answers_of_another_lane_are_no_requests() {
    for (speaks, client) in [(Speaks::Http1, Client::Http1), (Speaks::Http2, Client::Http2)] {
        let origin = Origin::start(Lane::Gray, speaks);
        let outcome = origin.load(client, "/", (2, 2), Mode::Closed, 0.05);
        assert!(outcome.wrong > 0 && outcome.requests == 0, "{outcome:?}");
        assert!(outcome.problem.is_some_and(|problem| problem.contains("Gray")));
    }
}

#[test]
fn bodies_of_another_length_are_errors() {
    let origin = Origin::start(Lane::Stable, Speaks::Http1);
    let visitor = Visitor { path: "/bytes/70000".to_owned(), headers: vec![], lane: Lane::Stable };
    let target = Target { address: origin.address, tls: None, client: Client::Http1 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let open = |body| {
        let prepared = Prepared::new(vec![visitor.clone()], body);
        runtime.block_on(Crowd::open(&target, &prepared, 1, 1)).map(|_| ())
    };
    assert!(open(70_000).is_ok());
    let problem = open(69_999).expect_err("a byte too many");
    assert_eq!(problem.to_string(), "a body of 70000 bytes instead of 69999");
}
