//! What the resources of one namespace make of its ConfigMap: pure.

use std::collections::BTreeMap;

use super::super::judgement::{Judgements, Outcome};
use super::super::resource::Resource;
use crate::config::{RENDERED_FILE, Source, judge_resources};
use crate::source::Verdict;

/// The most bytes of a ConfigMap's data. The API server takes 1 MiB, names and all.
const MOST_BYTES: usize = (1 << 20) - (64 << 10);
/// The longest key of a ConfigMap.
const LONGEST_KEY: usize = 253;
/// What problems call the place of a resource begins so.
const PLACE: &str = "cluster";

/// One namespace.
pub(super) struct Folder {
    /// By service.
    groups: BTreeMap<String, Group>,
    /// What the ConfigMap is to hold.
    files: BTreeMap<String, String>,
    /// Texts that were there before this process was, by the key of their resource.
    before: BTreeMap<String, String>,
    /// The configuration that resources were judged with.
    config: Vec<Source>,
    /// Why the ConfigMap stays as it is.
    held: Option<String>,
}

#[derive(Default)]
struct Group {
    judgements: Judgements,
    resources: Vec<Resource>,
    /// What stands for each resource, by its key.
    texts: Vec<(String, String)>,
}

impl Folder {
    /// `held`: the files that the ConfigMap has now, which were accepted once.
    pub(super) fn new(held: &BTreeMap<String, String>) -> Self {
        let before = held.iter().filter_map(|(file, text)| Some((key_of(file)?, text.clone())));
        Self { groups: BTreeMap::new(), files: held.clone(), before: before.collect(), config: Vec::new(), held: None }
    }

    /// Judges what is another than before.
    pub(super) fn judge(&mut self, config: Vec<Source>, mut resources: BTreeMap<String, Vec<Resource>>) {
        let is_other = self.config != config;
        self.config = config;
        self.groups.retain(|service, _| resources.contains_key(service));
        while let Some((service, resources)) = resources.pop_first() {
            let group = self.groups.entry(service.clone()).or_default();
            for one in &resources {
                if let Some(text) = self.before.get(&one.key) {
                    group.judgements.accepted_before(one.key.clone(), text.clone());
                }
            }
            let same = |(one, other): (&Resource, &Resource)| one.key == other.key && one.text == other.text;
            let is_same = group.resources.len() == resources.len() && group.resources.iter().zip(&resources).all(same);
            group.resources = resources;
            if is_other || !is_same {
                group.judge(&service, &self.config);
            }
        }
        let all = self.groups.values().flat_map(|group| &group.texts);
        let files: BTreeMap<String, String> =
            all.filter_map(|(key, text)| Some((file_of(key)?, text.clone()))).collect();
        let bytes: usize = files.iter().map(|(name, text)| name.len() + text.len()).sum();
        self.held = (bytes > MOST_BYTES)
            .then(|| format!("the resources of this namespace have {bytes} bytes, and a ConfigMap holds {MOST_BYTES}"));
        if self.held.is_none() {
            self.files = files;
        }
    }

    /// What the ConfigMap is to hold.
    pub(super) fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// What became of each resource.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (&Resource, Outcome)> {
        let all = self.groups.values().flat_map(|group| group.resources.iter().map(move |one| (group, one)));
        all.map(|(group, one)| {
            let outcome = match (group.judgements.of(one), &self.held) {
                (Outcome::InForce, Some(why)) => Outcome::Held(why.clone()),
                (Outcome::InForce, None) if file_of(&one.key).is_none() => {
                    Outcome::Invalid("metadata.name: it is too long for a key of a ConfigMap".to_owned())
                }
                (outcome, _) => outcome,
            };
            (one, outcome)
        })
    }
}

impl Group {
    /// Leaves out, or puts what was accepted before in the place of, what is to blame, until the rest is good.
    fn judge(&mut self, service: &str, config: &[Source]) {
        for round in 0..=self.resources.len() {
            let texts = self.judgements.texts(&self.resources);
            let source =
                |(key, text): &(String, String)| Source { path: format!("{PLACE}:{key}").into(), text: text.clone() };
            let sources: Vec<Source> = texts.iter().map(source).collect();
            let judged = judge_resources(config, service, &sources);
            let told =
                judged.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
            let (revision, is_good) = (round.to_string(), told.is_ok());
            self.judgements.offered(revision.clone());
            let verdict = Verdict { revision, outcome: told.map(|()| String::new()) };
            let is_again = self.judgements.take(PLACE, &verdict);
            if is_good {
                self.texts = texts;
            }
            if !is_again {
                return;
            }
        }
    }
}

/// The file of a resource `businessrules/NAME` or `grayreleases/NAME`.
fn file_of(key: &str) -> Option<String> {
    let (plural, name) = key.split_once('/')?;
    Some(format!("{RENDERED_FILE}{}-{name}.yaml", plural.strip_suffix('s')?)).filter(|file| file.len() <= LONGEST_KEY)
}

fn key_of(file: &str) -> Option<String> {
    let (kind, name) = file.strip_prefix(RENDERED_FILE)?.strip_suffix(".yaml")?.split_once('-')?;
    Some(format!("{kind}s/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(name: &str, service: &str, weight: &str) -> (String, Resource) {
        let object = json!({ "metadata": { "name": name }, "spec": { "service": service, "trafficWeight": weight } });
        (service.to_owned(), Resource::new("gray.alibaba.com/v1", "businessrules", "/apis", &object).unwrap())
    }

    fn by_service(rules: impl IntoIterator<Item = (String, Resource)>) -> BTreeMap<String, Vec<Resource>> {
        let mut found: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
        rules.into_iter().for_each(|(service, rule)| found.entry(service).or_default().push(rule));
        found
    }

    fn outcome(folder: &Folder, key: &str) -> Outcome {
        folder.outcomes().find(|(one, _)| one.key == key).unwrap().1
    }

    #[test]
    fn files_and_keys_name_each_other() {
        for key in ["businessrules/a-b.c", "grayreleases/x"] {
            assert_eq!(key_of(&file_of(key).unwrap()).as_deref(), Some(key));
        }
        assert_eq!(file_of("businessrules/a").as_deref(), Some("graylane-resource-businessrule-a.yaml"));
        assert_eq!(file_of(&format!("businessrules/{}", "a".repeat(253))), None);
        assert_eq!(key_of("other.yaml"), None);
    }

    #[test]
    fn one_that_is_refused_stays_what_it_was_and_keeps_no_other_back() {
        let mut folder = Folder::new(&BTreeMap::new());
        folder.judge(Vec::new(), by_service([rule("a", "goods", "5%"), rule("b", "price", "6%")]));
        let first = folder.files().clone();
        assert_eq!(first.len(), 2);
        folder.judge(Vec::new(), by_service([rule("a", "goods", "500%"), rule("b", "price", "7%")]));
        let (a, b) = ("graylane-resource-businessrule-a.yaml", "graylane-resource-businessrule-b.yaml");
        assert_eq!(folder.files()[a], first[a]);
        assert!(folder.files()[b].contains("7%"));
        let Outcome::Invalid(why) = outcome(&folder, "businessrules/a") else { panic!("it is refused") };
        assert!(why.starts_with("spec.trafficWeight: `500%`"), "{why}");
        assert_eq!(outcome(&folder, "businessrules/b"), Outcome::InForce);
        // Also for one that comes after a restart, and knows only the ConfigMap.
        let mut next = Folder::new(folder.files());
        next.judge(Vec::new(), by_service([rule("a", "goods", "500%"), rule("b", "price", "7%")]));
        assert_eq!(next.files(), folder.files());
        // What is gone goes.
        next.judge(Vec::new(), by_service([rule("b", "price", "7%")]));
        assert_eq!(next.files().len(), 1);
    }

    #[test]
    fn one_that_was_never_good_is_left_out() {
        let mut folder = Folder::new(&BTreeMap::new());
        folder.judge(Vec::new(), by_service([rule("a", "goods", "500%"), rule("b", "goods", "7%")]));
        assert_eq!(folder.files().keys().collect::<Vec<_>>(), ["graylane-resource-businessrule-b.yaml"]);
        folder.judge(Vec::new(), by_service([rule("a", "goods", "5%")]));
        assert_eq!(folder.files().keys().collect::<Vec<_>>(), ["graylane-resource-businessrule-a.yaml"]);
    }

    #[test]
    fn more_than_a_config_map_holds_changes_nothing_and_says_so() {
        let mut folder = Folder::new(&BTreeMap::new());
        folder.judge(Vec::new(), by_service([rule("a", "goods", "5%")]));
        let before = folder.files().clone();
        let mut large = rule("a", "goods", "6%");
        let values: Vec<String> = (0..1000).map(|n| format!("{n:0>1000}")).collect();
        let object = json!({ "metadata": { "name": "a" }, "spec": {
            "service": "goods", "trafficWeight": "6%",
            "conditions": [{ "key": "user_id", "operator": "IN", "values": values }],
        } });
        large.1 = Resource::new("gray.alibaba.com/v1", "businessrules", "/apis", &object).unwrap();
        folder.judge(Vec::new(), by_service([large]));
        assert_eq!(*folder.files(), before);
        assert!(matches!(outcome(&folder, "businessrules/a"), Outcome::Held(why) if why.contains("bytes")));
    }
}
