//! The commodity service of the demo, in its two versions, as real HTTP services on loopback.
//!
//! Both sell the same products from the same stock; they differ in the price engine, so a visitor can tell the
//! versions apart by the price alone. Every answer names the version that made it and the lane mark it saw.
//! The shop knows nothing of lanes, releases or the sidecar: it is the service whose code nobody changes.

mod answer;
mod api;
mod catalog;
mod mood;
mod orders;
mod price;
mod shelf;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[cfg(test)]
pub(super) use catalog::product;
pub(super) use catalog::{CATEGORIES, Product, products};
pub(super) use mood::Mood;
use mood::MoodSwitch;
use shelf::Shelf;

/// The two versions of the service, which are also the two lanes of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Edition {
    Stable,
    Gray,
}

impl Edition {
    pub(super) const BOTH: [Edition; 2] = [Edition::Stable, Edition::Gray];

    /// The lane this version stands for.
    pub(super) fn lane(self) -> &'static str {
        match self {
            Edition::Stable => "stable",
            Edition::Gray => "gray",
        }
    }

    /// What the service says of itself in every answer.
    pub(super) fn version(self) -> &'static str {
        match self {
            Edition::Stable => "stable 2.4.0",
            Edition::Gray => "gray 2.4.1",
        }
    }

    /// The edition that calls itself `version`.
    pub(super) fn of_version(version: &str) -> Option<Edition> {
        Edition::BOTH.into_iter().find(|edition| edition.version() == version)
    }
}

/// One running version of the service, as its handlers see it.
#[derive(Debug)]
struct Shop {
    edition: Edition,
    shelf: Arc<Shelf>,
    served: AtomicU64,
    orders: AtomicU64,
    mood: MoodSwitch,
}

impl Shop {
    fn new(edition: Edition, shelf: Arc<Shelf>) -> Shop {
        Shop { edition, shelf, served: AtomicU64::new(0), orders: AtomicU64::new(0), mood: MoodSwitch::default() }
    }
}

/// A version of the service that is listening on loopback.
#[derive(Debug)]
pub(super) struct OpenShop {
    pub(super) address: SocketAddr,
    shop: Arc<Shop>,
    task: JoinHandle<std::io::Result<()>>,
}

/// Opens both versions over one stock, each on a free loopback port, until `closing` says true.
pub(super) async fn open_both(closing: &watch::Receiver<bool>) -> std::io::Result<[OpenShop; 2]> {
    let shelf = Arc::new(Shelf::filled());
    let stable = open(Edition::Stable, Arc::clone(&shelf), closing.clone()).await?;
    let gray = open(Edition::Gray, shelf, closing.clone()).await?;
    Ok([stable, gray])
}

async fn open(edition: Edition, shelf: Arc<Shelf>, mut closing: watch::Receiver<bool>) -> std::io::Result<OpenShop> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    // Small answers on kept-alive connections: Nagle would only add delay to the figures shown.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let shop = Arc::new(Shop::new(edition, shelf));
    let router = api::router(Arc::clone(&shop));
    let task = tokio::spawn(async move {
        let closed = async move {
            // An error means that the sender is gone, which closes the shop as well.
            let _ = closing.wait_for(|closing| *closing).await;
        };
        axum::serve(listener, router).with_graceful_shutdown(closed).await
    });
    Ok(OpenShop { address, shop, task })
}

impl OpenShop {
    /// How many requests this version has answered.
    pub(super) fn served(&self) -> u64 {
        self.shop.served.load(Ordering::Relaxed)
    }

    /// How many orders this version has taken.
    pub(super) fn orders(&self) -> u64 {
        self.shop.orders.load(Ordering::Relaxed)
    }

    /// From now on the service is like this.
    pub(super) fn turn(&self, mood: Mood) {
        self.shop.mood.turn(mood);
    }

    /// Ends the service at once; whoever still holds a connection has had the time to leave.
    pub(super) fn close(self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
