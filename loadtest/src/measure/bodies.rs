//! Large bodies, one after the other on one connection: bytes a second, down and up, and what they cost.

use std::time::Instant;

use super::{Bench, MeasureError, load_failed, order, rows_of, seconds};
use crate::load::http1::Connection;
use crate::load::{Answer, LoadError};
use crate::report::result::Row;
use crate::scenario::Scenario;
use crate::stage::{Running, Stage};

const MEBIBYTE: f64 = (1 << 20) as f64;

#[derive(Debug, Clone, Copy)]
enum Way {
    Down,
    Up,
}

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
    for round in 0..scenario.rounds {
        for at in order(all.len(), round) {
            bench.turn(scenario, &all[at].contestant);
            for way in [Way::Down, Way::Up] {
                turn(&all[at], scenario, way, &mut rows[at]).await.map_err(load_failed(&all[at]))?;
            }
        }
    }
    Ok(rows)
}

/// As many bodies as half of a turn takes, and at least one.
async fn turn(running: &Running, scenario: &Scenario, way: Way, row: &mut Row) -> Result<(), LoadError> {
    let mut connection = Connection::open(&running.target).await?;
    let (before, start) = (running.cpu(), Instant::now());
    let mut bodies = 0_u32;
    while bodies == 0 || start.elapsed() < seconds(scenario) / 2 {
        let answer = body(&mut connection, running, way).await?;
        match answer.lane == Some(running.prepared.lane(0)) {
            true => bodies += 1,
            false => {
                row.wrong += 1;
                break;
            }
        }
    }
    let mebibytes = f64::from(bodies) * running.contestant.shape.body as f64 / MEBIBYTE;
    let spent = running.cpu().since(before).total();
    let (rate, cost) = match way {
        Way::Down => ("down", "down cpu"),
        Way::Up => ("up", "up cpu"),
    };
    row.add(rate, "MiB/s", mebibytes / start.elapsed().as_secs_f64());
    row.add(cost, "us/MiB", spent * 1e6 / mebibytes.max(1.0));
    Ok(())
}

async fn body(connection: &mut Connection, running: &Running, way: Way) -> Result<Answer, LoadError> {
    match way {
        Way::Down => connection.exchange(&running.prepared, 0).await,
        Way::Up => connection.upload("/", running.contestant.shape.body as u64).await,
    }
}
