//! The addresses of an upstream's endpoints, kept fresh without a worker ever waiting for a name server.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

/// An endpoint as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointName {
    /// A host name or address literal and a port; a name may have several addresses.
    Host(String, u16),
    /// A Unix socket.
    Unix(Arc<Path>),
}

/// An endpoint that can be connected to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// TCP
    Tcp(SocketAddr),
    /// Unix domain
    Unix(Arc<Path>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is configured of an upstream; two upstreams of equal specification share connections over a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointName>,
    /// How long an unused connection is kept. Shorter than what common servers keep theirs (Node.js: 5 s), so that we
    /// close first and a request seldom meets a connection that is just being closed.
    pub idle: Duration,
    /// Unused connections kept per endpoint and worker.
    pub max_idle: usize,
}

/// An upstream: its specification and the addresses its endpoints have now.
pub struct Upstream {
    /// Tells upstreams apart over changes of configuration.
    pub id: u64,
    /// As configured.
    pub spec: UpstreamSpec,
    addresses: ArcSwap<Vec<Address>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Upstream {
    /// With the addresses that need no look-up.
    pub fn new(spec: UpstreamSpec) -> Self {
        let mut addresses = Vec::new();
        spec.endpoints.iter().for_each(|name| addresses.extend(literal(name)));
        dedup(&mut addresses);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, spec, addresses: ArcSwap::from_pointee(addresses) }
    }

    /// The addresses now.
    pub fn addresses(&self) -> arc_swap::Guard<Arc<Vec<Address>>> {
        self.addresses.load()
    }

    /// Whether any endpoint has to be looked up.
    fn has_names(&self) -> bool {
        self.spec.endpoints.iter().any(|name| literal(name).is_none())
    }

    /// Looks all names up once. A name that cannot be resolved keeps the whole list as it was, unless nothing was
    /// known yet.
    async fn refresh(&self) {
        let mut found = Vec::new();
        let mut failed = false;
        for name in &self.spec.endpoints {
            match (literal(name), name) {
                (Some(address), _) => found.push(address),
                (None, EndpointName::Host(host, port)) => match resolve(host, *port).await {
                    Ok(addresses) => found.extend(addresses),
                    Err(error) => {
                        failed = true;
                        tracing::warn!(upstream = %self.spec.name, host, %error, "cannot resolve an endpoint");
                    }
                },
                (None, EndpointName::Unix(_)) => {}
            }
        }
        dedup(&mut found);
        let known = self.addresses.load();
        if **known != found && (!failed || known.is_empty()) {
            tracing::info!(upstream = %self.spec.name, endpoints = found.len(), "endpoints resolved");
            self.addresses.store(Arc::new(found));
        }
    }
}

fn dedup(addresses: &mut Vec<Address>) {
    addresses.sort();
    addresses.dedup();
}

fn literal(name: &EndpointName) -> Option<Address> {
    match name {
        EndpointName::Unix(path) => Some(Address::Unix(path.clone())),
        EndpointName::Host(host, port) => {
            let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            bare.parse().ok().map(|ip| Address::Tcp(SocketAddr::new(ip, *port)))
        }
    }
}

/// The longest a look-up may take before the next one is due.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);

async fn resolve(host: &str, port: u16) -> std::io::Result<Vec<Address>> {
    let looked_up = tokio::time::timeout(RESOLVE_DEADLINE, tokio::net::lookup_host((host, port)));
    Ok(looked_up.await.map_err(std::io::Error::from)??.map(Address::Tcp).collect())
}

/// All upstreams of a configuration.
#[derive(Default)]
pub struct Directory {
    upstreams: Vec<Arc<Upstream>>,
}

/// How often names are looked up again. The system's resolver does not tell a record's time to live.
const REFRESH: Duration = Duration::from_secs(5);

impl Directory {
    /// For these specifications, in their order; upstreams of `old` that did not change are taken over.
    pub fn build(specs: Vec<UpstreamSpec>, old: &Directory) -> Self {
        let upstreams = specs.into_iter().map(|spec| match old.upstreams.iter().find(|known| known.spec == spec) {
            Some(known) => known.clone(),
            None => Arc::new(Upstream::new(spec)),
        });
        Self { upstreams: upstreams.collect() }
    }

    /// In the order of the specifications.
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// Looks up every name once; run on the control runtime before traffic is accepted.
    pub async fn refresh(&self) {
        for upstream in self.upstreams.iter().filter(|upstream| upstream.has_names()) {
            upstream.refresh().await;
        }
    }

    /// Keeps the addresses fresh; runs on the control runtime until dropped.
    pub async fn keep_fresh(&self) {
        if !self.upstreams.iter().any(|upstream| upstream.has_names()) {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(REFRESH).await;
            self.refresh().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(endpoints: &[&str]) -> UpstreamSpec {
        let endpoints = endpoints.iter().map(|host| EndpointName::Host((*host).into(), 80)).collect();
        UpstreamSpec { name: "u".into(), endpoints, idle: Duration::from_secs(4), max_idle: 8 }
    }

    #[test]
    fn literals_need_no_look_up() {
        let upstream = Upstream::new(spec(&["127.0.0.1", "[::1]", "127.0.0.1"]));
        assert_eq!(upstream.addresses().len(), 2);
        assert!(!upstream.has_names());
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_a_failure_keeps_what_was_known() {
        let upstream = Upstream::new(spec(&["localhost"]));
        assert!(upstream.addresses().is_empty());
        upstream.refresh().await;
        let known = upstream.addresses().clone();
        assert!(!known.is_empty());
        let broken = Upstream::new(spec(&["127.0.0.9", "no-such-name.invalid"]));
        broken.refresh().await;
        assert_eq!(broken.addresses().len(), 1);
    }

    #[test]
    fn an_unchanged_upstream_is_taken_over() {
        let old = Directory::build(vec![spec(&["127.0.0.1"]), spec(&["127.0.0.2"])], &Directory::default());
        let new = Directory::build(vec![spec(&["127.0.0.2"]), spec(&["127.0.0.3"])], &old);
        assert_eq!(new.upstreams()[0].id, old.upstreams()[1].id);
        assert!(old.upstreams().iter().all(|known| known.id != new.upstreams()[1].id));
    }
}
