//! What proxies take while nobody asks for anything: all of them at once, each with connections that once had an answer.

use super::{Bench, MeasureError, open, rows_of, seconds};
use crate::report::result::Row;
use crate::scenario::Scenario;
use crate::stage::machine::Ran;
use crate::stage::{Running, Stage};

pub(super) async fn measure(
    bench: &Bench<'_>,
    scenario: &Scenario,
    stage: &mut Stage,
) -> Result<Vec<Row>, MeasureError> {
    let mut all = Vec::new();
    for contestant in scenario.contestants() {
        all.push(stage.start(&contestant).await?);
    }
    let mut rows = rows_of(&all);
    let mut crowds = Vec::new();
    for running in &all {
        crowds.push(open(running).await?);
    }
    for _ in 0..scenario.rounds {
        all.iter().for_each(|running| bench.turn(scenario, &running.contestant));
        let before: Vec<Ran> = all.iter().map(Running::ran).collect();
        tokio::time::sleep(seconds(scenario)).await;
        for ((running, before), row) in all.iter().zip(before).zip(&mut rows) {
            let ran = running.ran();
            let a_second = 1.0 / scenario.seconds;
            row.add("cpu", "us/s", (ran.seconds - before.seconds) * 1e6 * a_second);
            row.add("wakings", "1/s", (ran.times - before.times) as f64 * a_second);
        }
    }
    drop(crowds);
    Ok(rows)
}
