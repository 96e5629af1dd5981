//! The lane of one logged request under one configuration.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::distinct::Mark;
use super::facts::{Asked, LineFacts, Side, Why};
use super::line::{Known, Line};
use crate::decide::{FactId, HashKey, Inputs, LaneId, NormalPath, ReleaseId, RouteId, number};

/// Where a request goes. All three are absent where it is answered without a lane, with 404 or 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Placed {
    pub(super) route: Option<RouteId>,
    pub(super) release: Option<ReleaseId>,
    pub(super) lane: Option<LaneId>,
}

/// What is counted of a request. What the first that is asked does not know, the next may.
#[derive(Debug, Default)]
pub(super) struct Goods {
    pub(super) user: Option<Mark>,
    pub(super) sku: Option<Mark>,
    pub(super) category: Option<Mark>,
    pub(super) amount: Option<Decimal>,
}

/// Kinds of values, so that a user and a device of one id are two.
const USER: u8 = 1;
const DEVICE: u8 = 2;
const OTHER: u8 = 0;

impl Goods {
    /// Whatever is not known yet, from the facts that a configuration finds. The user is the key that the release hashes.
    fn read(&mut self, facts: &LineFacts<'_, '_>, hash_key: HashKey) {
        let marked = |fact, kind| Some(Mark::of(kind, facts.known(fact).value()?));
        let device = || marked(FactId::DEVICE_ID, DEVICE);
        self.user = self.user.or_else(|| match hash_key {
            HashKey::UserThenDevice => marked(FactId::USER_ID, USER).or_else(device),
            HashKey::Device => device(),
        });
        self.sku = self.sku.or_else(|| marked(FactId::SKU_ID, OTHER));
        self.category = self.category.or_else(|| marked(FactId::CATEGORY_ID, OTHER));
        self.amount = self.amount.or_else(|| number(facts.known(FactId::ORDER_AMOUNT).value()?.trim()));
    }

    /// Where no key was found, the user or the device that the log names by itself.
    pub(super) fn read_line(&mut self, line: &Line<'_>) {
        let marked = |known: &Known<'_>, kind| Some(Mark::of(kind, known.value()?));
        self.user = self.user.or_else(|| marked(&line.user, USER)).or_else(|| marked(&line.device, DEVICE));
    }
}

/// Decides as the sidecar would, breakers and latches aside. `goods` gets what is worth counting.
pub(super) fn place<'s>(side: &'s Side<'s>, line: &Line<'_>, goods: &mut Goods) -> Result<Placed, Why<'s>> {
    let Ok(path) = NormalPath::new(&line.path, side.allow) else { return Ok(Placed::default()) };
    let program = &side.settings.program;
    let asked = Asked::new(line, side);
    let found = program.find(&asked, path.as_str());
    if asked.has_gap() {
        return Err(Why::Route);
    }
    let Some(found) = found else { return Ok(Placed::default()) };
    let (route, release) = (program.route(found.route), program.route(found.route).release);
    let facts = LineFacts::new(side, &asked, &found, release.map(|release| program.release(release)));
    goods.read(&facts, release.map(|release| program.release(release).hash_key).unwrap_or_default());
    let placed = |lane| Placed { route: Some(found.route), release, lane: Some(lane) };
    if let Some(lane) = earlier_voice(line) {
        let release = release.map(|release| program.release(release).name.as_str());
        let lane = lane.filter(|(named, _)| named.as_deref() == release).and_then(|(_, lane)| program.lanes().id(lane));
        return lane.filter(|lane| route.lanes.contains(lane)).map(placed).ok_or(Why::Voice);
    }
    let decision = program.decide(found.route, &Inputs::of(&facts));
    match facts.gap(&decision) {
        Some(why) => Err(why),
        None => Ok(placed(decision.lane)),
    }
}

/// The release that was meant, and the lane.
type Voice<'l> = (&'l Option<Cow<'l, str>>, &'l str);

/// What an override or a lane mark decided, with the release that it was for; inner `None` where the log does not show it.
fn earlier_voice<'l>(line: &'l Line<'l>) -> Option<Option<Voice<'l>>> {
    let decided = line.decided.as_ref()?;
    matches!(&*decided.reason, "override" | "lane_mark")
        .then(|| (!decided.diverted).then_some((&decided.release, &*decided.lane)))
}
