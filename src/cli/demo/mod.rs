//! `graylane demo`: two versions of a commodity service, the sidecar before them, and visitors, in one process.
//!
//! Everything but the sidecar lives here: the shops, the configuration in a temporary folder, the visitors, and
//! what is told. The sidecar is started through [`StartSidecar`], so this room knows neither how it is built nor how it
//! drains. Nothing outlives [`run`]: no task, no port, no file.

mod cast;
mod configuration;
mod ending;
mod hints;
mod incident;
mod ports;
mod scratch;
mod screen;
mod shop;
#[cfg(test)]
mod stand_in;
mod told;
mod traffic;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::decide;
use cast::Cast;
use configuration::Addresses;
use ending::Ending;
use hints::Scene;
pub use incident::Act;
use scratch::Scratch;
use screen::{Ink, Screen};
use shop::{Edition, OpenShop};
use traffic::{Sum, Traffic};

/// The most visits a second: beyond it the shops in the same process take more of the machine than the sidecar.
const MAX_RPS: u32 = 20_000;
/// Visits a second where somebody watches and did not say how many: enough to see the split at once.
const WATCHED_RPS: u32 = 20;
/// Into a pipe, so many seconds pass between two lines.
const PLAIN_SECONDS: u64 = 5;
/// How long what is left of the shops may take to end.
const CLOSE: Duration = Duration::from_secs(1);

/// The options of `graylane demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// Port for requests to the shop, on loopback; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 15080)]
    pub port: u16,
    /// Port of the admin API and the metrics, on loopback; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 15090)]
    pub admin_port: u16,
    /// Send this many visits a second; without it 20 where somebody watches a terminal, else none
    #[arg(long, value_name = "RPS", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_RPS)))]
    pub traffic: Option<u32>,
    /// End by itself after this time, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = crate::config::parse_time)]
    pub duration: Option<Duration>,
    /// The incident drill instead: gray turns bad in several ways, and a table tells who was hurt; 500 visits a second
    #[arg(long, value_name = "ACT")]
    #[allow(clippy::option_option, reason = "clap's form of an option whose value may be left out")]
    pub incident: Option<Option<Act>>,
}

/// Starts the sidecar with the configuration in this folder, as `graylane run --config FOLDER` does, and returns once it
/// listens. It is called outside of any runtime.
pub type StartSidecar = fn(&Path) -> anyhow::Result<Running>;

/// A sidecar that listens.
pub struct Running {
    /// Where it really listens for requests, on loopback.
    pub traffic: SocketAddr,
    /// Where it really listens for people and tools.
    pub admin: SocketAddr,
    /// Drains it and returns when nothing of it is left. It is called outside of any runtime.
    pub stop: Box<dyn FnOnce()>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("traffic", &self.traffic).field("admin", &self.admin).finish_non_exhaustive()
    }
}

/// Runs the demo until Ctrl-C, SIGTERM or the end of its time; an error means exit 1.
///
/// # Errors
/// A port that is taken (named, with the option that changes it), or a sidecar that does not start.
pub fn run(args: &DemoArgs, start_sidecar: StartSidecar) -> anyhow::Result<ExitCode> {
    match args.incident {
        Some(act) => incident::run(args, act, start_sidecar, &mut Screen::stdout())?,
        None => play(args, start_sidecar, &mut Screen::stdout())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn play(args: &DemoArgs, start_sidecar: StartSidecar, screen: &mut Screen) -> anyhow::Result<()> {
    ports::check(args.port, args.admin_port)?;
    let cast = Cast::find(|salt, key| decide::bucket(salt, key).get())?;
    let runtime = runtime().context("cannot start the threads of the shops")?;
    let mut ending = runtime.block_on(async { Ending::listen(args.duration) }).context("cannot wait for signals")?;
    let (closing, closes) = watch::channel(false);
    let shops = runtime.block_on(shop::open_both(&closes)).context("cannot open the shops")?;
    let scratch = furnish(args, &shops).context("cannot write the configuration of the demo")?;

    let running = start_sidecar(scratch.path()).context("the sidecar does not start")?;
    let start = Instant::now();
    let shown = show(&running, &scratch, &cast, &shops, screen)
        .and_then(|()| runtime.block_on(watch_over(args, &running, &mut ending, start, screen)));
    let elapsed = start.elapsed();
    (running.stop)();
    let shown = shown.and_then(|sum| screen.say(&told::summary(elapsed, sum.as_ref(), &shops, screen)));

    closing.send_replace(true);
    shops.into_iter().for_each(OpenShop::close);
    runtime.shutdown_timeout(CLOSE);
    match shown {
        // Whoever read the output has seen enough, `graylane demo | head` for example.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown.context("cannot write to standard output"),
    }
}

/// The shops and the visitors share two threads; the sidecar has its own.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("demo").enable_all().build()
}

/// The folder with the configuration and the key for signed overrides.
fn furnish(args: &DemoArgs, shops: &[OpenShop; 2]) -> io::Result<Scratch> {
    let scratch = Scratch::create()?;
    scratch.write(configuration::FILE, &configuration::yaml(addresses(args, shops)))?;
    scratch.write(configuration::KEY_FILE, &scratch::new_key()?)?;
    Ok(scratch)
}

/// What goes into a configuration.
fn addresses(args: &DemoArgs, [stable, gray]: &[OpenShop; 2]) -> Addresses {
    let on = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Addresses { traffic: on(args.port), admin: on(args.admin_port), stable: stable.address, gray: gray.address }
}

/// Tells where everything is and what to try.
fn show(
    running: &Running,
    scratch: &Scratch,
    cast: &Cast,
    shops: &[OpenShop; 2],
    screen: &mut Screen,
) -> io::Result<()> {
    let (traffic, admin) = (format!("http://{}", running.traffic), format!("http://{}", running.admin));
    let program = std::env::current_exe().unwrap_or_else(|_| "graylane".into());
    screen.say(&screen.paint(Ink::Title, "graylane demo: two versions of a shop behind one sidecar"))?;
    screen.say("")?;
    screen.say(&format!("  traffic  {traffic}   send requests here"))?;
    screen.say(&format!("  admin    {admin}   health, metrics, explain"))?;
    for (edition, shop) in Edition::BOTH.into_iter().zip(shops) {
        let version = screen.paint(ink(edition), edition.version());
        screen.say(&format!("  {:<8} http://{}   {version}", edition.lane(), shop.address))?;
    }
    screen.say(&format!("  config   {}", scratch.path().join(configuration::FILE).display()))?;
    screen.say("")?;
    screen.say(&told::release())?;
    screen.say("")?;
    screen.say(&screen.paint(Ink::Title, "Try next:"))?;
    let scene = Scene { traffic: &traffic, admin: &admin, folder: scratch.path(), program: &program, cast };
    for hint in hints::hints(scene) {
        screen.say(&screen.paint(Ink::Dim, &format!("# {}", hint.note)))?;
        screen.say(&hint.command)?;
    }
    screen.say("")?;
    screen.say("Ctrl-C ends the demo.")
}

fn ink(edition: Edition) -> Ink {
    match edition {
        Edition::Stable => Ink::Stable,
        Edition::Gray => Ink::Gray,
    }
}

/// Sends the visitors that were asked for and tells of them until the end.
async fn watch_over(
    args: &DemoArgs,
    running: &Running,
    ending: &mut Ending,
    start: Instant,
    screen: &mut Screen,
) -> io::Result<Option<Sum>> {
    let rps = args.traffic.unwrap_or(if screen.is_terminal() { WATCHED_RPS } else { 0 });
    if rps == 0 {
        ending.wait(start).await;
        return Ok(None);
    }
    screen.say("")?;
    screen.say(&told::legend(rps, screen))?;
    let traffic = Traffic::start(running.traffic, rps);
    let told = tokio::select! {
        told = tell(&traffic, start, screen) => told,
        () = ending.wait(start) => Ok(()),
    };
    let sum = traffic.stop().await;
    told?;
    screen.keep_live()?;
    Ok(Some(sum))
}

/// Tells every second on a terminal and every few seconds into a pipe; returns only when it cannot.
async fn tell(traffic: &Traffic, start: Instant, screen: &mut Screen) -> io::Result<()> {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once.
    seconds.tick().await;
    for second in 1_u64.. {
        seconds.tick().await;
        let report = traffic.turn();
        for change in &report.new_changes {
            screen.say(&told::warning(change, screen))?;
        }
        if screen.is_terminal() {
            screen.live(&told::live(start.elapsed(), &report, screen))?;
        } else if second % PLAIN_SECONDS == 0 {
            screen.say(&told::plain(start.elapsed(), &report))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
