//! The lane of one logged request under one configuration.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::facts::{Asked, LineFacts, Side, Why};
use super::line::{Known, Line};
use crate::decide::{FactId, Inputs, LaneId, NormalPath, ReleaseId, RouteId, number};

/// Where a request goes. All three are absent where it is answered without a lane, with 404 or 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Placed {
    pub(super) route: Option<RouteId>,
    pub(super) release: Option<ReleaseId>,
    pub(super) lane: Option<LaneId>,
}

/// What is counted of a request.
#[derive(Debug, Default)]
pub(super) struct Goods {
    pub(super) sku: Option<String>,
    pub(super) category: Option<String>,
    pub(super) amount: Option<Decimal>,
}

impl Goods {
    /// Whatever is not known yet.
    fn read(&mut self, facts: &LineFacts<'_, '_>) {
        let known = |fact| match facts.known(fact) {
            Known::Value(value) => Some(value.into_owned()),
            _ => None,
        };
        self.sku = self.sku.take().or_else(|| known(FactId::SKU_ID));
        self.category = self.category.take().or_else(|| known(FactId::CATEGORY_ID));
        self.amount = self.amount.or_else(|| number(known(FactId::ORDER_AMOUNT)?.trim()));
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
    goods.read(&facts);
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
