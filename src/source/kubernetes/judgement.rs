//! What became of each resource: which is in force, which is refused and why, and what stands in its place.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::resource::{Resource, path_at};
use crate::source::Verdict;

/// `FILE:LINE:COLUMN: ` at the beginning of a problem.
static PLACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|; )([^;\s]+):(\d+):\d+: ").expect("the pattern is valid"));

/// What is known of the resources of one source.
#[derive(Debug, Default)]
pub(super) struct Judgements {
    /// What was posted last: its revision, and each resource's own text then.
    revision: String,
    posted: BTreeMap<String, String>,
    /// The text of each that was accepted last.
    good: BTreeMap<String, String>,
    /// Those that were refused as they are.
    bad: BTreeMap<String, Refusal>,
    /// Why what was posted last is not in force, where no resource is to blame.
    held: Option<String>,
}

#[derive(Debug, Clone)]
struct Refusal {
    text: String,
    problem: String,
}

/// What became of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in force.
    InForce,
    /// It is refused for this.
    Invalid(String),
    /// It is not in force for a reason that is not its own.
    Held(String),
    /// Nothing is known yet.
    Pending,
}

impl Judgements {
    /// The documents to post: each resource, or what was accepted last of one that is refused.
    pub(super) fn texts(&mut self, resources: &[Resource]) -> Vec<(String, String)> {
        let is_there = |key: &String| resources.iter().any(|resource| resource.key == *key);
        self.good.retain(|key, _| is_there(key));
        self.bad.retain(|key, refusal| {
            resources.iter().any(|resource| resource.key == *key && resource.text == refusal.text)
        });
        self.posted = resources.iter().map(|one| (one.key.clone(), one.text.clone())).collect();
        let text = |resource: &Resource| match self.bad.get(&resource.key) {
            None => Some((resource.key.clone(), resource.text.clone())),
            Some(_) => self.good.get(&resource.key).map(|good| (resource.key.clone(), good.clone())),
        };
        resources.iter().filter_map(text).collect()
    }

    /// A text that was accepted before this process was there.
    pub(super) fn accepted_before(&mut self, key: String, text: String) {
        self.good.entry(key).or_insert(text);
    }

    /// What was posted is called so.
    pub(super) fn offered(&mut self, revision: String) {
        self.revision = revision;
    }

    /// Takes a verdict. Returns whether others are to be posted without those that are to blame.
    pub(super) fn take(&mut self, source: &str, verdict: &Verdict) -> bool {
        if verdict.revision != self.revision {
            return false;
        }
        let problems = match &verdict.outcome {
            Ok(_) => {
                self.held = None;
                let accepted = self.posted.iter().filter(|(key, _)| !self.bad.contains_key(*key));
                self.good.extend(accepted.map(|(key, text)| (key.clone(), text.clone())));
                return false;
            }
            Err(problems) => problems,
        };
        let mut is_news = false;
        for (key, line, message) in blamed(source, problems) {
            let Some(text) = self.posted.get(&key).filter(|_| !self.bad.contains_key(&key)) else { continue };
            let path = path_at(text, line);
            let problem = if path.is_empty() { message } else { format!("{path}: {message}") };
            self.bad.insert(key, Refusal { text: text.clone(), problem });
            is_news = true;
        }
        self.held = (!is_news).then(|| problems.clone());
        is_news
    }

    /// What became of a resource as it is now.
    pub(super) fn of(&self, resource: &Resource) -> Outcome {
        match (self.bad.get(&resource.key), self.good.get(&resource.key), &self.held) {
            (Some(refusal), ..) if refusal.text == resource.text => Outcome::Invalid(refusal.problem.clone()),
            (_, Some(good), None) if *good == resource.text => Outcome::InForce,
            (_, _, Some(why)) => Outcome::Held(why.clone()),
            _ => Outcome::Pending,
        }
    }
}

/// The resources that problems name, each with the line and what is wrong.
fn blamed(source: &str, problems: &str) -> Vec<(String, usize, String)> {
    let places: Vec<_> = PLACE.captures_iter(problems).collect();
    let ends = places.iter().skip(1).map(|place| place.get(0).map_or(0, |whole| whole.start()));
    let ends: Vec<usize> = ends.chain([problems.len()]).collect();
    let told = places.iter().zip(ends).filter_map(|(place, end)| {
        let key = place[1].strip_prefix(source)?.strip_prefix(':')?;
        let message = problems.get(place.get(0)?.end()..end)?;
        Some((key.to_owned(), place[2].parse().ok()?, message.trim_end_matches("; ").to_owned()))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource(name: &str, permille: u32) -> Resource {
        let object = json!({ "metadata": { "name": name }, "spec": { "permille": permille } });
        Resource::new("graylane.io/v1alpha1", "grayreleases", "/apis", &object).unwrap()
    }

    fn verdict(revision: &str, outcome: Result<&str, &str>) -> Verdict {
        Verdict { revision: revision.into(), outcome: outcome.map(str::to_owned).map_err(str::to_owned) }
    }

    #[test]
    fn problems_name_the_resource_the_line_and_what_is_wrong() {
        let told = "goods.yaml:3:1: unknown; x y; cluster:grayreleases/a:8:17: more than 1000; at most; cluster:businessrules/b:2:3: no";
        let expected = [("grayreleases/a", 8, "more than 1000; at most"), ("businessrules/b", 2, "no")];
        let found = blamed("cluster", told);
        let found: Vec<_> = found.iter().map(|(key, line, text)| (key.as_str(), *line, text.as_str())).collect();
        assert_eq!(found, expected);
        assert!(blamed("other", told).is_empty());
    }

    #[test]
    fn what_was_accepted_last_stands_in_the_place_of_what_is_refused() {
        let mut judgements = Judgements::default();
        let (good, other) = (resource("a", 5), resource("b", 7));
        assert_eq!(judgements.texts(&[good.clone(), other.clone()]).len(), 2);
        judgements.offered("1".into());
        assert_eq!(judgements.of(&good), Outcome::Pending);
        assert!(!judgements.take("cluster", &verdict("1", Ok("v"))));
        assert_eq!(judgements.of(&good), Outcome::InForce);

        let bad = resource("a", 5000);
        judgements.texts(&[bad.clone(), other.clone()]);
        judgements.offered("2".into());
        let line = bad.text.lines().position(|line| line.contains("permille")).unwrap() + 1;
        let problem = format!("cluster:grayreleases/a:{line}:17: at most 1000");
        assert!(!judgements.take("cluster", &verdict("1", Err(&problem))), "that was about another revision");
        assert!(judgements.take("cluster", &verdict("2", Err(&problem))));
        assert_eq!(judgements.of(&bad), Outcome::Invalid("spec.permille: at most 1000".into()));
        let texts = judgements.texts(&[bad.clone(), other.clone()]);
        assert_eq!(texts[0].1, good.text, "as it was accepted last");
        judgements.offered("3".into());
        assert!(!judgements.take("cluster", &verdict("3", Ok("v"))));
        assert_eq!(judgements.of(&other), Outcome::InForce);
        assert!(matches!(judgements.of(&bad), Outcome::Invalid(_)));

        let mended = resource("a", 6);
        assert_eq!(judgements.texts(&[mended.clone(), other]).first().unwrap().1, mended.text);
    }

    #[test]
    fn a_refused_one_that_was_never_accepted_is_left_out_and_nobody_is_blamed_twice() {
        let mut judgements = Judgements::default();
        let (bad, other) = (resource("a", 5000), resource("b", 7));
        judgements.texts(&[bad.clone(), other.clone()]);
        judgements.offered("1".into());
        assert!(judgements.take("s", &verdict("1", Err("s:grayreleases/a:7:1: no"))));
        assert_eq!(judgements.texts(&[bad.clone(), other.clone()]).len(), 1);
        judgements.offered("2".into());
        assert!(!judgements.take("s", &verdict("2", Err("file.yaml:1:1: broken"))));
        assert_eq!(judgements.of(&other), Outcome::Held("file.yaml:1:1: broken".into()));
        assert!(judgements.texts(&[]).is_empty());
    }
}
