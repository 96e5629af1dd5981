//! From the start of a process to its first right answer.

use super::{Bench, MeasureError, order};
use crate::report::result::Row;
use crate::scenario::Scenario;
use crate::stage::Stage;

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
            rows[at].add("ready", "ms", running.ready_after.as_secs_f64() * 1e3);
        }
    }
    Ok(rows)
}
