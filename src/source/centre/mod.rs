//! The HTTP configuration centre: a long poll that answers with the whole set or with a delta, and a call back that tells
//! what became of it. The protocol is ours, and `docs/config-centre.md` is its text.
//!
//! ```text
//!            304, 204, or as before: rest
//!             ┌─────┐        post
//!   ask ───▶ wait ──┴─▶ take ───▶ ask with the new version
//!    ▲                   │
//!    └───────────────────┘ a delta that does not fit: ask for the whole set
//! ```

mod acknowledge;
mod answer;

use std::convert::Infallible;
use std::time::Duration;

use http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};
use tokio::time::Instant;

use super::call::{Client, GRACE, SMALL, encoded, form, refusal, rest};
use super::credentials::secret;
use super::pace::Pace;
use super::{Documents, Link, Source, SourceError};
use crate::config::{self, CentrePlan};
use crate::outbound::{Answer, Bounds};
use acknowledge::Acknowledgements;
use answer::{Held, Taken, take};

/// A configuration centre.
pub(super) struct Centre {
    plan: CentrePlan,
    namespace: String,
    state: State,
    acknowledgements: Acknowledgements,
}

/// What is held, and how the centre marked it.
#[derive(Default)]
struct State {
    held: Option<Held>,
    etag: Option<String>,
    /// The last answer was a delta that did not fit.
    misfit: bool,
    pace: Pace,
}

impl Centre {
    pub(super) fn new(plan: CentrePlan, namespace: &str) -> Self {
        let acknowledgements = Acknowledgements::new(plan.instance.clone());
        Self { plan, namespace: namespace.to_owned(), state: State::default(), acknowledgements }
    }

    async fn serve(&mut self, link: &mut Link) -> Result<Infallible, SourceError> {
        let client = Client::new(&self.plan.url, &self.plan.tls)?;
        let target = format!("/v1/config/{}", encoded(&self.namespace));
        let verdicts = link.verdicts();
        tokio::select! {
            ended = self.state.poll(&self.plan, &client, &target, link) => ended,
            never = self.acknowledgements.send(&self.plan, &client, &target, verdicts) => match never {},
        }
    }
}

impl Source for Centre {
    async fn session(&mut self, link: &mut Link) -> SourceError {
        match self.serve(link).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }
}

impl State {
    async fn poll(
        &mut self,
        plan: &CentrePlan,
        client: &Client,
        target: &str,
        link: &mut Link,
    ) -> Result<Infallible, SourceError> {
        loop {
            let begun = Instant::now();
            let answer = self.ask(plan, client, target, link).await?;
            match answer.status {
                204 | 304 => link.contact(),
                200 if self.take(&answer, link)? => {
                    let now = Instant::now();
                    self.pace.done(now, now);
                    tokio::time::sleep_until(self.pace.due(now)).await;
                    continue;
                }
                // The whole set is asked for at once.
                200 if self.misfit => continue,
                200 => {}
                _ => return Err(refusal(&answer)),
            }
            rest(begun).await;
        }
    }

    async fn ask(&self, plan: &CentrePlan, client: &Client, target: &str, link: &Link) -> Result<Answer, SourceError> {
        let mut fields = authority(plan)?;
        let mut asked = target.to_owned();
        let known = self.held.as_ref().filter(|_| !self.misfit);
        if let Some(held) = known {
            let (version, wait) = (held.version.to_string(), format!("{}ms", plan.wait.as_millis()));
            let query = form(&[("version", &version), ("lineage", &held.lineage), ("wait", &wait)]);
            asked = format!("{target}?{query}");
            fields.extend(self.etag.clone().map(|etag| (IF_NONE_MATCH.as_str(), etag)));
        }
        let within = if known.is_some() { plan.wait + GRACE } else { plan.answer };
        client.get(&asked, &fields, Bounds { within, bytes: most_bytes(link.bounds()) }).await
    }

    /// Takes an answer that has a body. Whether something new is held now.
    fn take(&mut self, answer: &Answer, link: &mut Link) -> Result<bool, SourceError> {
        let was_misfit = std::mem::take(&mut self.misfit);
        let held = self.held.as_ref().filter(|_| !was_misfit);
        let next = match take(held, &answer.body)? {
            Taken::New(next) => next,
            Taken::Same => {
                link.contact();
                return Ok(false);
            }
            Taken::Misfit(why) if held.is_none() => {
                return Err(SourceError::Garbled(format!("a delta where the whole set was asked for: {why}")));
            }
            Taken::Misfit(why) => {
                tracing::debug!(source = &*link.plan().name, why, "a delta does not fit; the whole set is asked for");
                self.misfit = true;
                return Ok(false);
            }
        };
        let text = |(name, text): (&String, &String)| config::Source { path: link.path(name), text: text.clone() };
        let texts = next.documents.iter().map(text).collect();
        let revision = match next.lineage.as_str() {
            "" => next.version.to_string(),
            lineage => format!("{lineage}:{}", next.version),
        };
        if !link.post(Documents { revision, order: Some(next.order()), texts }) {
            return Ok(false);
        }
        self.held = Some(next);
        self.etag = answer.fields.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        Ok(true)
    }
}

/// Who we are to the centre.
fn authority(plan: &CentrePlan) -> Result<Vec<(&'static str, String)>, SourceError> {
    let Some(file) = &plan.token else { return Ok(Vec::new()) };
    Ok(vec![(AUTHORIZATION.as_str(), format!("Bearer {}", secret(file)?))])
}

/// JSON needs more bytes than the documents in it, a fourth as many more at most where they are text for people.
fn most_bytes(bounds: config::SourceBounds) -> usize {
    bounds.total_bytes.saturating_add(bounds.total_bytes / 4).saturating_add(SMALL)
}

/// The longest time that a call back may take.
const CALL_BACK: Duration = Duration::from_secs(10);
