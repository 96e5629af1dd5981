//! Configuration centres, ready to be asked.

use std::path::PathBuf;
use std::time::Duration;

use super::remote::{Login, TlsFiles};

/// A configuration centre that speaks the protocol of `docs/config-centre.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentrePlan {
    /// `http` or `https`, without a slash at the end.
    pub url: String,
    /// The file with the bearer token.
    pub token: Option<PathBuf>,
    /// Whom `https` believes.
    pub tls: TlsFiles,
    /// How long the centre is asked to hold a poll.
    pub wait: Duration,
    /// How long it may take over a whole set.
    pub answer: Duration,
    /// What we call ourselves to it.
    pub instance: String,
}

/// Configurations of one group of a namespace in Nacos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NacosPlan {
    /// With the context path, without a slash at the end.
    pub url: String,
    /// The id of the namespace; empty for the public one.
    pub tenant: String,
    /// The group.
    pub group: String,
    /// The configurations: at least one, none twice.
    pub data_ids: Vec<String>,
    /// Who we are.
    pub login: Login,
    /// Whom `https` believes.
    pub tls: TlsFiles,
    /// How long the server is asked to hold a poll.
    pub wait: Duration,
}

/// Namespaces of an application in Apollo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApolloPlan {
    /// Of the config service, without a slash at the end.
    pub url: String,
    /// The application.
    pub app_id: String,
    /// The cluster.
    pub cluster: String,
    /// The namespaces, each a document: at least one, none twice.
    pub namespaces: Vec<String>,
    /// The file with the access key's secret, where requests are signed.
    pub secret: Option<PathBuf>,
    /// What we say our address is, for Apollo's own gray releases.
    pub ip: Option<String>,
    /// Whom `https` believes.
    pub tls: TlsFiles,
}

impl ApolloPlan {
    /// The path of the URL, empty where it has none: signatures go over the path as a server sees it.
    pub fn path(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').map_or("", |at| &rest[at..])
    }
}
