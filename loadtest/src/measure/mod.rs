//! Takes the rounds of a scenario. Contestants serve side by side and take turns, each round in another order; one that
//! does not have its turn does nothing.
//!
//! [`cpu`], [`latency`], [`bodies`], [`memory`], [`start`] and [`idle`] are the figures.

pub mod bodies;
pub mod cpu;
pub mod idle;
pub mod latency;
pub mod memory;
pub mod start;

use std::time::Duration;

use indicatif::ProgressBar;

use crate::load::{Crowd, LoadError, Outcome};
use crate::report::result::{Row, ScenarioResult};
use crate::scenario::{Contestant, FigureKind, Scenario};
use crate::stage::machine::Cores;
use crate::stage::programs::Programs;
use crate::stage::{Running, Stage, StageError};

/// A scenario could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// Something it stands on failed.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A load could not even begin.
    #[error("no load on {who}")]
    Load {
        /// The contestant.
        who: String,
        /// Why.
        source: LoadError,
    },
}

/// What every figure needs.
#[derive(Debug)]
pub struct Bench<'a> {
    /// Where programs are.
    pub programs: &'a Programs,
    /// Who runs where.
    pub cores: &'a Cores,
    /// What people see meanwhile.
    pub progress: &'a ProgressBar,
}

impl Bench<'_> {
    /// Measures one scenario.
    ///
    /// # Errors
    /// Where something is missing, or does not serve.
    pub async fn measure(&self, scenario: &Scenario) -> Result<ScenarioResult, MeasureError> {
        let mut stage = Stage::set(scenario, self.programs, self.cores).await?;
        let mut note = None;
        let rows = match scenario.figure {
            FigureKind::Cpu => cpu::measure(self, scenario, &mut stage).await?,
            FigureKind::Latency => {
                let (rows, said) = latency::measure(self, scenario, &mut stage).await?;
                note = said;
                rows
            }
            FigureKind::Bodies => bodies::measure(self, scenario, &mut stage).await?,
            FigureKind::Memory => memory::measure(self, scenario, &mut stage).await?,
            FigureKind::Start => start::measure(self, scenario, &mut stage).await?,
            FigureKind::Idle => idle::measure(self, scenario, &mut stage).await?,
        };
        Ok(ScenarioResult { scenario: scenario.clone(), rows, note })
    }

    /// One more turn is about to be taken.
    fn turn(&self, scenario: &Scenario, contestant: &Contestant) {
        self.progress.set_message(format!("{}: {}", scenario.name, who(contestant)));
        self.progress.inc(1);
    }
}

/// How many turns a scenario has, for the progress bar.
pub fn turns(scenario: &Scenario) -> u64 {
    let contestants = scenario.contestants().len();
    let turns = match scenario.figure {
        FigureKind::Cpu => contestants * (scenario.rounds + 1),
        FigureKind::Bodies | FigureKind::Memory | FigureKind::Start | FigureKind::Idle => contestants * scenario.rounds,
        FigureKind::Latency => latency::peers(scenario).len() * (1 + 3 * scenario.rounds),
    };
    turns as u64
}

/// The order of a round: everybody once, each round beginning with another one.
fn order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| (place + round) % count)
}

fn who(contestant: &Contestant) -> String {
    match contestant.value {
        None => contestant.peer.name().to_owned(),
        Some(value) => format!("{} {value}", contestant.peer.name()),
    }
}

/// The connections of a contestant's shape, each with one good answer.
async fn open(running: &Running) -> Result<Crowd, MeasureError> {
    let shape = &running.contestant.shape;
    let crowd = Crowd::open(&running.target, &running.prepared, shape.connections, shape.streams);
    crowd.await.map_err(load_failed(running))
}

fn load_failed(running: &Running) -> impl FnOnce(LoadError) -> MeasureError {
    let who = who(&running.contestant);
    move |source| MeasureError::Load { who, source }
}

fn seconds(scenario: &Scenario) -> Duration {
    Duration::from_secs_f64(scenario.seconds)
}

fn rows_of(all: &[Running]) -> Vec<Row> {
    all.iter().map(|running| Row::of(&running.contestant)).collect()
}

/// Adds what went wrong to a row.
fn note_problems(row: &mut Row, outcome: &Outcome) {
    row.errors += outcome.errors;
    row.wrong += outcome.wrong;
    if row.problem.is_none() {
        row.problem.clone_from(&outcome.problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_one_turn_a_round_and_each_begins_once() {
        let rounds: Vec<Vec<usize>> = (0..3).map(|round| order(3, round).collect()).collect();
        assert_eq!(rounds, [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
    }
}
