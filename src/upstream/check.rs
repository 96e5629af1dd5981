//! Checks every address of an upstream for as long as it is one; on the control runtime, one task an address.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, JoinSet};

use super::Upstream;
use super::balance::next_draw;
use super::health::{first_wait, next_wait};
use super::probe::{Question, probe};
use super::standing::Standing;
use crate::beat;
use crate::config::Health;
use crate::telemetry::CheckResult;

/// How often it is looked what time alone changed: addresses, ejections that end, panic that ends with them. Workers do
/// not wait for this; metrics and the log do.
const LOOK: Duration = Duration::from_millis(500);

/// Checks and tells until dropped; the checks end with it.
pub(super) async fn watch(upstream: Arc<Upstream>, seed: u64) {
    let mut tasks = JoinSet::new();
    let mut checks: Vec<(Arc<Standing>, AbortHandle)> = Vec::new();
    loop {
        if let Some(health) = &upstream.spec.policy.health {
            let standings = upstream.standings().clone();
            checks.retain(|(checked, task)| {
                let stays = standings.iter().any(|standing| Arc::ptr_eq(standing, checked));
                if !stays {
                    task.abort();
                }
                stays
            });
            for standing in standings.iter() {
                if !checks.iter().any(|(checked, _)| Arc::ptr_eq(checked, standing)) {
                    let seed = seed_of(seed, &upstream, standing);
                    let check = check_on(upstream.clone(), standing.clone(), health.clone(), seed);
                    checks.push((standing.clone(), tasks.spawn(check)));
                }
            }
            // Takes those that were aborted out of the set.
            while tasks.try_join_next().is_some() {}
        }
        upstream.tell(Instant::now());
        beat::next(LOOK).await;
    }
}

/// Every address has draws of its own.
fn seed_of(seed: u64, upstream: &Upstream, standing: &Standing) -> u64 {
    let mut hash = DefaultHasher::new();
    (seed, &upstream.spec.name, &standing.address).hash(&mut hash);
    hash.finish() | 1
}

/// Checks one address again and again.
async fn check_on(upstream: Arc<Upstream>, standing: Arc<Standing>, health: Health, seed: u64) {
    let question = Question::new(&upstream.spec, &standing, &health);
    let (mut random, mut draw) = next_draw(seed);
    tokio::time::sleep(first_wait(health.interval, draw)).await;
    loop {
        let result = match tokio::time::timeout(health.timeout, probe(&upstream.spec, &standing, &question, &health))
            .await
        {
            Ok(Ok(())) => CheckResult::Passed,
            Ok(Err(error)) => {
                tracing::debug!(upstream = %upstream.spec.name, address = %standing.address, %error, "a check failed");
                CheckResult::Failed
            }
            Err(_) => CheckResult::TimedOut,
        };
        upstream.checked(&standing, &health, result, Instant::now());
        (random, draw) = next_draw(random);
        tokio::time::sleep(next_wait(health.interval, draw)).await;
    }
}
