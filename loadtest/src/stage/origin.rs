//! What answers behind the proxies of a scenario: nginx, or an origin of our own beside the load or in its thread.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tokio::task::JoinSet;

use super::StageError;
use super::child::Child;
use super::configs::{self, Origins};
use super::machine::{Cores, Cpu, cpu};
use super::programs::{self, Programs};
use crate::origin::{Speaks, serve};
use crate::scenario::{Client, FigureKind, OriginKind, Part, Scenario};

/// It answers until it is dropped.
#[derive(Debug)]
pub(super) enum Origin {
    /// A process of its own.
    Beside(Child),
    /// Tasks of the load's own thread.
    Within {
        /// They take connections until they are dropped.
        _listeners: JoinSet<()>,
    },
}

impl Origin {
    /// Starts it, or lets it listen; it may take a moment to answer.
    pub(super) async fn start(
        scenario: &Scenario,
        programs: &Programs,
        cores: &Cores,
        (folder, places): (&Path, &Origins),
    ) -> Result<Self, StageError> {
        let contestants = scenario.contestants();
        let endpoints = contestants.iter().map(|one| one.shape.endpoints).max().unwrap_or(1);
        let addresses = |port: u16| -> Vec<SocketAddr> {
            configs::loopbacks(endpoints).filter_map(|host| format!("{host}:{port}").parse().ok()).collect()
        };
        let (stable, gray) = (addresses(places.stable), addresses(places.gray));
        let mut command = match kind(scenario) {
            OriginKind::Within => {
                let listeners = serve(&stable, &gray, speaks(scenario)).await;
                return Ok(Self::Within { _listeners: listeners.map_err(StageError::system("listen as an origin"))? });
            }
            OriginKind::Own => own(scenario, &stable, &gray)?,
            OriginKind::Nginx => {
                let templates = programs.root().join("loadtest/peers");
                let config = configs::origin(&templates, folder, places, endpoints)?;
                let mut command = Command::new(programs::on_path("nginx")?);
                command.arg("-c").arg(config);
                command
            }
        };
        command.current_dir(folder);
        Child::start("origin", command, cores.load(), cores.load(), folder).map(Self::Beside)
    }

    /// Its process, where it has one.
    pub(super) fn child(&mut self) -> Option<&mut Child> {
        match self {
            Self::Beside(child) => Some(child),
            Self::Within { .. } => None,
        }
    }

    /// The id of its process, where it has one.
    pub(super) fn id(&self) -> Option<u32> {
        match self {
            Self::Beside(child) => Some(child.id()),
            Self::Within { .. } => None,
        }
    }

    /// What it has spent so far beside the load; nothing where it is a part of that.
    pub(super) fn cpu(&self) -> Cpu {
        self.id().map(cpu).unwrap_or_default()
    }
}

/// Who it is, nginx aside where that cannot be it.
fn kind(scenario: &Scenario) -> OriginKind {
    let is_beyond_nginx = scenario.shape.client == Client::Grpc
        || scenario.figure == FigureKind::Bodies
        || scenario.vary.as_ref().is_some_and(|vary| vary.what == Part::Body);
    match scenario.origin {
        OriginKind::Nginx if is_beyond_nginx => OriginKind::Own,
        kind => kind,
    }
}

fn speaks(scenario: &Scenario) -> Speaks {
    if scenario.shape.client == Client::Grpc { Speaks::Http2 } else { Speaks::Http1 }
}

fn own(scenario: &Scenario, stable: &[SocketAddr], gray: &[SocketAddr]) -> Result<Command, StageError> {
    let mut command = Command::new(programs::own()?);
    let speaks = if speaks(scenario) == Speaks::Http2 { "http2" } else { "http1" };
    command.args(["origin", "--speaks", speaks]);
    for (option, addresses) in [("--stable", stable), ("--gray", gray)] {
        addresses.iter().for_each(|address| {
            command.arg(option).arg(address.to_string());
        });
    }
    Ok(command)
}
