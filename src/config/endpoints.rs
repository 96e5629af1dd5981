//! How the endpoints of an upstream are chosen among and watched.

use std::time::Duration;

use super::file::Balance;
use crate::decide::Permille;

/// What an upstream does with several endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPolicy {
    /// Which endpoint takes a request.
    pub balance: Balance,
    /// Checks that are made without a request.
    pub health: Option<Health>,
    /// When requests that fail take an endpoint out.
    pub ejection: Option<Ejection>,
    /// How long an endpoint that comes in takes to get its whole share.
    pub slow_start: Option<Duration>,
    /// All endpoints are used while less than this share of them is fit.
    pub panic: Permille,
}

impl Default for EndpointPolicy {
    fn default() -> Self {
        Self { balance: Balance::P2c, health: None, ejection: None, slow_start: None, panic: PANIC }
    }
}

/// So low that one endpoint of three carries all while the others are dead, and so high that two of ten do not.
const PANIC: Permille = match Permille::new(300) {
    Some(share) => share,
    None => Permille::ALL,
};

/// Checks that are made without a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// The authority that is asked for; `None` means the endpoint's own.
    pub host: Option<String>,
    /// From the end of one check to the next, give or take a tenth.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// So many passes in a row bring an endpoint back.
    pub healthy_after: u32,
    /// So many failures in a row take an endpoint out.
    pub unhealthy_after: u32,
}

impl Health {
    /// The default figures.
    pub fn new(probe: Probe) -> Self {
        let (interval, timeout) = (Duration::from_secs(5), Duration::from_secs(1));
        Self { probe, host: None, interval, timeout, healthy_after: 2, unhealthy_after: 3 }
    }
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// `GET` of this path; passes with a 2xx.
    Http(String),
    /// The gRPC health protocol, version 1, for this service (empty: the server as a whole); passes with `SERVING`.
    Grpc(String),
    /// A connection; passes when there is one.
    Tcp,
}

/// When requests that fail take an endpoint out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    /// So many failures in a row.
    pub failures: u32,
    /// How long it is out the first time; doubled each time after.
    pub base: Duration,
    /// The longest it is out.
    pub max: Duration,
    /// Most endpoints that are out at once; one of two or more always may be.
    pub share: Permille,
}

impl Default for Ejection {
    fn default() -> Self {
        const HALF: Permille = match Permille::new(500) {
            Some(share) => share,
            None => Permille::ALL,
        };
        Self { failures: 5, base: Duration::from_secs(10), max: Duration::from_secs(300), share: HALF }
    }
}
