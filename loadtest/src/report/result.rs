//! What was measured, as it is kept in JSON: every round of every figure, and what it was measured on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scenario::{Aim, Contestant, FigureKind, Peer, Scenario};
use crate::stage::machine::Machine;

/// All of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// When it began, in UTC.
    pub when: String,
    /// The command that makes it.
    pub command: String,
    /// What it was measured on.
    pub machine: Machine,
    /// What each program says of its version.
    pub versions: BTreeMap<String, String>,
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioResult>,
}

/// A scenario as it was run, and its rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScenarioResult {
    /// What was asked for.
    pub scenario: Scenario,
    /// One row a contestant.
    pub rows: Vec<Row>,
    /// What a reader has to know of this run.
    #[serde(default)]
    pub note: Option<String>,
}

/// What one contestant came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Who.
    pub peer: Peer,
    /// The value of the part that is varied.
    pub value: Option<usize>,
    /// The peer at whose rate this was measured (added delay).
    pub beside: Option<Peer>,
    /// Figures, in the order in which they are told.
    pub figures: Vec<Figure>,
    /// Requests without a good answer.
    pub errors: u64,
    /// Answers from the wrong lane.
    pub wrong: u64,
    /// The first thing that went wrong.
    pub problem: Option<String>,
}

/// One figure over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What each round gave.
    pub rounds: Vec<f64>,
}

impl Figure {
    /// The middle of the rounds; of an even number, the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[odd / 2],
            even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        }
    }

    /// The least and the greatest round.
    pub fn range(&self) -> (f64, f64) {
        self.rounds
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), one| (least.min(*one), most.max(*one)))
    }
}

impl Row {
    /// An empty one.
    pub fn of(contestant: &Contestant) -> Self {
        Self {
            peer: contestant.peer,
            value: contestant.value,
            beside: None,
            figures: Vec::new(),
            errors: 0,
            wrong: 0,
            problem: None,
        }
    }

    /// One more round of a figure.
    pub fn add(&mut self, name: &str, unit: &str, value: f64) {
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.rounds.push(value),
            None => {
                self.figures.push(Figure { name: name.to_owned(), unit: unit.to_owned(), rounds: vec![value] });
            }
        }
    }

    /// The median of a figure.
    pub fn median(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(Figure::median)
    }

    /// Whether every answer was right.
    pub fn is_clean(&self) -> bool {
        self.errors == 0 && self.wrong == 0
    }

    /// Who this is, in words.
    pub fn label(&self) -> String {
        match (self.value, self.beside) {
            (Some(value), _) => format!("{}, {value}", self.peer.name()),
            (None, Some(beside)) => format!("{} at half of {}'s rate", self.peer.name(), beside.name()),
            (None, None) => self.peer.name().to_owned(),
        }
    }
}

impl FigureKind {
    /// The figure that proxies are compared by.
    pub fn main(self) -> &'static str {
        match self {
            Self::Cpu | Self::Idle => "cpu",
            Self::Latency => "added p50",
            Self::Bodies => "down",
            Self::Memory => "pss",
            Self::Start => "ready",
        }
    }
}

/// How an aim came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The aim in words.
    pub words: String,
    /// The value that counts, if there is one.
    pub value: Option<f64>,
    /// Whether it is kept.
    pub kept: bool,
}

impl ScenarioResult {
    /// A figure of graylane over that of a peer, both at the peer's rate where that matters.
    pub fn ratio(&self, figure: &str, peer: Peer) -> Option<f64> {
        let row = |who: Peer| {
            let mut rows = self.rows.iter().filter(|row| row.peer == who && row.value.is_none());
            rows.find(|row| row.beside.is_none_or(|beside| beside == peer))
        };
        Some(row(Peer::Graylane)?.median(figure)? / row(peer)?.median(figure)?)
    }

    /// A row's main figure beside that of the first value of the same peer.
    pub fn growth(&self, row: &Row) -> Option<f64> {
        row.value?;
        let main = self.scenario.figure.main();
        let first = self.rows.iter().find(|other| other.peer == row.peer)?;
        Some(row.median(main)? / first.median(main)?)
    }

    /// Every aim of the scenario.
    pub fn judged(&self) -> Vec<Judged> {
        self.scenario.aims.iter().map(|aim| self.judge(aim)).collect()
    }

    fn judge(&self, aim: &Aim) -> Judged {
        let value = match aim.beside {
            Some(peer) => self.ratio(&aim.figure, peer),
            None => {
                let own = self.rows.iter().find(|row| row.peer == Peer::Graylane);
                own.and_then(|row| row.median(&aim.figure))
            }
        };
        Judged { words: aim.words(), value, kept: value.is_some_and(|value| aim.kept(value)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Shape;

    fn row(peer: Peer, cpu: &[f64]) -> Row {
        let mut row = Row::of(&Contestant { peer, shape: Shape::default(), value: None });
        cpu.iter().for_each(|one| row.add("cpu", "us/request", *one));
        row
    }

    fn result(aims: &str) -> ScenarioResult {
        let text = format!("name: a\ntitle: b\nfigure: cpu\npeers: [graylane, nginx]\naims: [{aims}]\n");
        let scenario = serde_yaml::from_str(&text).expect("a scenario");
        let rows = vec![row(Peer::Graylane, &[9.0, 30.0, 10.0]), row(Peer::Nginx, &[20.0, 10.0])];
        ScenarioResult { scenario, rows, note: None }
    }

    #[test]
    fn one_bad_round_does_not_move_the_median() {
        let result = result("");
        assert_eq!(result.rows[0].median("cpu"), Some(10.0));
        assert_eq!(result.rows[1].median("cpu"), Some(15.0));
        assert_eq!(result.rows[0].figures[0].range(), (9.0, 30.0));
    }

    #[test]
    fn aims_are_judged_beside_peers_and_by_themselves() {
        let check = |aim: &str, kept: bool| assert_eq!(result(aim).judged()[0].kept, kept, "{aim}");
        check("{ figure: cpu, beside: nginx, at_most: 0.7 }", true);
        check("{ figure: cpu, beside: nginx, at_most: 0.6 }", false);
        check("{ figure: cpu, beside: nginx, at_least: 0.6 }", true);
        check("{ figure: cpu, at_most: 10 }", true);
        check("{ figure: cpu, at_most: 9 }", false);
        // What was not measured is not kept.
        check("{ figure: cpu, beside: envoy, at_most: 100 }", false);
    }
}
