//! What became of each resource, written into its status by the one sidecar that is elected.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::judgement::{Judgements, Outcome};
use super::resource::Resource;
use crate::config::{KubernetesPlan, ResourceCondition, ResourceStatus};
use crate::kubernetes::{ApiError, Client, Election, LEASE_FOR, namespace_of};

/// What a status says: the type of the condition, and its words where the resource is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Says {
    pub(super) condition: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
}

/// What a sidecar says.
const ACCEPTED: Says = Says { condition: "Accepted", reason: "InForce", message: "in force" };
/// The most that are written at one look, so that the watch is not left alone for long.
const MOST_AT_ONCE: usize = 20;
/// The longest message.
const LONGEST_MESSAGE: usize = 1000;

/// Writes while it is elected.
pub(super) struct Writer {
    client: Client,
    election: Election,
    stand_at: Instant,
}

impl Writer {
    pub(super) fn new(client: Client, plan: &KubernetesPlan, own: &str) -> Result<Self, ApiError> {
        let namespace = namespace_of(plan.namespace.as_deref())?;
        let name = format!("graylane-status-{}", plan.service.to_ascii_lowercase());
        let election = Election::new(client.clone(), &namespace, &name, own);
        Ok(Self { client, election, stand_at: Instant::now() })
    }

    /// Renews the Lease where that is due, and writes what differs.
    pub(super) async fn write(&mut self, resources: &[Resource], judgements: &Judgements) -> Result<(), ApiError> {
        if self.stand_at <= Instant::now() {
            self.election.stand().await?;
            self.stand_at = Instant::now() + LEASE_FOR / 5;
        }
        let outcomes: Vec<_> = resources.iter().map(|one| (one, judgements.of(one))).collect();
        write(&self.client, &self.election, ACCEPTED, &outcomes).await
    }
}

/// Writes what differs, for as long as we are elected and up to [`MOST_AT_ONCE`].
pub(super) async fn write(
    client: &Client,
    election: &Election,
    says: Says,
    outcomes: &[(&Resource, Outcome)],
) -> Result<(), ApiError> {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let changes = outcomes.iter().filter_map(|(one, outcome)| Some((one, change(one, says, outcome, &now)?)));
    for (resource, status) in changes.take(MOST_AT_ONCE) {
        if !election.is_elected() {
            break;
        }
        match client.merge(&resource.status_path, &json!({ "status": status })).await {
            Ok(_) => {}
            // It is gone, and the watch will say so.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The status to write; `None` where it is that already, or nothing is known yet.
fn change(resource: &Resource, says: Says, outcome: &Outcome, now: &str) -> Option<Value> {
    let (status, reason, message) = match outcome {
        Outcome::InForce => ("True", says.reason, says.message),
        Outcome::Invalid(problem) => ("False", "Invalid", problem.as_str()),
        Outcome::Held(why) => ("False", "Held", why.as_str()),
        Outcome::Pending => return None,
    };
    let message: String = message.chars().take(LONGEST_MESSAGE).collect();
    let before = ResourceStatus::deserialize(&resource.status).unwrap_or_default();
    let was = before.conditions.iter().find(|condition| condition.r#type == says.condition);
    let since = was.filter(|was| was.status == status).map_or(now, |was| was.last_transition_time.as_str());
    let condition = ResourceCondition {
        r#type: says.condition.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: resource.generation,
        last_transition_time: since.to_owned(),
    };
    if was == Some(&condition) && before.observed_generation == resource.generation {
        return None;
    }
    let others = before.conditions.into_iter().filter(|condition| condition.r#type != says.condition);
    let conditions = others.chain([condition]).collect();
    serde_json::to_value(ResourceStatus { observed_generation: resource.generation, conditions }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(generation: i64, status: Value) -> Resource {
        let object = json!({ "metadata": { "name": "r", "generation": generation }, "spec": {}, "status": status });
        Resource::new("graylane.io/v1alpha1", "grayreleases", "/apis", &object).unwrap()
    }

    #[test]
    fn a_status_is_written_where_it_says_something_else() {
        let written = change(&resource(1, json!(null)), ACCEPTED, &Outcome::InForce, "t1").unwrap();
        assert_eq!(written["conditions"][0]["status"], "True");
        assert_eq!(written["conditions"][0]["observedGeneration"], 1);
        assert_eq!(change(&resource(1, written.clone()), ACCEPTED, &Outcome::InForce, "t2"), None);
        let again = change(&resource(2, written.clone()), ACCEPTED, &Outcome::InForce, "t2").unwrap();
        assert_eq!(again["conditions"][0]["lastTransitionTime"], "t1", "it is what it was since then");
        let refused =
            change(&resource(2, again), ACCEPTED, &Outcome::Invalid("spec.permille: no".into()), "t3").unwrap();
        let condition = &refused["conditions"][0];
        assert_eq!((&condition["reason"], &condition["lastTransitionTime"]), (&json!("Invalid"), &json!("t3")));
        assert_eq!(change(&resource(1, json!(null)), ACCEPTED, &Outcome::Pending, "t1"), None);
    }

    #[test]
    fn conditions_of_others_stay() {
        let other =
            json!({ "type": "Promoted", "status": "True", "reason": "a", "message": "b", "lastTransitionTime": "t" });
        let status = json!({ "conditions": [other] });
        let written = change(&resource(1, status), ACCEPTED, &Outcome::Held("why".into()), "t1").unwrap();
        let types: Vec<_> = written["conditions"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
        assert_eq!(types, [json!("Promoted"), json!("Accepted")]);
    }
}
