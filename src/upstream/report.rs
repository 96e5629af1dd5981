//! What a request tells of the endpoint it was sent to.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;

/// What a request says of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It answered that the request failed: an error of the service, which another endpoint might make as well.
    Erred,
    /// It did not answer, or said that it cannot: 502, 503, 504, no connection, reset, no answer in time.
    Unavailable,
    /// It had no chance to show: the client left or was late.
    Unknown,
}

impl Outcome {
    /// Whether it says that the request failed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Erred | Self::Unavailable)
    }
}

/// A request on its way, where somebody wants to know what becomes of it. Dropped without a word, its client left.
pub struct Report {
    endpoint: Rc<Endpoint>,
    since: Instant,
    /// How long the client had been waited for then.
    waited: Duration,
    /// What the head of the answer said.
    head: Option<Outcome>,
}

impl Report {
    pub(super) fn new(endpoint: Rc<Endpoint>, since: Instant, waited: Duration) -> Self {
        Self { endpoint, since, waited, head: None }
    }

    /// The head of the answer came. Its body may take hours, so the latency is told now; that all is well only at the
    /// end, so that an endpoint that breaks off every answer is not taken for good. `waited` is how long the client was
    /// waited for until now: that is not the endpoint's time.
    pub fn answered(&mut self, outcome: Outcome, waited: Duration, now: Instant) {
        self.head = Some(outcome);
        self.endpoint.timed(outcome, self.took(waited, now), now);
        if outcome == Outcome::Unavailable {
            self.endpoint.failed(now);
        }
    }

    /// The exchange is over; `outcome` is what its end says, whatever its head said. `waited` as before.
    pub fn ended(mut self, outcome: Outcome, waited: Duration, now: Instant) {
        let took = self.took(waited, now);
        match (self.head.replace(outcome), outcome) {
            (Some(Outcome::Unavailable | Outcome::Unknown), _) | (Some(_), Outcome::Unknown) => {}
            (Some(_), Outcome::Answered | Outcome::Erred) => self.endpoint.succeeded(),
            (None, Outcome::Answered | Outcome::Erred) => {
                self.endpoint.timed(outcome, took, now);
                self.endpoint.succeeded();
            }
            (None, Outcome::Unknown) => self.endpoint.timed(outcome, took, now),
            (_, Outcome::Unavailable) => {
                self.endpoint.timed(outcome, took, now);
                self.endpoint.failed(now);
            }
        }
    }

    fn took(&self, waited: Duration, now: Instant) -> Duration {
        now.saturating_duration_since(self.since).saturating_sub(waited.saturating_sub(self.waited))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.head.is_none() {
            let now = Instant::now();
            self.endpoint.timed(Outcome::Unknown, self.took(self.waited, now), now);
        }
    }
}
