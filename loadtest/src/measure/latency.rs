//! Added delay under an open loop. For each peer the rate is half of what that peer can bear at most; peer, graylane and
//! the origin alone take turns at that rate, and what a proxy adds is its quantile less the origin's of the same round.
//! Meanwhile load and proxies come before everything else of the machine.

use super::cpu::{Cost, turn};
use super::{Bench, MeasureError, note_problems, order, seconds};
use crate::load::Mode;
use crate::report::result::Row;
use crate::scenario::{Contestant, Peer, Scenario};
use crate::stage::{Precedence, Running, Stage};

/// What a result says where the kernel gives no precedence.
const REFUSED: &str = "Without permission for real-time priority: what else ran on this machine is in these delays";

/// Those that graylane is held against: whoever stands between load and origin.
pub(super) fn peers(scenario: &Scenario) -> Vec<Peer> {
    scenario.peers.iter().copied().filter(|peer| !matches!(peer, Peer::Graylane | Peer::Origin)).collect()
}

pub(super) async fn measure(
    bench: &Bench<'_>,
    scenario: &Scenario,
    stage: &mut Stage,
) -> Result<(Vec<Row>, Option<String>), MeasureError> {
    let contestant = |peer| Contestant { peer, shape: scenario.shape.clone(), value: None };
    let origin = stage.start(&contestant(Peer::Origin)).await?;
    let graylane = stage.start(&contestant(Peer::Graylane)).await?;
    // A peer is warm once its highest rate is known.
    turn(&graylane, stage, Mode::Closed, seconds(scenario)).await?;
    let (mut rows, mut note) = (Vec::new(), None);
    for peer in peers(scenario) {
        let peer = stage.start(&contestant(peer)).await?;
        bench.turn(scenario, &peer.contestant);
        let highest = turn(&peer, stage, Mode::Closed, seconds(scenario)).await?.outcome.per_second();
        let mode = Mode::Open { per_second: (highest / 2.0).max(1.0) };
        let all = [&origin, &peer, &graylane];
        let precedence = Precedence::take(all.iter().filter_map(|one| one.id()));
        if precedence.is_none() {
            note = Some(REFUSED.to_owned());
        }
        rows.extend(against(bench, scenario, stage, all, mode).await?);
    }
    Ok((rows, note))
}

/// The rounds of one peer: three rows, those of origin, peer and graylane.
async fn against(
    bench: &Bench<'_>,
    scenario: &Scenario,
    stage: &Stage,
    all: [&Running; 3],
    mode: Mode,
) -> Result<Vec<Row>, MeasureError> {
    let mut rows: Vec<Row> = all.iter().map(|running| Row::of(&running.contestant)).collect();
    rows.iter_mut().for_each(|row| row.beside = Some(all[1].contestant.peer));
    for round in 0..scenario.rounds {
        let mut costs: [Option<Cost>; 3] = [None, None, None];
        for at in order(all.len(), round) {
            bench.turn(scenario, &all[at].contestant);
            costs[at] = Some(turn(all[at], stage, mode, seconds(scenario)).await?);
        }
        let quantile = |at: usize, quantile| costs[at].as_ref().map_or(0.0, |cost| cost.outcome.quantile(quantile));
        for (at, row) in rows.iter_mut().enumerate() {
            if at > 0 {
                row.add("added p50", "ms", quantile(at, 0.5) - quantile(0, 0.5));
                row.add("added p99", "ms", quantile(at, 0.99) - quantile(0, 0.99));
            }
            row.add("p50", "ms", quantile(at, 0.5));
            row.add("p99", "ms", quantile(at, 0.99));
            if let Some(cost) = &costs[at] {
                row.add("rate", "requests/s", cost.outcome.per_second());
                row.add("proxy core", "%", cost.busy.0 * 100.0);
                row.add("load core", "%", cost.busy.1 * 100.0);
                note_problems(row, &cost.outcome);
            }
        }
    }
    Ok(rows)
}
