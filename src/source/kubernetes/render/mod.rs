//! The resources of many namespaces, rendered into a ConfigMap in each, for sidecars that may not watch.
//!
//! One of several processes is elected by a Lease, judges and writes; the others watch, so that one of them can go on at once.
//! Namespaces count that carry the label of the injection. Each resource becomes a file of its namespace's ConfigMap, after it was
//! judged as a sidecar's own source judges it: in the place of one that is refused stands what was accepted of it last, which is
//! what the ConfigMap holds, and its status says why. What others accepted meanwhile is known from there only, so whoever is elected
//! begins with it. The writer's rights are to read four kinds, and to read and apply one ConfigMap by its name.

mod folder;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::judgement::Outcome;
use super::resource::Resource;
use super::status::{self, Says};
use super::{KINDS, LOOK, own_name};
use crate::config::{BackoffPlan, KubernetesAccess, RENDERED_MAP, Source};
use crate::kubernetes::{ApiError, Client, Election, LEASE_FOR, Listing, Wide};
use crate::source::backoff::Backoff;
use crate::source::pace::Pace;
use folder::Folder;

/// The Lease of those who would write.
const LEASE: &str = "graylane-render";
/// The most namespaces that are written to at one look, so that the watches are not left alone for long.
const MOST_AT_ONCE: usize = 20;
const BACKOFF: BackoffPlan = BackoffPlan { first: Duration::from_millis(250), most: Duration::from_secs(15) };
/// What a status says of a resource that is in the ConfigMap.
const RENDERED: Says =
    Says { condition: "Rendered", reason: "Rendered", message: "in the ConfigMap graylane-resources" };

/// What is rendered, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderPlan {
    /// The API server.
    pub access: KubernetesAccess,
    /// The namespace of the Lease.
    pub namespace: String,
    /// The ConfigMap in which a namespace's sidecars have their configuration: resources are judged with it.
    pub config: String,
    /// Which namespaces, as a part of a query: a label selector.
    pub namespaces: String,
}

/// Renders until dropped. What cannot be done is told in the log, and tried again after a pause.
pub async fn render(plan: RenderPlan) -> Infallible {
    let mut render = Render { plan, own: own_name(), folders: BTreeMap::new(), is_alone: false, told: None };
    let mut backoff = Backoff::new(BACKOFF);
    loop {
        let begun = Instant::now();
        let Err(error) = render.talk().await;
        if begun.elapsed() > BACKOFF.most {
            backoff = Backoff::new(BACKOFF);
        }
        render.tell(&error);
        tokio::time::sleep(backoff.pause()).await;
    }
}

struct Render {
    plan: RenderPlan,
    own: String,
    /// By namespace, since nobody else was elected.
    folders: BTreeMap<String, Folder>,
    /// Nobody else was elected since this process looked last.
    is_alone: bool,
    /// What went wrong last, so that it is told once.
    told: Option<String>,
}

/// What is watched.
struct Lists {
    namespaces: Listing,
    resources: [Listing; 2],
    /// The ConfigMaps with the configuration of sidecars, and those with what was rendered.
    configs: Listing,
    rendered: Listing,
}

impl Render {
    async fn talk(&mut self) -> Result<Infallible, ApiError> {
        let client = Client::new(&self.plan.access)?;
        let mut lists = Lists::read(&client, &self.plan).await?;
        let mut election = Election::new(client.clone(), &self.plan.namespace, LEASE, &self.own);
        let (mut pace, mut due, mut stand_at) = (Pace::default(), Some(Instant::now()), Instant::now());
        loop {
            let at = due.unwrap_or_else(|| Instant::now() + LOOK);
            tokio::select! {
                told = lists.changed() => {
                    told?;
                    due = Some(due.unwrap_or_else(|| pace.due(Instant::now())));
                }
                () = tokio::time::sleep_until(at), if due.is_some() => {
                    let begun = Instant::now();
                    let mut is_all = true;
                    if election.is_elected() {
                        self.judge(&lists);
                        is_all = self.write(&client, &election, &lists).await?;
                        self.heal();
                    }
                    pace.done(begun, Instant::now());
                    due = (!is_all).then(|| pace.due(Instant::now()));
                }
                () = tokio::time::sleep_until(stand_at) => {
                    let was = election.is_elected();
                    // Where that fails, nobody knows.
                    let was_alone = std::mem::take(&mut self.is_alone);
                    let is_elected = election.stand().await?;
                    if is_elected && (!was_alone || election.took_over()) {
                        // A watch may be behind, or broken without a sign; what others left has to be what is there now.
                        self.folders.clear();
                        lists = Lists::read(&client, &self.plan).await?;
                    }
                    self.is_alone = is_elected;
                    if is_elected && !was {
                        tracing::info!(lease = LEASE, "elected: resources are rendered from here on");
                        due = Some(Instant::now());
                    }
                    stand_at = Instant::now() + LEASE_FOR / 5;
                }
            }
        }
    }

    /// Has every namespace's folder be what its resources make of it.
    fn judge(&mut self, lists: &Lists) {
        self.folders.retain(|namespace, _| lists.namespaces.objects().contains_key(namespace));
        for namespace in lists.namespaces.objects().keys() {
            let held = files(lists.rendered.objects().get(&format!("{namespace}/{RENDERED_MAP}")));
            let config = files(lists.configs.objects().get(&format!("{namespace}/{}", self.plan.config)));
            let config = config.into_iter().map(|(name, text)| Source { path: name.into(), text }).collect();
            let folder = self.folders.entry(namespace.clone()).or_insert_with(|| Folder::new(&held));
            folder.judge(config, lists.resources_of(namespace));
        }
    }

    /// Writes what differs, where we are elected; whether that was everything.
    async fn write(&self, client: &Client, election: &Election, lists: &Lists) -> Result<bool, ApiError> {
        let mut left = MOST_AT_ONCE;
        for (namespace, folder) in &self.folders {
            if !election.is_elected() {
                return Ok(true);
            }
            let there = lists.rendered.objects().get(&format!("{namespace}/{RENDERED_MAP}"));
            // A namespace that never had a resource needs no ConfigMap.
            let is_wanted = there.is_some() || !folder.files().is_empty();
            if is_wanted && there.is_none_or(|there| files(Some(there)) != *folder.files()) {
                if left == 0 {
                    return Ok(false);
                }
                left -= 1;
                client.apply(&path_of(namespace), &config_map(namespace, folder.files())).await?;
                tracing::info!(namespace, files = folder.files().len(), "resources are rendered");
            }
            let outcomes: Vec<(&Resource, Outcome)> = folder.outcomes().collect();
            status::write(client, election, RENDERED, &outcomes).await?;
        }
        Ok(true)
    }

    fn tell(&mut self, error: &ApiError) {
        let text = match error {
            ApiError::Refused { status: 404, said } => {
                format!("{said} (404): are the definitions there? `graylane crds` prints them")
            }
            error => error.to_string(),
        };
        if self.told.as_ref() != Some(&text) {
            tracing::error!(error = text, "resources cannot be rendered; ConfigMaps stay as they are");
            self.told = Some(text);
        }
    }

    fn heal(&mut self) {
        if self.told.take().is_some() {
            tracing::info!("resources are rendered again");
        }
    }
}

impl Lists {
    /// As they are now, and watched from here on.
    async fn read(client: &Client, plan: &RenderPlan) -> Result<Self, ApiError> {
        let mut lists = Self::new(client, plan);
        for list in lists.all() {
            list.changed().await?;
        }
        Ok(lists)
    }

    fn new(client: &Client, plan: &RenderPlan) -> Self {
        let wide = |version: &str, plural: &str, narrowed: Option<String>| {
            let (version, plural) = (version.to_owned(), plural.to_owned());
            Listing::wide(client.clone(), &Wide { version, plural, narrowed })
        };
        let named = |name: &str| wide("v1", "configmaps", Some(format!("fieldSelector=metadata.name%3D{name}")));
        Self {
            namespaces: wide("v1", "namespaces", Some(plan.namespaces.clone())),
            resources: KINDS.map(|(version, plural)| wide(version, plural, None)),
            configs: named(&plan.config),
            rendered: named(RENDERED_MAP),
        }
    }

    fn all(&mut self) -> [&mut Listing; 5] {
        let [rules, releases] = &mut self.resources;
        [&mut self.namespaces, rules, releases, &mut self.configs, &mut self.rendered]
    }

    /// Waits until one of them is another.
    async fn changed(&mut self) -> Result<(), ApiError> {
        let [namespaces, rules, releases, configs, rendered] = self.all();
        tokio::select! {
            told = namespaces.changed() => told,
            told = rules.changed() => told,
            told = releases.changed() => told,
            told = configs.changed() => told,
            told = rendered.changed() => told,
        }
    }

    /// The resources of a namespace, by their service.
    fn resources_of(&self, namespace: &str) -> BTreeMap<String, Vec<Resource>> {
        let mut found: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
        for (listing, (version, plural)) in self.resources.iter().zip(KINDS) {
            let collection = format!("/apis/{version}/namespaces/{namespace}/{plural}");
            // Keys are sorted, and `0` comes after `/`.
            let own = listing.objects().range(format!("{namespace}/")..format!("{namespace}0"));
            for (_, object) in own {
                let service = object["spec"]["service"].as_str().unwrap_or_default().to_owned();
                found.entry(service).or_default().extend(Resource::new(version, plural, &collection, object));
            }
        }
        found
    }
}

/// The files that a ConfigMap holds.
fn files(map: Option<&Value>) -> BTreeMap<String, String> {
    let data = map.and_then(|map| map["data"].as_object()).into_iter().flatten();
    let texts = data.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())));
    texts.filter(|(name, _)| name.ends_with(".yaml") || name.ends_with(".yml")).collect()
}

fn path_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/{RENDERED_MAP}")
}

fn config_map(namespace: &str, files: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": RENDERED_MAP,
            "namespace": namespace,
            "labels": { "app.kubernetes.io/managed-by": "graylane" },
        },
        "data": files,
    })
}
