//! The side that speaks to the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::store::Store;
use super::{Answer, Ask, FAILED, Shared};

/// Most look-ups at a time.
const MOST_AT_ONCE: usize = 64;
/// How much longer than a request a look-up may take: what comes late is there for the next one.
const PATIENCE: u32 = 5;
/// How long a look-up may take at least, as connecting is part of it.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// Looks up what is asked for, until nobody can ask any more.
pub struct Desk {
    shared: Arc<Shared>,
    asks: mpsc::Receiver<Ask>,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>, asks: mpsc::Receiver<Ask>) -> Desk {
        Desk { shared, asks }
    }

    /// Runs to the end, which comes when the [`Lookup`](super::Lookup) is dropped.
    pub async fn run(mut self) {
        let store = match Store::new(&self.shared.plan) {
            Ok(store) => Arc::new(store),
            Err(why) => {
                tracing::error!(lookup = %self.shared.plan.name, %why, "nothing can be looked up");
                return;
            }
        };
        let mut at_work = JoinSet::new();
        while let Some(ask) = self.asks.recv().await {
            while at_work.try_join_next().is_some() {}
            if at_work.len() >= MOST_AT_ONCE {
                at_work.join_next().await;
            }
            at_work.spawn(look_up(self.shared.clone(), store.clone(), ask));
        }
    }
}

async fn look_up(shared: Arc<Shared>, store: Arc<Store>, ask: Ask) {
    let Ask { key, done } = ask;
    let plan = &shared.plan;
    let within = (plan.deadline * PATIENCE).max(LEAST_PATIENCE);
    let found = match tokio::time::timeout(within, store.fetch(&key, plan, within)).await {
        Ok(found) => found,
        Err(_) => Err(format!("no answer within {within:?}")),
    };
    let now = Instant::now();
    let answer = match found {
        Ok(answer) => {
            if let Answer::Unusable(why) = answer {
                if shared.health.unusable() {
                    tracing::warn!(lookup = %plan.name, %why, "the store answers, and nothing it says is a record");
                }
            } else {
                shared.health.answered();
            }
            let (fresh, stale) = match &answer {
                Answer::Found(_) => (plan.ttl, plan.stale),
                Answer::Nothing(_) | Answer::Unusable(_) => (plan.negative_ttl, Duration::ZERO),
            };
            shared.cache.land(&key, Some((answer.clone(), now, fresh, stale)));
            answer
        }
        Err(why) => {
            store.give_up().await;
            if shared.health.failed(now) {
                tracing::warn!(lookup = %plan.name, %why, "the store of product facts is down; its facts are absent");
            }
            shared.cache.land(&key, None);
            Answer::Nothing(FAILED)
        }
    };
    // Who asked may have gone.
    let _ = done.send(Some(answer));
}
