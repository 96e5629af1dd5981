//! Those who serve requests, apart from the connections that wait for one.
//!
//! What it takes to serve a request is a future of several KiB. A connection that waits needs none of that, and most
//! connections wait most of the time. So the futures live on: a connection that has something to read borrows a servant
//! from its worker, drives it as a part of its own task, and gives it back when it waits again. Nothing is made for a
//! request, a worker has as many servants as there were requests at the same time, and those that were not needed lately
//! are let go.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use super::connection::{Client, Left};
use crate::wire::Spares;

/// Servants that a worker keeps for connections that wake up.
const KEPT: usize = 1024;

/// The servants of one worker that have nothing to do.
pub(super) struct Servants(Spares<Servant>);

impl Default for Servants {
    fn default() -> Self {
        Self(Spares::new(KEPT))
    }
}

impl Servants {
    /// Has a client served until it waits, or goes; for as long as this is polled.
    pub(super) async fn attend(client: Box<Client>) -> (Box<Client>, Left) {
        let mut servant = client.worker.servants.0.take().unwrap_or_else(Servant::new);
        servant.desk.0.set(Order::Asked(client));
        let served = poll_fn(|cx| {
            // The work itself never ends; whether this client is served is seen at the desk.
            let _ = servant.work.as_mut().poll(cx);
            match servant.desk.0.take() {
                Order::Served(client, left) => Poll::Ready((client, left)),
                other => {
                    servant.desk.0.set(other);
                    Poll::Pending
                }
            }
        });
        let (client, left) = served.await;
        client.worker.servants.0.give(servant);
        (client, left)
    }

    /// Lets go of those that nobody needed since this was called last.
    pub(super) fn sweep(&self) {
        self.0.sweep();
    }
}

/// A future that serves one client after the other.
struct Servant {
    desk: Rc<Desk>,
    work: Pin<Box<dyn Future<Output = ()>>>,
}

impl Servant {
    fn new() -> Self {
        let desk = Rc::<Desk>::default();
        let work = Box::pin(serve_all(desk.clone()));
        Self { desk, work }
    }
}

/// Where a connection and its servant meet.
#[derive(Default)]
struct Desk(Cell<Order>);

#[derive(Default)]
enum Order {
    /// Being worked on, or nothing is.
    #[default]
    None,
    /// To be served.
    Asked(Box<Client>),
    /// Served.
    Served(Box<Client>, Left),
}

impl Desk {
    /// The next client. Nobody is woken: who asks polls.
    async fn next(&self) -> Box<Client> {
        poll_fn(|_| match self.0.take() {
            Order::Asked(client) => Poll::Ready(client),
            other => {
                self.0.set(other);
                Poll::Pending
            }
        })
        .await
    }
}

async fn serve_all(desk: Rc<Desk>) {
    loop {
        let mut client = desk.next().await;
        let left = client.serve().await;
        desk.0.set(Order::Served(client, left));
    }
}
