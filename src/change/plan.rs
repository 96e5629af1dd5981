//! A change before it is made: what differs, what it does to users, what it is called.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::concern::Concern;
use super::difference::{self, Difference, Names};
use super::effect::{self, Effect, Standing, State, Subject};
use crate::config::{Guard, Loaded, RoutePlan, Settings, Source, Written, written};

/// A configuration as plans compare it.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its version.
    pub version: &'a str,
    /// What the process runs by.
    pub settings: &'a Settings,
    /// What was written.
    pub sources: &'a [Source],
    /// Names the contents of its key files.
    pub keys: &'a str,
}

impl<'a> From<&'a Loaded> for Side<'a> {
    fn from(loaded: &'a Loaded) -> Self {
        let Loaded { settings, version, sources, keys, .. } = loaded;
        Self { version, settings, sources, keys }
    }
}

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Files of this machine, and calls to the admin port.
    Files,
    /// A store or a centre that many sidecars share.
    Shared,
}

impl Origin {
    /// Shared, where a text differs that comes from there.
    pub fn of(old: &[Source], new: &[Source], is_shared: impl Fn(&Path) -> bool) -> Origin {
        let (before, after) = (old.iter(), new.iter());
        let is_shared = |source: &&Source| is_shared(&source.path);
        if before.filter(is_shared).eq(after.filter(is_shared)) { Origin::Files } else { Origin::Shared }
    }
}

/// Why a change needs a confirmation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "need", rename_all = "snake_case")]
pub enum Need {
    /// It moves many users into gray at once.
    Moves {
        /// A release or a route.
        subject: Subject,
        /// Its name.
        name: String,
        /// Users per thousand, at most.
        to_gray: f64,
    },
    /// The stable lane of a route keeps none of its endpoints.
    StableTaken {
        /// The route.
        route: String,
    },
    /// A route goes that has requests.
    RouteRemoved {
        /// The route.
        route: String,
    },
    /// A source holds nothing any more, and routes would go with what it held.
    SourceEmptied {
        /// The source.
        source: String,
        /// How many documents it held.
        documents: usize,
    },
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Need::Moves { subject, name, to_gray } => {
                write!(f, "{} `{name}` would move up to {to_gray:.0} of 1000 users into gray", subject.as_str())
            }
            Need::StableTaken { route } => write!(f, "the stable lane of route `{route}` would lose all its endpoints"),
            Need::SourceEmptied { source, documents } => {
                write!(
                    f,
                    "source `{source}` holds none of its {documents} documents any more, and routes would go with them"
                )
            }
            Need::RouteRemoved { route } => write!(f, "route `{route}` would go, and it has requests"),
        }
    }
}

/// What a change would do.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The version it starts from.
    pub from: String,
    /// The version it leads to.
    pub to: String,
    /// Names the plan: the version it starts from and everything it leads to, `confirm` aside.
    pub digest: String,
    /// Names by kind.
    pub names: BTreeMap<String, Names>,
    /// What differs, secrets left out.
    pub differences: Vec<Difference>,
    /// How many more differ.
    pub omitted: usize,
    /// Who changes sides.
    pub effects: Vec<Effect>,
    /// The products that it concerns.
    pub skus: Concern,
    /// Why it is dangerous, whether or not a confirmation is asked for.
    pub needs: Vec<Need>,
}

/// A change that needs a confirmation and has none that fits.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}; nothing was changed: confirm this change with `confirm: {digest}`", reasons(needs))]
pub struct Unconfirmed {
    /// Why it needs one.
    pub needs: Vec<Need>,
    /// What confirms it.
    pub digest: String,
}

fn reasons(needs: &[Need]) -> String {
    needs.iter().map(Need::to_string).collect::<Vec<_>>().join(", ")
}

impl Plan {
    /// What it takes to get from one configuration to another. `undone` is the version that was just rolled back from,
    /// where there is one: what confirmed the way to it then does not confirm it now.
    pub fn between(old: Side<'_>, new: Side<'_>, standing: &Standing, undone: Option<&str>) -> Plan {
        let (before, after) = (written(old.sources), written(new.sources));
        let digest = digest(&[old.version, undone.unwrap_or_default(), new.keys], &after);
        let mut differences = difference::differences(&before, &after);
        if old.keys != new.keys {
            differences.push(keys_changed());
        }
        let names = difference::names(&differences);
        let omitted = differences.len().saturating_sub(difference::MOST);
        differences.truncate(difference::MOST);
        let (old_state, new_state) =
            (State { settings: old.settings, tree: &before }, State { settings: new.settings, tree: &after });
        let effects = effect::effects(old_state, new_state, standing);
        let needs = needs(old_state, new_state, &effects, old.settings.guard, standing);
        let (from, to) = (old.version.to_owned(), new.version.to_owned());
        let skus = Concern::between(&before, &after);
        Plan { from, to, digest, names, differences, omitted, effects, skus, needs }
    }

    /// Whether nothing differs but how it is written.
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }

    /// Lets the change through, or says what is missing. The guard is that of the configuration in force: a change does
    /// not switch off what guards against it.
    pub fn allow<S: AsRef<str>>(&self, guard: Guard, origin: Origin, confirmations: &[S]) -> Result<(), Unconfirmed> {
        let guarded = match origin {
            Origin::Files => guard.files,
            Origin::Shared => guard.sources,
        };
        let confirmed = confirmations.iter().any(|digest| digest.as_ref().trim() == self.digest);
        if !guarded || confirmed || self.needs.is_empty() {
            return Ok(());
        }
        Err(Unconfirmed { needs: self.needs.clone(), digest: self.digest.clone() })
    }
}

fn needs(old: State<'_>, new: State<'_>, effects: &[Effect], guard: Guard, standing: &Standing) -> Vec<Need> {
    let most = f64::from(guard.most.get());
    let moving = effects.iter().filter(|effect| effect.to_gray > most).map(|effect| Need::Moves {
        subject: effect.subject,
        name: effect.name.clone(),
        to_gray: effect.to_gray,
    });
    let mut needs: Vec<Need> = moving.collect();
    let (before, after) = (plans(old), plans(new));
    for (route, plan) in before {
        match after.get(route) {
            None if standing.busy.contains(route) => needs.push(Need::RouteRemoved { route: route.to_owned() }),
            Some(next) if effect::loses_stable((old, plan), (new, next)) => {
                needs.push(Need::StableTaken { route: route.to_owned() });
            }
            _ => {}
        }
    }
    needs
}

fn plans(state: State<'_>) -> BTreeMap<&str, &RoutePlan> {
    state.settings.routes.iter().map(|plan| (&*plan.name, &**plan)).collect()
}

fn keys_changed() -> Difference {
    Difference {
        kind: "key files".to_owned(),
        name: None,
        path: "key files".to_owned(),
        became: difference::Became::Changed,
        from: None,
        to: None,
    }
}

/// Sixteen hexadecimal digits of a SHA-256 over the parts and the tree, each with its length.
fn digest(parts: &[&str], tree: &Written) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        text(&mut hash, b's', part);
    }
    feed(&mut hash, tree);
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn feed(hash: &mut Sha256, value: &Written) {
    let mut head = |tag: u8, count: usize| {
        hash.update([tag]);
        hash.update((count as u64).to_be_bytes());
    };
    match value {
        Written::Scalar(scalar) => text(hash, b's', scalar),
        Written::List(items) => {
            head(b'l', items.len());
            items.iter().for_each(|item| feed(hash, item));
        }
        Written::Map(entries) => {
            head(b'm', entries.len());
            for (key, value) in entries {
                text(hash, b'k', key);
                feed(hash, value);
            }
        }
    }
}

fn text(hash: &mut Sha256, tag: u8, text: &str) {
    hash.update([tag]);
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}
