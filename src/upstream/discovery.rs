//! Keeps the addresses of an upstream fresh for as long as it is one; on the control runtime, one task an endpoint.
//!
//! A name is looked up again when its answer has lived out its time; a service of Kubernetes is watched. Whatever goes
//! wrong, the addresses that were found last stay, and it is said once that they do.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::balance::next_draw;
use super::names::{SHORTEST, look_up};
use super::shared::Found;
use super::{Address, EndpointName, Upstream};
use crate::config::KubernetesAccess;
use crate::kubernetes::{ApiError, Client, Listing, Want, places};

/// The pause after a failure, doubled with each one more.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long the first answer about a service may take where somebody waits for it.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// A service of Kubernetes, and how its API server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    /// The service.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// The name of its port, or the number that its pods listen on.
    pub port: String,
    /// How its API server is reached.
    pub access: KubernetesAccess,
}

impl ServiceName {
    /// Its name within the cluster: what certificates are made out to.
    pub(super) fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    fn listing(&self) -> Result<Listing, ApiError> {
        let want = Want {
            version: "discovery.k8s.io/v1".to_owned(),
            plural: "endpointslices".to_owned(),
            namespace: Some(self.namespace.clone()),
            selector: Some(format!("kubernetes.io/service-name%3D{}", self.service)),
        };
        Listing::new(Client::new(&self.access)?, &want)
    }

    fn found(&self, listing: &Listing) -> Vec<Found> {
        let zone =
            self.access.zone.clone().or_else(|| std::env::var("GRAYLANE_ZONE").ok().filter(|zone| !zone.is_empty()));
        let places = places(listing.objects().values(), &self.port, zone.as_deref()).into_iter();
        places.map(|place| Found { address: Address::Tcp(place.address), is_far: place.is_far }).collect()
    }
}

/// Keeps what is known of all endpoints of an upstream fresh, until dropped.
pub(super) async fn keep(upstream: Arc<Upstream>, seed: u64) {
    let mut tasks = JoinSet::new();
    for (place, name) in upstream.spec.endpoints.iter().enumerate() {
        match name {
            EndpointName::Host(..) if name.literal().is_none() => {
                tasks.spawn(keep_name(upstream.clone(), place));
            }
            EndpointName::Service(service) => {
                tasks.spawn(keep_service(upstream.clone(), place, service.clone(), seed | 1));
            }
            EndpointName::Host(..) | EndpointName::Unix(_) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Finds the addresses of one endpoint once, where nothing is known of it. Returns how long they may be believed.
pub(super) async fn find(upstream: &Upstream, place: usize) -> Duration {
    match &upstream.spec.endpoints[place] {
        name @ EndpointName::Host(host, port) => match look_up(host, *port).await {
            Ok(answer) => {
                let found = answer.addresses.into_iter().map(|address| Found::near(Address::Tcp(address)));
                upstream.learn(place, found.collect());
                answer.lives
            }
            Err(error) => {
                upstream.tell_of_discovery(place, name, Some(&error.to_string()));
                SHORTEST
            }
        },
        name @ EndpointName::Service(service) => {
            let asking = async {
                let mut listing = service.listing()?;
                listing.changed().await.map(|()| service.found(&listing))
            };
            match tokio::time::timeout(FIRST_ANSWER, asking).await {
                Ok(Ok(found)) => upstream.learn(place, found),
                Ok(Err(error)) => upstream.tell_of_discovery(place, name, Some(&error.to_string())),
                Err(_) => upstream.tell_of_discovery(place, name, Some("no answer in time")),
            }
            SHORTEST
        }
        EndpointName::Unix(_) => SHORTEST,
    }
}

async fn keep_name(upstream: Arc<Upstream>, place: usize) {
    loop {
        let lives = find(&upstream, place).await;
        tokio::time::sleep(lives).await;
    }
}

async fn keep_service(upstream: Arc<Upstream>, place: usize, service: Arc<ServiceName>, seed: u64) {
    let (mut random, mut pause) = (seed, FIRST_PAUSE);
    let mut listing = None;
    loop {
        let told = match &mut listing {
            None => service.listing().map(|fresh| listing = Some(fresh)),
            Some(listing) => listing.changed().await.map(|()| {
                upstream.learn(place, service.found(listing));
                pause = FIRST_PAUSE;
            }),
        };
        if let Err(error) = told {
            upstream.tell_of_discovery(place, &upstream.spec.endpoints[place], Some(&error.to_string()));
            let (state, draw) = next_draw(random);
            random = state;
            // Between a half and the whole of it, so that many who lost the same server do not come back together.
            tokio::time::sleep(pause.mul_f64(0.5 + draw as f64 / u64::MAX as f64 / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
