//! Where more of the configuration comes from, ready to run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::centres::{ApolloPlan, CentrePlan, NacosPlan};
pub use super::file::RedisPush;
use super::kubernetes::KubernetesPlan;

/// A shared store or configuration centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlan {
    /// What it is called; no two sources have the same name.
    pub name: Arc<str>,
    /// The part of the store that is read.
    pub namespace: Arc<str>,
    /// How long what was read counts as fresh without contact.
    pub ttl: Duration,
    /// The pauses between attempts.
    pub backoff: BackoffPlan,
    /// How much the server may say.
    pub bounds: SourceBounds,
    /// What it is.
    pub kind: SourceKind,
}

/// The pauses between attempts; `first` is never longer than `most`, and neither is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPlan {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
}

/// How much a server may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceBounds {
    /// Most documents.
    pub documents: usize,
    /// Most bytes of one document.
    pub document_bytes: usize,
    /// Most bytes of all documents together.
    pub total_bytes: usize,
}

/// What kind of server a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// Redis.
    Redis(RedisPlan),
    /// etcd.
    Etcd(EtcdPlan),
    /// A centre that speaks our own protocol.
    Centre(CentrePlan),
    /// Nacos.
    Nacos(NacosPlan),
    /// Apollo.
    Apollo(ApolloPlan),
    /// Custom resources.
    Kubernetes(KubernetesPlan),
}

impl SourceKind {
    /// The word of the file.
    pub fn as_str(&self) -> &'static str {
        match self {
            SourceKind::Redis(_) => "redis",
            SourceKind::Etcd(_) => "etcd",
            SourceKind::Centre(_) => "centre",
            SourceKind::Nacos(_) => "nacos",
            SourceKind::Apollo(_) => "apollo",
            SourceKind::Kubernetes(_) => "kubernetes",
        }
    }
}

/// Documents under a prefix in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisPlan {
    /// Where it listens.
    pub address: RedisAddress,
    /// How the keys begin, the namespace and its slash included.
    pub prefix: String,
    /// The number of the database.
    pub database: u32,
    /// Who we are.
    pub login: Login,
    /// TLS, where it is spoken.
    pub tls: Option<TlsFiles>,
    /// How changes are told.
    pub push: RedisPush,
    /// A pub/sub channel that asks to read now.
    pub channel: Option<String>,
    /// How often everything is read in any case.
    pub poll: Duration,
}

/// Where a Redis server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAddress {
    /// Host name or IP address, and port.
    Host(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Documents under a prefix in etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdPlan {
    /// The members' URLs without a slash at the end: at least one, `http` or `https`.
    pub endpoints: Vec<String>,
    /// How the keys begin, the namespace and its slash included.
    pub prefix: String,
    /// Who we are.
    pub login: Login,
    /// Whom `https` believes.
    pub tls: TlsFiles,
    /// How often is asked whether the watch missed anything.
    pub check: Duration,
}

/// Who we are to a server. The password is read from its file whenever it is needed, so that it can be replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: Option<String>,
    /// The file with the password, less one newline at its end.
    pub password: Option<PathBuf>,
}

/// Whom TLS believes, and who we are to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// A PEM file of authorities; without one, those of the system.
    pub ca: Option<PathBuf>,
    /// PEM files of our certificate chain and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}
