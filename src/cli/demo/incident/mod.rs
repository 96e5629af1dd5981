//! `graylane demo --incident`: gray turns bad in several ways behind the real sidecar, and it is told who was hurt.
//!
//! Two routes that differ by the shield alone get the same visits at the same moments, so that "shield on" and
//! "shield off" are of one run. What is told of the sidecar comes from its metrics; what is told of users comes from users.

mod act;
mod configuration;
mod crowd;
mod gauges;
mod play;
mod told;

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::ending::Ending;
use super::scratch::Scratch;
use super::screen::{Ink, Screen};
use super::shop::{self, OpenShop};
use super::{CLOSE, DemoArgs, Running, StartSidecar, addresses, ports, runtime};
pub use act::Act;
use gauges::{GLANCE, Gauges, Held};
use play::{Shown, Stage};

/// Visits a second on each of the two routes.
const RPS: u32 = 500;
/// So long all of it, whatever the machine does.
const MOST: Duration = Duration::from_secs(90);
/// How long the sidecar may take to start the last of its threads.
const SETTLE: Duration = Duration::from_millis(300);
/// How long the sidecar may take to let go of what nobody uses any more.
const LET_GO: Duration = Duration::from_secs(5);

/// Plays one act, or without a name all of them.
pub(super) fn run(
    args: &DemoArgs,
    act: Option<Act>,
    start_sidecar: StartSidecar,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    ports::check(args.port, args.admin_port)?;
    let runtime = runtime().context("cannot start the threads of the shops")?;
    let mut ending =
        runtime.block_on(async { Ending::listen(args.duration.or(Some(MOST))) }).context("cannot wait for signals")?;
    let (closing, closes) = tokio::sync::watch::channel(false);
    let shops = runtime.block_on(shop::open_both(&closes)).context("cannot open the shops")?;
    let scratch = Scratch::create().context("cannot write the configuration of the drill")?;
    let text = configuration::yaml(addresses(args, &shops));
    scratch.write("drill.yaml", &text).context("cannot write the configuration of the drill")?;

    let running = start_sidecar(scratch.path()).context("the sidecar does not start")?;
    let start = Instant::now();
    let rps = args.traffic.filter(|rps| *rps > 0).unwrap_or(RPS);
    let played = runtime.block_on(async {
        let stage = Stage { traffic: running.traffic, admin: running.admin, shops: &shops, rps };
        tokio::select! {
            played = play_all(stage, act, screen) => Some(played),
            () = ending.wait(start) => None,
        }
    });
    let played = match played {
        Some(played) => played,
        None => screen.say("Ended before all acts were played.").map_err(anyhow::Error::from),
    };
    finish(running, shops, || closing.send_replace(true));
    runtime.shutdown_timeout(CLOSE);
    match played {
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        played => played,
    }
}

fn finish(running: Running, shops: [OpenShop; 2], close: impl FnOnce() -> bool) {
    (running.stop)();
    close();
    shops.into_iter().for_each(OpenShop::close);
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn play_all(stage: Stage<'_>, act: Option<Act>, screen: &mut Screen) -> anyhow::Result<()> {
    screen.say(&screen.paint(Ink::Title, "graylane demo: gray turns bad"))?;
    screen.say(&format!(
        "{} reads a second on each of two routes that differ by the shield alone; a tenth of the users is in gray.\nWindows \
         are 10 s and 2 s and the first open time is 1 s, to be short; thresholds are the defaults. Slow is over {} ms.",
        stage.rps,
        crowd::BEARABLE.as_millis()
    ))?;
    screen.say("")?;
    // The sidecar answers before each of its threads has opened what it keeps for good.
    tokio::time::sleep(SETTLE).await;
    let before = Held::now();
    let mut all: Vec<Shown> = Vec::new();
    for act in Act::ALL.into_iter().filter(|each| act.is_none_or(|act| act == *each)) {
        if !screen.is_terminal() {
            screen.say(&format!("{} ...", act.title()))?;
        }
        let shown = play::play(stage, act, screen).await?;
        screen.say(&told::line(&shown))?;
        all.push(shown);
    }
    let (after, under_way) = let_go(stage, before).await?;
    screen.say("")?;
    screen.say(&told::table(&all))?;
    screen.say(&told::left(before, after, under_way))?;
    Ok(())
}

/// Waits until nothing is under way and no more descriptors are held than before, as long as that may take.
async fn let_go(stage: Stage<'_>, before: Held) -> anyhow::Result<(Held, f64)> {
    let start = Instant::now();
    loop {
        let under_way = Gauges::read(stage.admin).await?.under_way();
        let after = Held::now();
        if (under_way == 0.0 && after.descriptors <= before.descriptors) || start.elapsed() > LET_GO {
            return Ok((after, under_way));
        }
        tokio::time::sleep(GLANCE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_that_does_not_start_is_an_error() {
        let args = DemoArgs { port: 0, admin_port: 0, traffic: None, duration: None, incident: Some(None) };
        let mut screen = super::super::screen::paper::Paper::default().screen(false);
        let error = run(&args, None, |_| anyhow::bail!("no luck"), &mut screen).unwrap_err();
        assert_eq!(format!("{error:#}"), "the sidecar does not start: no luck");
    }
}
