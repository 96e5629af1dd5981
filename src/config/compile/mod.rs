//! From the file mirror to settings: every reference resolved, every default filled in, every problem told.

mod address;
mod admin_access;
mod kept;
mod kubernetes;
mod listener;
mod logged;
mod process;
mod products;
mod tls;
mod tracing;

mod composite;
mod condition;
mod contradiction;
mod experiment;
pub(super) mod expression;
mod fact;
mod fact_source;
mod idle;
mod release;
mod rollback_on;

mod endpoints;
pub(super) mod fault;
mod guard;
mod limit;
mod remote;
mod route;
mod rule;
mod upstream;

mod shadow;
mod unfit;
mod unused;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::file::{Environment, FileConfig};
use super::gather::Gathered;
use super::outset::Outset;
use super::problem::Findings;
use super::rollback::RollbackPlan;
use super::settings::Settings;
use super::text::{Span, Texts};
use crate::decide::{Lanes, Program, Vocabulary};
use condition::KnownFacts;
use route::{Names, Places};

/// Whether the key files that a configuration names have to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFiles {
    /// A missing one is an error: the process is to run.
    Needed,
    /// A missing one is a warning: a configuration is checked where its secrets are not.
    MayBeAbsent,
}

/// What compiling needs besides the mirror.
struct Context<'c> {
    texts: &'c Texts,
    findings: &'c mut Findings,
    environment: Environment,
    service: String,
    key_files: KeyFiles,
    keys: Vec<Key>,
}

/// A key file that was read: a changed key is a changed configuration.
pub(super) struct Key {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// Where more comes from, by what the files say alone.
pub(super) fn outset(config: &FileConfig, key_files: KeyFiles, texts: &Texts, findings: &mut Findings) -> Outset {
    let environment = config.environment.as_ref().map_or(Environment::Prod, |environment| environment.value);
    let access = kubernetes::access(config.kubernetes.as_ref(), key_files, texts, findings);
    let sources = remote::sources(config, &access, environment, key_files, texts, findings);
    process::outset(config, sources, texts, findings)
}

/// The settings and the keys that went into them; `None` after an error.
pub(super) fn compile(
    gathered: &Gathered,
    key_files: KeyFiles,
    texts: &Texts,
    findings: &mut Findings,
) -> Option<(Settings, Vec<Key>)> {
    let config = &gathered.config;
    let process = process::process(config, key_files, texts, findings);
    let probes = gathered.sidecar.as_ref().and_then(|sidecar| sidecar.spec.as_ref()?.probes.as_ref());
    let probes = probes.and_then(|probes| address::bind(probes, findings));
    kept::warn(config, findings);
    let products = products::products(config, findings);
    let overload = limit::overload(config.overload.as_ref(), findings);
    let kubernetes = kubernetes::access(config.kubernetes.as_ref(), key_files, texts, findings);
    let tracing = tracing::tracing(config.tracing.as_ref(), &kubernetes, key_files, texts, findings);
    let remotes = remote::sources(config, &kubernetes, process.environment, key_files, texts, findings);
    let ground = tls::Ground { environment: process.environment, key_files, texts };
    let upstreams = upstream::upstreams(config.upstreams.as_ref(), config.local.is_some(), ground, findings);
    let breakers = upstream::breakers(config.breakers.as_ref(), findings);
    let experiments = experiment::experiments(config.experiments.as_ref(), findings);
    let keys = Vec::new();
    let jwt = fact_source::jwt(config.jwt.as_ref(), key_files, texts, findings);
    let geoip = fact_source::geoip(config, texts, findings);
    let (table, sources, lookups) = fact::facts(config, findings);
    let mut facts = KnownFacts { table, used: Vec::new(), vocabulary: Vocabulary::default(), sources: &sources, texts };
    expression::vocabulary(config, &mut facts, findings);

    let mut context = Context {
        texts,
        findings,
        environment: process.environment,
        service: process.service.clone(),
        key_files,
        keys,
    };
    let mut releases = release::releases(config.releases.as_ref(), &experiments, &mut facts, &mut context);
    let names = Names {
        upstreams: Places::new("upstream", config.upstreams.as_ref()),
        releases: Places::new("release", config.releases.as_ref()),
        breakers: Places::new("breaker", config.breakers.as_ref()),
    };
    let mut lanes = Lanes::new();
    let written = config.routes.as_deref().unwrap_or_default();
    let mut routes = route::routes(written, &names, &mut lanes, &mut context);
    let keys = context.keys;
    rule::apply(gathered, &mut facts, &mut releases, &mut routes, findings);
    composite::apply(&mut routes, &lanes, &mut facts, findings);
    let paths = routes.iter().map(|route| &*route.spec.path);
    let logged = logged::logged(config, paths, &sources, &mut facts.table, (texts, findings));
    let lane = unused::own_lane(config, &mut lanes, findings);
    let known: Vec<_> = routes.iter().map(|route| route.known(&lanes)).collect();
    let faults = fault::faults(config.faults.as_deref(), &known, SystemTime::now(), findings);
    if gathered.native {
        shadow::warn(&routes, findings);
        unused::warn(config, &routes, &facts, &sources, findings);
    }

    if releases.len() > usize::from(u16::MAX) {
        findings.error(Span::default(), format!("more than {} releases", u16::MAX));
    }
    let (releases, rollbacks): (Vec<_>, Vec<_>) = releases.into_iter().unzip();
    let rollbacks = shared(rollbacks);
    let (specs, plans) = routes.into_iter().map(|route| (route.spec, Arc::new(route.plan))).unzip();
    let program = match Program::new(lanes, facts.table, releases, specs) {
        Ok(program) => program.with_values(facts.vocabulary.values),
        Err(errors) => {
            route::tell(&errors, written, findings);
            return None;
        }
    };
    if findings.refused() {
        return None;
    }
    let settings = Settings {
        environment: process.environment,
        service: process.service,
        lane,
        local: process.local,
        listeners: process.listeners,
        admin: process.admin,
        admin_changes: process.admin_changes,
        admin_readers: process.admin_readers,
        trust: process.trust,
        trust_names: process.trust_names,
        workers: process.workers,
        upstreams,
        routes: plans,
        program: Arc::new(program),
        facts: sources,
        breakers,
        rollbacks,
        faults,
        sources: remotes,
        kubernetes,
        products,
        sources_wait: process.sources_wait,
        access_log: process.access_log,
        access_log_facts: logged.facts,
        access_log_file: logged.file,
        access_log_redact: logged.redaction,
        tracing,
        response_mark: process.response_mark,
        normalize: process.normalize,
        allow_encoded: process.allow_encoded,
        limits: process.limits,
        overload,
        drain: process.drain,
        drain_wait: process.drain_wait,
        probes,
        guard: guard::guard(config.guard.as_ref()),
        confirmations: guard::confirmations(config),
        state_dir: process.state_dir,
        geoip,
        jwt,
        lookups,
    };
    Some((settings, keys))
}

/// Each of them once, where neighbours are alike: of thousands of releases most roll back by the same rules, or by none.
fn shared(rollbacks: Vec<RollbackPlan>) -> Vec<Arc<RollbackPlan>> {
    let mut shared: Vec<Arc<RollbackPlan>> = Vec::with_capacity(rollbacks.len());
    for rollback in rollbacks {
        let known = shared.last().filter(|known| ***known == rollback).cloned();
        shared.push(known.unwrap_or_else(|| Arc::new(rollback)));
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_the_same_rules_share_them() {
        let other = RollbackPlan { revision: 1, ..RollbackPlan::default() };
        let plans = [RollbackPlan::default(), RollbackPlan::default(), other, RollbackPlan::default()];
        let shared = shared(plans.to_vec());
        assert_eq!(shared.iter().map(|plan| (**plan).clone()).collect::<Vec<_>>(), plans);
        assert!(Arc::ptr_eq(&shared[0], &shared[1]));
        assert!(!Arc::ptr_eq(&shared[1], &shared[2]));
    }
}
