//! The incident, replayed: gray at 100 permille behind the real sidecar turns bad in one way, and heals.
//!
//! One act, one sidecar. Two routes differ in nothing but the shield, and each has a breaker of its own.

mod crowd;
mod moody;

use std::fmt;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::harness::{Plan, Sidecar, eventually};
pub(crate) use crowd::{Crowd, Met, Phase};
pub(crate) use moody::{Mood, Moody};

/// The routes, in the order of every pair of figures.
pub(crate) const ROUTES: [&str; 2] = ["shielded", "bare"];
/// How often the metrics are looked at: no time that is told is more exact.
const GLANCE: Duration = Duration::from_millis(20);

/// How an act is played.
pub(crate) struct Setting {
    /// Visits a second on each route.
    pub(crate) rps: u32,
    /// How long gray is well before it turns bad.
    pub(crate) before: Duration,
    /// A good answer later than this counts as slow.
    pub(crate) bearable: Duration,
    /// The breaker's keys in flow style; none for the defaults.
    pub(crate) breaker: &'static str,
    /// Further keys of the release.
    pub(crate) release: &'static str,
    /// The routes' first-byte time-out, as configured.
    pub(crate) first_byte: &'static str,
}

/// What an act showed; pairs are of the shielded and of the bare route.
pub(crate) struct Shown {
    pub(crate) act: &'static str,
    /// From the moment gray turned bad, for each route with the requests that gray got until then.
    pub(crate) opened: [Opened; 2],
    /// Users met this until the breaker opened, and from then until gray healed.
    pub(crate) bad: [Met; 2],
    pub(crate) open: [Met; 2],
    /// From the moment gray healed to the closed breaker.
    pub(crate) back: [Duration; 2],
    /// Descriptors and resident KiB of the sidecar: before the first visit, and after the last answer.
    pub(crate) held: [Held; 2],
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Opened {
    pub(crate) after: Duration,
    pub(crate) gray_requests: u64,
    pub(crate) cause: &'static str,
}

/// What the process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
    pub(crate) resident_kib: u64,
}

impl Held {
    /// Threads that looks at files, at certificates and the like may have needed beside one another since. An idle one
    /// stays for ten seconds, so how many there are is chance; a request that keeps one would be seen in dozens.
    const LOOKS: u64 = 4;

    /// Fails where requests have left threads or memory behind.
    pub(crate) fn assert_let_go(&self, before: &Self, kept_kib: u64) {
        assert!(self.threads <= before.threads + Self::LOOKS, "{before:?} {self:?}");
        assert!(self.resident_kib < before.resident_kib + kept_kib, "{before:?} {self:?}");
    }
}

/// A sidecar between two services and a crowd.
pub(crate) struct Stage {
    pub(crate) sidecar: Sidecar,
    pub(crate) stable: Moody,
    pub(crate) gray: Moody,
    pub(crate) crowd: Crowd,
    runtime: Runtime,
    empty: Held,
}

impl Stage {
    /// Everything is well, and visits have begun.
    pub(crate) fn set(setting: &Setting) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("threads");
        let (stable, gray) = (Moody::start(&runtime), Moody::start(&runtime));
        let Setting { breaker, first_byte, release, .. } = setting;
        let keys = format!("release: r\nbreaker: b\ntimeouts: {{ first_byte: {first_byte} }}");
        let upstream = |moody: &Moody| format!("endpoints: [\"{}\"], idle: 500ms", moody.address());
        let lanes = "stable: stable, gray: gray";
        let plan = Plan::new()
            .upstream_of("stable", &upstream(&stable))
            .upstream_of("gray", &upstream(&gray))
            .release("r", &format!("permille: 100\n{release}"))
            .more(&format!("breakers:\n  b: {{ {breaker} }}\n"))
            .route(ROUTES[0], "/on", lanes, &format!("{keys}\nshield: {{}}"))
            .route(ROUTES[1], "/off", lanes, &keys);
        let sidecar = Sidecar::start(&plan);
        let empty = settled(&sidecar);
        let crowd = Crowd::start(&runtime, sidecar.traffic(), setting.rps, setting.bearable);
        // A span in which all is well.
        std::thread::sleep(setting.before);
        Self { sidecar, stable, gray, crowd, runtime, empty }
    }

    /// Turns gray bad until both breakers have opened, for another moment, and then well until both have closed.
    pub(crate) fn play(mut self, act: &'static str, mood: Mood) -> Shown {
        let seen = self.gray.seen();
        self.crowd.enter(Phase::Bad);
        self.gray.turn(mood);
        let turned = Instant::now();
        let opened = self.both(|stage, route| {
            let cause = stage.opened_by(route)?;
            Some(Opened { after: turned.elapsed(), gray_requests: stage.gray.seen()[route] - seen[route], cause })
        });
        self.crowd.enter(Phase::Open);
        // A span in which gray is out and stays bad.
        std::thread::sleep(Duration::from_millis(300));
        self.crowd.enter(Phase::Healed);
        self.gray.turn(Mood::Healthy);
        let healed = Instant::now();
        let back = self.both(|stage, route| stage.is_closed(route).then(|| healed.elapsed()));
        let seen = self.gray.seen();
        eventually("gray to get visits again", || {
            let now = self.gray.seen();
            (now[0] > seen[0] && now[1] > seen[1]).then_some(())
        });
        let (empty, left) = (self.empty, self.leave());
        let (bad, open) = (self.crowd.met(Phase::Bad), self.crowd.met(Phase::Open));
        Shown { act, opened, bad, open, back, held: [empty, left] }
    }

    /// Sends everybody home and tells what the sidecar still holds once it had the time to let go.
    pub(crate) fn leave(&mut self) -> Held {
        self.crowd.go_home(&self.runtime);
        for route in ROUTES {
            self.sidecar.wait_for_metric("graylane_inflight_requests", &[("route", route)], 0.0);
        }
        eventually("the sidecar to hold no more descriptors than before", || {
            let now = held(&self.sidecar);
            (now.descriptors <= self.empty.descriptors).then_some(now)
        })
    }

    /// Waits for something on both routes.
    fn both<T: Copy>(&self, mut of: impl FnMut(&Self, usize) -> Option<T>) -> [T; 2] {
        let mut found = [None; 2];
        eventually("both breakers to change", || {
            for (route, found) in found.iter_mut().enumerate() {
                *found = found.or_else(|| of(self, route));
            }
            // The pause between two looks.
            std::thread::sleep(GLANCE);
            Some([found[0]?, found[1]?])
        })
    }

    fn opened_by(&self, route: usize) -> Option<&'static str> {
        ["error_rate", "p99", "mean", "slow_calls"].into_iter().find(|cause| {
            let labels = [("route", ROUTES[route]), ("lane", "gray"), ("to", "open"), ("cause", *cause)];
            self.sidecar.metric("graylane_breaker_transitions_total", &labels) > 0.0
        })
    }

    fn is_closed(&self, route: usize) -> bool {
        self.sidecar.metric("graylane_breaker_state", &[("route", ROUTES[route]), ("lane", "gray")]) == 0.0
    }
}

/// What a sidecar holds that has just started: its watch on the files begins beside the first requests.
fn settled(sidecar: &Sidecar) -> Held {
    let mut last = held(sidecar);
    eventually("the sidecar to open nothing more", || {
        // The pause between two looks.
        std::thread::sleep(10 * GLANCE);
        let now = held(sidecar);
        let is_settled = now.descriptors == last.descriptors;
        last = now;
        is_settled.then_some(now)
    })
}

fn held(sidecar: &Sidecar) -> Held {
    Held {
        descriptors: sidecar.descriptors(),
        threads: sidecar.status_figure("Threads:"),
        resident_kib: sidecar.memory_kib("VmRSS:"),
    }
}

impl Shown {
    /// The head of the table.
    pub(crate) const HEAD: &'static str = "\
| act | opened by | after, shielded / bare | gray requests until then | failed for users | slow for users | back after |
|---|---|---|---|---|---|---|";
}

/// A row of the table.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: [Duration; 2]| time.map(|time| format!("{:.2} s", time.as_secs_f64())).join(" / ");
        let sum = |figure: fn(&Met) -> u64| {
            [0, 1].map(|route| (figure(&self.bad[route]) + figure(&self.open[route])).to_string()).join(" / ")
        };
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} |",
            self.act,
            self.opened[0].cause,
            seconds(self.opened.map(|opened| opened.after)),
            self.opened.map(|opened| opened.gray_requests.to_string()).join(" / "),
            sum(|met| met.failed),
            sum(|met| met.slow),
            seconds(self.back),
        )
    }
}
