//! Tells the centre what became of what it said: each verdict once, the newest if several came together. A centre that does
//! not take one is asked again after a pause, until there is a newer one.

use std::convert::Infallible;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::super::Verdict;
use super::super::call::{Client, SMALL, refusal};
use super::{CALL_BACK, authority};
use crate::config::CentrePlan;
use crate::outbound::Bounds;

/// The pause before the same verdict is told again.
const AGAIN: Duration = Duration::from_secs(2);
/// The most characters of problems that are told.
const MOST_PROBLEMS: usize = 16 << 10;

/// What was told so far.
pub(super) struct Acknowledgements {
    instance: String,
    told: Option<Verdict>,
}

/// The body of a call back.
#[derive(Debug, Serialize)]
struct Told<'v> {
    version: u64,
    lineage: &'v str,
    instance: &'v str,
    outcome: &'static str,
    config_version: Option<&'v str>,
    problems: Vec<&'v str>,
}

impl Acknowledgements {
    pub(super) fn new(instance: String) -> Self {
        Self { instance, told: None }
    }

    /// Tells every verdict that comes.
    pub(super) async fn send(
        &mut self,
        plan: &CentrePlan,
        client: &Client,
        target: &str,
        mut verdicts: watch::Receiver<Option<Verdict>>,
    ) -> Infallible {
        let target = format!("{target}/ack");
        loop {
            let verdict = verdicts.borrow_and_update().clone();
            if let Some(verdict) = verdict.filter(|verdict| self.told.as_ref() != Some(verdict)) {
                match self.tell(plan, client, &target, &verdict).await {
                    Ok(()) => self.told = Some(verdict),
                    Err(error) => {
                        tracing::debug!(%error, revision = verdict.revision, "an acknowledgement was not taken");
                        let _ = tokio::time::timeout(AGAIN, verdicts.changed()).await;
                        continue;
                    }
                }
            }
            if verdicts.changed().await.is_err() {
                // Nobody judges any more: the process ends.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn tell(
        &self,
        plan: &CentrePlan,
        client: &Client,
        target: &str,
        verdict: &Verdict,
    ) -> Result<(), super::SourceError> {
        let Some(body) = body(&self.instance, verdict) else { return Ok(()) };
        let bounds = Bounds { within: CALL_BACK, bytes: SMALL };
        let answer = client.post(target, &authority(plan)?, ("application/json", body), bounds).await?;
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(refusal(&answer)) }
    }
}

/// The call back about a verdict; `None` where it is not about something this centre said in our time.
fn body(instance: &str, verdict: &Verdict) -> Option<String> {
    let (lineage, version) = verdict.revision.rsplit_once(':').unwrap_or(("", &verdict.revision));
    let version = version.parse().ok()?;
    let (outcome, config_version, problems) = match &verdict.outcome {
        Ok(version) => ("applied", Some(version.as_str()), ""),
        Err(problems) => ("refused", None, problems.as_str()),
    };
    let end = problems.char_indices().nth(MOST_PROBLEMS).map_or(problems.len(), |(at, _)| at);
    let problems = problems[..end].split("\n\n").map(str::trim).filter(|problem| !problem.is_empty()).collect();
    let told = Told { version, lineage, instance, outcome, config_version, problems };
    Some(serde_json::to_string(&told).expect("a call back has text for keys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(revision: &str, outcome: Result<&str, &str>, expected: Option<&str>) {
        let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
        let body = body("pod-1", &Verdict { revision: revision.to_owned(), outcome });
        assert_eq!(body.as_deref(), expected);
    }

    #[test]
    fn a_verdict_is_told_with_its_version_and_what_is_wrong() {
        let applied =
            r#"{"version":7,"lineage":"","instance":"pod-1","outcome":"applied","config_version":"abc","problems":[]}"#;
        check("7", Ok("abc"), Some(applied));
        let refused = r#"{"version":8,"lineage":"a:b","instance":"pod-1","outcome":"refused","config_version":null,"problems":["one\n  more","two"]}"#;
        check("a:b:8", Err("one\n  more\n\ntwo\n"), Some(refused));
        check("of another kind", Ok("abc"), None);
    }

    #[test]
    fn problems_without_end_are_cut() {
        let verdict = Verdict { revision: "1".to_owned(), outcome: Err("é".repeat(100_000)) };
        assert!(body("pod-1", &verdict).unwrap().len() < 3 * MOST_PROBLEMS);
    }
}
