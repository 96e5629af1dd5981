//! The origins of a scenario, and contestants that serve.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::child::Child;
use super::configs::{Origins, Plan};
use super::machine::{Cores, Cpu, Memory, Ran, cpu, memory, own_cpu, ran};
use super::origin::Origin;
use super::programs::Programs;
use super::{StageError, certificate};
use crate::load::{Prepared, probe};
use crate::origin::GRPC_BODY;
use crate::scenario::{Client, Contestant, Peer, Scenario, Shape};
use crate::visitors::{Lane, visitors};

/// How long a program may take until it serves: ten thousand routes take a while.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two attempts.
const AGAIN: Duration = Duration::from_millis(1);

/// Where a load goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address.
    pub address: SocketAddr,
    /// With TLS: the client's settings.
    pub tls: Option<Arc<ClientConfig>>,
    /// What is spoken.
    pub client: Client,
}

/// The origins of a scenario and the folder of everything that it writes.
#[derive(Debug)]
pub struct Stage {
    programs: Programs,
    cores: Cores,
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    origins: Origins,
    origin: Origin,
    started: usize,
}

/// A contestant that serves. It ends when it is dropped.
#[derive(Debug)]
pub struct Running {
    /// Who it is.
    pub contestant: Contestant,
    /// Where it is.
    pub target: Target,
    /// Its visitors.
    pub prepared: Rc<Prepared>,
    /// From its start to the first right answer.
    pub ready_after: Duration,
    child: Option<Child>,
    origin: Option<u32>,
}

impl Running {
    /// The id of the proxy's process; that of the origin, if it has one, where there is no proxy.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id).or(self.origin)
    }

    /// What that process and all that it started have spent so far.
    pub fn cpu(&self) -> Cpu {
        self.id().map(cpu).unwrap_or_default()
    }

    /// The same as the scheduler counts it, which is finer.
    pub fn ran(&self) -> Ran {
        self.id().map(ran).unwrap_or_default()
    }

    /// What they hold now.
    pub fn memory(&self) -> Memory {
        self.id().map(memory).unwrap_or_default()
    }
}

impl Stage {
    /// Starts the origins of a scenario.
    ///
    /// # Errors
    /// Where something is missing or does not serve.
    pub async fn set(scenario: &Scenario, programs: &Programs, cores: &Cores) -> Result<Self, StageError> {
        let folder = tempfile::Builder::new().prefix("graylane-loadtest-").tempdir();
        let folder = folder.map_err(StageError::system("make a folder"))?;
        // nginx's workers are somebody else and need its sockets.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))
            .map_err(StageError::system("open the folder to others"))?;
        let certificate = certificate::make(folder.path())?;
        let origins = Origins {
            stable: free_port()?,
            gray: free_port()?,
            stable_socket: folder.path().join("stable.sock"),
            gray_socket: folder.path().join("gray.sock"),
        };
        let origin = Origin::start(scenario, programs, cores, (folder.path(), &origins)).await?;
        let mut stage =
            Self { programs: programs.clone(), cores: cores.clone(), folder, certificate, origins, origin, started: 0 };
        stage.wait_for_origins(scenario).await?;
        Ok(stage)
    }

    async fn wait_for_origins(&mut self, scenario: &Scenario) -> Result<(), StageError> {
        for (port, lane) in [(self.origins.stable, Lane::Stable), (self.origins.gray, Lane::Gray)] {
            let client = if scenario.shape.client == Client::Grpc { Client::Grpc } else { Client::Http1 };
            let target = Target { address: local(port), tls: None, client };
            let shape = Shape { client, ..Shape::default() };
            let prepared = prepared(Peer::Origin, &shape);
            serving(self.origin.child(), &target, &prepared, &[(0, lane)]).await?;
        }
        Ok(())
    }

    /// What load and origin have spent so far.
    pub fn load_cpu(&self) -> Cpu {
        let (load, origin) = (own_cpu(), self.origin.cpu());
        Cpu { user: load.user + origin.user, system: load.system + origin.system }
    }

    /// Starts a contestant and waits until it answers as it should, in both lanes.
    ///
    /// # Errors
    /// Where it is missing or does not serve.
    pub async fn start(&mut self, contestant: &Contestant) -> Result<Running, StageError> {
        let Contestant { peer, shape, .. } = contestant;
        let prepared = prepared(*peer, shape);
        let mut running = Running {
            contestant: contestant.clone(),
            target: self.target(*peer, shape, self.origins.stable),
            prepared: Rc::clone(&prepared),
            ready_after: Duration::ZERO,
            child: None,
            origin: self.origin.id(),
        };
        if *peer == Peer::Origin {
            return Ok(running);
        }
        self.started += 1;
        let name = format!("{}-{}", peer.name(), self.started);
        let folder = self.folder.path().join(&name);
        std::fs::create_dir(&folder).map_err(StageError::system("make a folder"))?;
        for file in ["cert.pem", "key.pem", "both.pem"] {
            std::fs::copy(self.folder.path().join(file), folder.join(file))
                .map_err(StageError::system("copy a certificate"))?;
        }
        let port = free_port()?;
        let admin = free_port()?;
        let templates = self.programs.root().join("loadtest/peers");
        let plan = Plan { templates: &templates, folder: &folder, port, admin, shape, origins: &self.origins };
        let mut command = self.command(*peer, &plan)?;
        command.current_dir(&folder);
        running.target = self.target(*peer, shape, port);
        let before = Instant::now();
        let mut child = Child::start(&name, command, self.cores.proxy(shape.workers), self.cores.load(), &folder)?;
        let gray = (0..prepared.len()).find(|at| prepared.lane(*at) == Lane::Gray).unwrap_or(0);
        serving(Some(&mut child), &running.target, &prepared, &[(0, prepared.lane(0))]).await?;
        running.ready_after = before.elapsed();
        serving(Some(&mut child), &running.target, &prepared, &[(gray, prepared.lane(gray))]).await?;
        running.child = Some(child);
        Ok(running)
    }

    fn target(&self, peer: Peer, shape: &Shape, port: u16) -> Target {
        let protocol: &[u8] = if shape.client == Client::Http1 { b"http/1.1" } else { b"h2" };
        let tls = shape.tls && peer.decides();
        // The origin of an HTTP/2 scenario speaks HTTP/1.1 itself.
        let client = match (peer.decides(), shape.client) {
            (false, Client::Http2) => Client::Http1,
            (_, client) => client,
        };
        Target {
            address: local(port),
            tls: tls.then(|| certificate::client(self.certificate.clone(), protocol)),
            client,
        }
    }

    fn command(&self, peer: Peer, plan: &Plan<'_>) -> Result<Command, StageError> {
        let mut command = self.programs.command(peer)?;
        let workers = plan.shape.workers.to_string();
        match peer {
            Peer::Graylane => command.args(["run", "--config"]).arg(plan.graylane()?),
            Peer::Nginx => command.arg("-c").arg(plan.nginx()?),
            Peer::Haproxy => command.arg("-f").arg(plan.haproxy()?),
            Peer::Envoy => command.arg("-c").arg(plan.envoy()?).args([
                "--concurrency",
                &workers,
                "--disable-hot-restart",
                "--log-level",
                "error",
            ]),
            Peer::Copy | Peer::Origin => {
                command.args(["copy", &local(plan.port).to_string(), &local(self.origins.stable).to_string()])
            }
        };
        Ok(command)
    }
}

fn prepared(peer: Peer, shape: &Shape) -> Rc<Prepared> {
    let body = if shape.client == Client::Grpc { GRPC_BODY } else { shape.body };
    Prepared::new(visitors(peer, shape), body)
}

/// Asks until each of some visitors is answered by the lane given.
async fn serving(
    mut child: Option<&mut Child>,
    target: &Target,
    prepared: &Rc<Prepared>,
    wanted: &[(usize, Lane)],
) -> Result<(), StageError> {
    let start = Instant::now();
    let silent = |child: Option<&mut Child>, why: String| match child {
        Some(child) => child.silent(why),
        None => StageError::Silent { name: "origin".to_owned(), why, said: "nothing".to_owned() },
    };
    for (at, lane) in wanted {
        loop {
            let limit = PATIENCE.saturating_sub(start.elapsed());
            let why = match tokio::time::timeout(limit, probe(target, prepared, *at)).await {
                Ok(Ok(answer)) if answer.lane == Some(*lane) => break,
                Ok(Ok(answer)) => return Err(silent(child, format!("{:?} instead of {lane:?}", answer.lane))),
                Ok(Err(problem)) => problem.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            let has_ended = child.as_mut().is_some_and(|child| child.has_ended());
            if has_ended || start.elapsed() >= PATIENCE {
                return Err(silent(child, why));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok(())
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port that nobody has now.
fn free_port() -> Result<u16, StageError> {
    let listener = TcpListener::bind(local(0)).and_then(|listener| listener.local_addr());
    Ok(listener.map_err(StageError::system("find a free port"))?.port())
}

/// The folder of a checkout that holds this crate.
pub fn checkout() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}
