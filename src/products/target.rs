//! A target, and the task that tells it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use redis::AsyncConnectionConfig;
use tokio::sync::mpsc;

use crate::config::ProductsPlan;
use crate::outbound::{Bounds, Caller, Roots};
use crate::telemetry::{InvalidationResult, Telemetry};

/// How often an event is tried.
const ATTEMPTS: u32 = 8;
/// The pause after the first failure; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long one attempt may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const ANSWER: usize = 16 << 10;

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A channel of a Redis server.
    Redis { url: String, channel: String },
    /// An HTTP server.
    Webhook(String),
}

impl Target {
    /// Those of a plan.
    pub(super) fn all(plan: &ProductsPlan) -> Vec<Target> {
        let redis = plan.redis.clone().map(|(url, channel)| Target::Redis { url, channel });
        redis.into_iter().chain(plan.webhook.clone().map(Target::Webhook)).collect()
    }

    /// Its word in metrics and logs.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Target::Redis { .. } => "redis",
            Target::Webhook(_) => "webhook",
        }
    }

    async fn send(&self, text: &str) -> Result<(), String> {
        match self {
            Target::Redis { url, channel } => {
                let client = redis::Client::open(url.as_str()).map_err(|error| error.to_string())?;
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(WITHIN))
                    .set_response_timeout(Some(WITHIN));
                let connected = client.get_multiplexed_async_connection_with_config(&config).await;
                let mut connection = connected.map_err(|error| error.to_string())?;
                let mut command = redis::cmd("PUBLISH");
                command.arg(channel).arg(text);
                command.exec_async(&mut connection).await.map_err(|error| error.to_string())
            }
            Target::Webhook(url) => {
                let caller = Caller::new(&Roots::default()).map_err(|error| error.to_string())?;
                let request = Request::post(url).header("content-type", "application/json");
                let request =
                    request.body(Bytes::copy_from_slice(text.as_bytes())).map_err(|error| error.to_string())?;
                let bounds = Bounds { within: WITHIN, bytes: ANSWER };
                let answer = caller.call(request, bounds).await.map_err(|error| error.to_string())?;
                if (200..300).contains(&answer.status) { Ok(()) } else { Err(format!("it answered {}", answer.status)) }
            }
        }
    }
}

/// Tells a target of one event after the other.
pub(super) async fn tell(target: Target, mut events: mpsc::Receiver<Arc<str>>, telemetry: Arc<Telemetry>) {
    let word = target.word();
    while let Some(event) = events.recv().await {
        let mut attempt = 1;
        let result = loop {
            let Err(error) = target.send(&event).await else { break InvalidationResult::Sent };
            if attempt == ATTEMPTS {
                tracing::error!(target_of_event = word, event = &*event, "an invalidation is dropped: {error}");
                break InvalidationResult::Dropped;
            }
            if attempt == 1 {
                tracing::warn!(target_of_event = word, "an invalidation is not taken and tried again: {error}");
            }
            telemetry.invalidation(word, InvalidationResult::Retried);
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        };
        telemetry.invalidation(word, result);
    }
}

/// The pause after so many failures, between a half and the whole of it by chance: many sidecars tell the same target.
fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let whole = doubled.min(LONGEST_PAUSE);
    let share = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
    whole.div_f64(2.0) + whole.mul_f64(share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (failures, whole) in [(1, 250), (2, 500), (3, 1000), (7, 15_000), (40, 15_000)] {
            let pause = pause(failures).as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{pause} of {whole}");
        }
    }
}
