//! CPU time per request, by the kernel's books, under a closed loop.

use std::time::{Duration, Instant};

use super::{Bench, MeasureError, note_problems, open, order, rows_of, seconds};
use crate::load::{Mode, Outcome};
use crate::report::result::Row;
use crate::scenario::Scenario;
use crate::stage::machine::Cpu;
use crate::stage::{Running, Stage};

/// The first load, which is not counted: connections to the origin, caches and allocators come to rest.
const WARM: Duration = Duration::from_millis(300);

/// What a turn cost.
#[derive(Debug)]
pub(super) struct Cost {
    /// What came of the load.
    pub(super) outcome: Outcome,
    /// The proxy's CPU time.
    pub(super) proxy: Cpu,
    /// Shares of one core: the proxy's, and that of load and origin.
    pub(super) busy: (f64, f64),
}

pub(super) async fn measure(
    bench: &Bench<'_>,
    scenario: &Scenario,
    stage: &mut Stage,
) -> Result<Vec<Row>, MeasureError> {
    let mut all = Vec::new();
    for contestant in scenario.contestants() {
        bench.turn(scenario, &contestant);
        let running = stage.start(&contestant).await?;
        turn(&running, stage, Mode::Closed, WARM.min(seconds(scenario))).await?;
        all.push(running);
    }
    let mut rows = rows_of(&all);
    for round in 0..scenario.rounds {
        for at in order(all.len(), round) {
            bench.turn(scenario, &all[at].contestant);
            let cost = turn(&all[at], stage, Mode::Closed, seconds(scenario)).await?;
            add(&mut rows[at], &cost);
        }
    }
    Ok(rows)
}

/// One turn of load on fresh connections, which are opened before it counts.
pub(super) async fn turn(running: &Running, stage: &Stage, mode: Mode, length: Duration) -> Result<Cost, MeasureError> {
    let crowd = open(running).await?;
    let (proxy, load, start) = (running.cpu(), stage.load_cpu(), Instant::now());
    let outcome = crowd.run(mode, length).await;
    let elapsed = start.elapsed().as_secs_f64();
    let proxy = running.cpu().since(proxy);
    let load = stage.load_cpu().since(load);
    Ok(Cost { outcome, proxy, busy: (proxy.total() / elapsed, load.total() / elapsed) })
}

fn add(row: &mut Row, cost: &Cost) {
    let requests = cost.outcome.requests.max(1) as f64;
    row.add("cpu", "us/request", cost.proxy.total() * 1e6 / requests);
    row.add("user", "us/request", cost.proxy.user * 1e6 / requests);
    row.add("system", "us/request", cost.proxy.system * 1e6 / requests);
    row.add("rate", "requests/s", cost.outcome.per_second());
    row.add("p50", "ms", cost.outcome.quantile(0.5));
    row.add("p99", "ms", cost.outcome.quantile(0.99));
    row.add("proxy core", "%", cost.busy.0 * 100.0);
    row.add("load core", "%", cost.busy.1 * 100.0);
    note_problems(row, &cost.outcome);
}
