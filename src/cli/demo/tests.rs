//! The demo as a whole, with a stand-in for the sidecar.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use super::screen::paper::Paper;
use super::stand_in;
use super::*;

fn args(traffic: u32, ms: u64) -> DemoArgs {
    DemoArgs {
        port: 0,
        admin_port: 0,
        traffic: Some(traffic),
        duration: Some(Duration::from_millis(ms)),
        incident: None,
    }
}

/// What is printed, and the folder of the configuration.
fn played(args: &DemoArgs, is_terminal: bool) -> (String, PathBuf) {
    let paper = Paper::default();
    play(args, stand_in::start, &mut paper.screen(is_terminal)).unwrap();
    let text = paper.text();
    let file = text.lines().find_map(|line| line.strip_prefix("  config   ")).unwrap();
    let folder = PathBuf::from(file).parent().unwrap().to_owned();
    (text, folder)
}

#[test]
fn without_visitors_it_tells_the_addresses_and_leaves_nothing_behind() {
    let (text, folder) = played(&args(0, 50), false);
    let address = text.lines().find_map(|line| line.strip_prefix("  traffic  http://")).unwrap();
    let address: SocketAddr = address.split_once(' ').unwrap().0.parse().unwrap();
    assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
    assert!(TcpStream::connect(address).is_err());
    assert!(!folder.exists());
    assert!(text.contains("\nTry next:\n# an ordinary user"), "{text}");
    assert!(text.contains(&format!("explain --config {}", folder.display())), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert!(text.contains("The demo ended after 0."), "{text}");
}

#[test]
fn visitors_are_split_and_each_keeps_her_lane() {
    let (text, _) = played(&args(400, 2_500), true);
    assert!(text.contains("400 visits a second"), "{text}");
    assert!(text.contains("\r\x1b[2K\x1b[?7l    2s  "), "{text}");
    assert!(text.contains(" visitors, each kept one lane\n  0 errors\n"), "{text}");
    let share = text.lines().find_map(|line| line.trim().strip_prefix("gray share of the users")).unwrap();
    let share = share.split_once(": ").unwrap().1;
    let (percent, users) = share.split_once("% of ").unwrap();
    let (percent, users): (f64, f64) = (percent.parse().unwrap(), users.split_once(' ').unwrap().0.parse().unwrap());
    let deviation = (10.0_f64 * 90.0 / users).sqrt();
    assert!((percent - 10.0).abs() < 4.0 * deviation, "{share}");
}

#[test]
fn a_sidecar_that_does_not_start_is_an_error_and_leaves_nothing_behind() {
    fn refuse(folder: &Path) -> anyhow::Result<Running> {
        anyhow::bail!("no luck with {}", folder.display())
    }
    let paper = Paper::default();
    let error = format!("{:#}", play(&args(10, 50), refuse, &mut paper.screen(false)).unwrap_err());
    let folder = error.strip_prefix("the sidecar does not start: no luck with ").unwrap();
    assert!(!PathBuf::from(folder).exists());
    assert_eq!(paper.text(), "");
}

#[test]
fn a_port_that_is_taken_stops_it_before_anything_starts() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let paper = Paper::default();
    let args = DemoArgs { port, ..args(0, 50) };
    let error = play(&args, stand_in::start, &mut paper.screen(false)).unwrap_err().to_string();
    assert!(error.contains(&format!("port {port} for traffic is in use")), "{error}");
    assert_eq!(paper.text(), "");
}

#[test]
fn an_output_that_nobody_reads_any_more_is_a_quiet_end() {
    let mut screen = Screen::closed();
    play(&args(0, 60_000), stand_in::start, &mut screen).unwrap();
}

#[test]
fn the_options_are_read_and_bounded() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: DemoArgs,
    }
    let parse = |line: &str| <Line as clap::Parser>::try_parse_from(line.split(' ')).map(|line| line.args);
    let default = parse("demo").unwrap();
    assert_eq!((default.port, default.admin_port, default.traffic, default.duration), (15080, 15090, None, None));
    let given = parse("demo --port 0 --admin-port 1 --traffic 20000 --duration 2s").unwrap();
    assert_eq!((given.port, given.admin_port, given.traffic), (0, 1, Some(20_000)));
    assert_eq!(given.duration, Some(Duration::from_secs(2)));
    assert_eq!(parse("demo --incident").unwrap().incident, Some(None));
    assert_eq!(parse("demo --incident hang").unwrap().incident, Some(Some(Act::Hang)));
    for wrong in
        ["demo --incident fire", "demo --traffic 20001", "demo --traffic -1", "demo --duration 2", "demo --port 70000"]
    {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
