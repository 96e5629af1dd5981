//! Memory of a proxy's whole process tree: resident, and proportional where processes share pages. Each round is a fresh
//! start.

use std::time::Duration;

use super::{Bench, MeasureError, note_problems, open, order, seconds};
use crate::load::Mode;
use crate::report::result::Row;
use crate::scenario::{MemoryState, Scenario};
use crate::stage::machine::Memory;
use crate::stage::{Running, Stage};

/// How often memory is looked at while connections are busy.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn measure(
    bench: &Bench<'_>,
    scenario: &Scenario,
    stage: &mut Stage,
) -> Result<Vec<Row>, MeasureError> {
    let contestants = scenario.contestants();
    let mut rows: Vec<Row> = contestants.iter().map(Row::of).collect();
    for round in 0..scenario.rounds {
        for at in order(contestants.len(), round) {
            bench.turn(scenario, &contestants[at]);
            let running = stage.start(&contestants[at]).await?;
            let held = match scenario.state.unwrap_or(MemoryState::Idle) {
                MemoryState::Idle => running.memory(),
                MemoryState::Quiet => {
                    let crowd = open(&running).await?;
                    let held = running.memory();
                    drop(crowd);
                    held
                }
                MemoryState::Busy => busy(&running, scenario, &mut rows[at]).await?,
            };
            rows[at].add("rss", "MiB", mebibytes(held.resident));
            rows[at].add("pss", "MiB", mebibytes(held.proportional));
        }
    }
    Ok(rows)
}

/// The highest of several looks while every connection has a request under way.
async fn busy(running: &Running, scenario: &Scenario, row: &mut Row) -> Result<Memory, MeasureError> {
    let crowd = open(running).await?;
    let mut most = Memory::default();
    let load = crowd.run(Mode::Closed, seconds(scenario));
    tokio::pin!(load);
    loop {
        tokio::select! {
            outcome = &mut load => {
                note_problems(row, &outcome);
                return Ok(most);
            }
            () = tokio::time::sleep(LOOK) => {
                let held = running.memory();
                most.resident = most.resident.max(held.resident);
                most.proportional = most.proportional.max(held.proportional);
            }
        }
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
