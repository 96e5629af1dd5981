//! How one act is played: all is well, something turns bad, the sidecar answers it, all is well again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::screen::Screen;
use super::super::shop::{Edition, Mood, OpenShop};
use super::act::{Act, Ends, Side};
use super::crowd::{Crowd, Met};
use super::gauges::{self, GLANCE, Gauges};
use super::told;

/// How long all is well at first.
const BEFORE: Duration = Duration::from_millis(1_500);
/// How long gray stays bad after it was taken out.
const STILL_BAD: Duration = Duration::from_millis(300);
/// What has not happened by then does not happen.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where everything is.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    pub(super) traffic: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) shops: &'a [OpenShop; 2],
    pub(super) rps: u32,
}

/// An opening of gray's breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Opening {
    pub(super) after: Duration,
    /// Requests that were decided for gray from the turn on.
    pub(super) gray_requests: u64,
    pub(super) cause: &'static str,
}

/// What an act showed; pairs are of the shielded and of the bare route.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) act: Act,
    /// None where it did not open in time.
    pub(super) opened: [Option<Opening>; 2],
    /// What users met from the turn to the end.
    pub(super) met: [Met; 2],
    /// From the moment gray healed to the closed breaker; none where that is not awaited, or did not come.
    pub(super) back: [Option<Duration>; 2],
    /// From the turn to the rollback; none where there was none.
    pub(super) latched: Option<Duration>,
    /// What the comparison of gray with stable said at the end, in the sidecar's own line; none where nobody asked.
    pub(super) verdict: Option<String>,
}

/// Plays an act. The shops are steady before and after it.
pub(super) async fn play(stage: Stage<'_>, act: Act, screen: &mut Screen) -> anyhow::Result<Shown> {
    let now = |moods: [Mood; 2]| {
        for edition in Edition::BOTH {
            stage.shops[edition as usize].turn(moods[edition as usize]);
        }
    };
    now([Mood::Steady; 2]);
    let crowd = Crowd::start(stage.traffic, act, stage.rps);
    tokio::time::sleep(BEFORE).await;
    let before = crowd.met();
    now(act.moods());
    let scene = Scene { stage, act, crowd: &crowd, before, turned: Instant::now() };
    let shown = scene.run(&now, screen).await;
    now([Mood::Steady; 2]);
    let mut shown = shown?;
    let met = crowd.go_home().await;
    shown.met = [met[0].since(before[0]), met[1].since(before[1])];
    Ok(shown)
}

/// An act from its turn on.
struct Scene<'a> {
    stage: Stage<'a>,
    act: Act,
    crowd: &'a Crowd,
    before: [Met; 2],
    turned: Instant,
}

impl Scene<'_> {
    async fn run(&self, now: &impl Fn([Mood; 2]), screen: &mut Screen) -> anyhow::Result<Shown> {
        let act = self.act;
        let mut shown =
            Shown { act, opened: [None; 2], met: Default::default(), back: [None; 2], latched: None, verdict: None };
        shown.opened = self
            .both("is bad", screen, |gauges, side| {
                let cause = gauges.opened_by(act, side, "gray")?;
                let gray_requests = self.met()[side as usize].by_gray;
                Some(Opening { after: self.turned.elapsed(), gray_requests, cause })
            })
            .await?;
        if shown.opened.contains(&None) {
            return Ok(shown);
        }
        match act.ends() {
            Ends::Healed => {
                tokio::time::sleep(STILL_BAD).await;
                now([Mood::Steady; 2]);
                let healed = Instant::now();
                let closed =
                    |gauges: &Gauges, side| (gauges.changes(act, side, "closed") > 0.0).then(|| healed.elapsed());
                shown.back = self.both("is out, and healed", screen, closed).await?;
            }
            Ends::NothingLatched(time) => {
                tokio::time::sleep(time).await;
                let is_latched = Gauges::read(self.stage.admin).await?.is_latched(act.release());
                shown.latched = is_latched.then(|| self.turned.elapsed());
                shown.verdict = gauges::verdict(self.stage.admin, act.release()).await?;
            }
            Ends::Latched => {
                let latched = |gauges: &Gauges, _| gauges.is_latched(act.release()).then(|| self.turned.elapsed());
                shown.latched = self.both("is out, and stays bad", screen, latched).await?[0];
            }
        }
        Ok(shown)
    }

    fn met(&self) -> [Met; 2] {
        let met = self.crowd.met();
        [met[0].since(self.before[0]), met[1].since(self.before[1])]
    }

    /// Waits for something on both routes, with a live line.
    async fn both<T: Copy>(
        &self,
        state: &str,
        screen: &mut Screen,
        of: impl Fn(&Gauges, Side) -> Option<T>,
    ) -> anyhow::Result<[Option<T>; 2]> {
        let start = Instant::now();
        let mut found = [None; 2];
        while found.iter().any(Option::is_none) && start.elapsed() < PATIENCE {
            let gauges = Gauges::read(self.stage.admin).await?;
            for side in Side::BOTH {
                let found = &mut found[side as usize];
                *found = found.or_else(|| of(&gauges, side));
            }
            if screen.is_terminal() {
                screen.live(&told::live(self.act, state, self.turned.elapsed(), &self.met()))?;
            }
            tokio::time::sleep(GLANCE).await;
        }
        Ok(found)
    }
}
