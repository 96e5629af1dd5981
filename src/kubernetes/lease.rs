//! One of many: who holds a Lease is elected, for as long as it is renewed.
//!
//! Clocks of two hosts may differ, so nobody goes by the times that stand in the Lease: a holder is believed until the
//! Lease has not changed for [`LEASE_FOR`] by one's own clock. Who takes it over writes with the version that was read, so
//! that of two who do, one is refused. The holder stops to count itself elected [`MARGIN`] before others may take over.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ApiError, Client};

/// How long a holder is believed without a renewal.
pub const LEASE_FOR: Duration = Duration::from_secs(15);
/// How much earlier it gives up itself.
const MARGIN: Duration = Duration::from_secs(5);

/// One who stands for election.
pub struct Election {
    client: Client,
    /// The Lease's collection and name.
    collection: String,
    name: String,
    /// Who we are; no two who stand have the same.
    own: String,
    /// The version of the Lease that was seen last, and since when it is that.
    seen: Option<(String, Instant)>,
    /// When our own Lease was renewed last.
    renewed: Option<Instant>,
    /// Somebody else may have held it since we were asked last.
    was_others: bool,
}

impl Election {
    /// For a Lease of a namespace.
    pub fn new(client: Client, namespace: &str, name: &str, own: &str) -> Self {
        let collection = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        Self {
            client,
            collection,
            name: name.to_owned(),
            own: own.to_owned(),
            seen: None,
            renewed: None,
            was_others: false,
        }
    }

    /// Whether we are elected now. Renew it (`stand`) well within [`LEASE_FOR`].
    pub fn is_elected(&self) -> bool {
        self.renewed.is_some_and(|renewed| renewed.elapsed() < LEASE_FOR - MARGIN)
    }

    /// Renews our Lease, or takes one over that nobody renews. Returns whether we are elected.
    pub async fn stand(&mut self) -> Result<bool, ApiError> {
        let begun = Instant::now();
        let path = format!("{}/{}", self.collection, self.name);
        let lease = match self.client.get(&path).await {
            Ok(lease) => lease,
            Err(error) if error.is_not_found() => return self.make(begun).await,
            Err(error) => return Err(error),
        };
        let version = lease["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let is_ours = holder == self.own;
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => begun,
        };
        self.seen = Some((version, since));
        if !is_ours && !holder.is_empty() && since.elapsed() < LEASE_FOR {
            self.renewed = None;
            return Ok(false);
        }
        match self.client.put(&path, &self.written(lease, is_ours)).await {
            Ok(_) => {
                self.renewed = Some(begun);
                self.was_others |= !is_ours;
            }
            Err(error) if error.is_conflict() => self.renewed = None,
            Err(error) => return Err(error),
        }
        Ok(self.is_elected())
    }

    /// Whether somebody else may have been elected since this was asked last.
    pub fn took_over(&mut self) -> bool {
        std::mem::take(&mut self.was_others)
    }

    async fn make(&mut self, begun: Instant) -> Result<bool, ApiError> {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": self.name },
        });
        match self.client.post(&self.collection, &self.written(lease, false)).await {
            Ok(_) => {
                self.renewed = Some(begun);
                self.was_others = true;
            }
            Err(error) if error.is_conflict() => self.renewed = None,
            Err(error) => return Err(error),
        }
        Ok(self.is_elected())
    }

    /// The Lease as ours, renewed now.
    fn written(&self, mut lease: Value, is_ours: bool) -> Value {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let changes = lease["spec"]["leaseTransitions"].as_u64().unwrap_or(0);
        let acquired = match &lease["spec"]["acquireTime"] {
            Value::String(time) if is_ours => time.clone(),
            _ => now.clone(),
        };
        lease["spec"] = json!({
            "holderIdentity": self.own,
            "leaseDurationSeconds": LEASE_FOR.as_secs(),
            "acquireTime": acquired,
            "renewTime": now,
            "leaseTransitions": if is_ours { changes } else { changes + 1 },
        });
        lease
    }
}
