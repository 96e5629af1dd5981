//! Releases, and the keys of their overrides.

use std::time::Duration;

use super::address::is_token;
use super::condition::{KnownFacts, conditions};
use super::experiment::{self, Experiments};
use super::process::{count, positive, time};
use super::rollback_on::figures;
use super::upstream::check_names;
use super::{Context, Key, KeyFiles};
use crate::config::disk::read_at_most;
use crate::config::file::{
    Environment, FileDeveloper, FileRegions, FileRelease, FileWorse, FileWorseRules, HashKeyWord, Require,
};
use crate::config::problem::Findings;
use crate::config::reach::readable;
use crate::config::read::{OneOrMany, Table};
use crate::config::rollback::RollbackPlan;
use crate::config::text::{At, Span};
use crate::config::units::Fraction;
use crate::decide::{
    Developer, FactId, HashKey, Level, Permille, RegionCodes, RegionError, Regions, Release, TokenKey, odd_city,
};
use crate::evidence::{Figure, Rules, RulesError};

/// No key file is larger.
const MOST_KEY_BYTES: usize = 64 << 10;

/// Every release in the order written: the place is its `ReleaseId`.
pub(super) fn releases(
    table: Option<&Table<FileRelease>>,
    experiments: &Experiments,
    facts: &mut KnownFacts<'_>,
    context: &mut Context<'_>,
) -> Vec<(Release, RollbackPlan)> {
    check_names(table, "a release", context.findings);
    let entries = table.map(|table| table.entries.as_slice()).unwrap_or_default();
    entries
        .iter()
        .map(|(name, written)| match written {
            Some(written) => release(name, written, experiments, facts, context),
            None => (Release::closed(name.value.as_str()), RollbackPlan::default()),
        })
        .collect()
}

fn release(
    name: &At<String>,
    written: &FileRelease,
    experiments: &Experiments,
    facts: &mut KnownFacts<'_>,
    context: &mut Context<'_>,
) -> (Release, RollbackPlan) {
    let level = level(name, written, context.findings);
    let closed = Release::closed(name.value.as_str());
    let release = Release {
        salt: written.salt.as_ref().map_or(closed.salt, |salt| salt.value.clone()),
        hash_key: match written.hash_key.as_ref().map(|key| key.value) {
            Some(HashKeyWord::DeviceId) => HashKey::Device,
            Some(HashKeyWord::UserId) | None => HashKey::UserThenDevice,
        },
        level,
        permille: written.permille.as_ref().and_then(|share| Permille::new(share.value.0)).unwrap_or(Permille::ZERO),
        developer: written.developer.as_ref().map(|developer| Box::new(self::developer(developer, context))),
        ab: written.ab.as_ref().and_then(|ab| experiment::ab(ab, experiments, context.findings)),
        regions: written
            .regions
            .as_ref()
            .map(|regions| self::regions(regions, facts.table.region_codes(), context.findings))
            .unwrap_or_default(),
        conditions: conditions(written.conditions.as_ref(), written.expression.as_ref(), facts, context.findings),
        name: closed.name,
    };
    if let Some(worse) = written.rollback.as_ref().and_then(|rollback| rollback.worse.as_ref()) {
        tell_incomparable(worse, &release, context.findings);
    }
    (release, rollback(written, context.findings))
}

fn level(name: &At<String>, written: &FileRelease, findings: &mut Findings) -> Level {
    let level = match (&written.level, &written.permille) {
        (Some(level), _) => level.value.0,
        (None, Some(_)) => return Level::Permille,
        (None, None) if written.flawed => return Level::None,
        (None, None) => {
            findings
                .error(name.at, format!("release `{}` has no `level`", name.value))
                .help("write `level: developer` to begin with");
            return Level::None;
        }
    };
    let place = written.level.as_ref().map_or(name.at, |level| level.at);
    match level {
        Level::Permille if written.permille.is_none() && !written.flawed => {
            findings.error(place, "level `permille` needs the field `permille`").help("write `permille: 50` for 5%");
        }
        Level::Full if written.permille.is_some() => {
            findings.warn(place, "at level `full` the field `permille` means nothing");
        }
        Level::Ab if written.ab.is_none() => {
            findings.warn(place, "level `ab` without the field `ab` admits nobody by group");
        }
        Level::Region if written.regions.is_none() => {
            findings.warn(place, "level `region` without the field `regions` admits nobody by region");
        }
        Level::Developer if written.developer.is_none() => {
            findings.warn(place, "level `developer` without the field `developer` admits nobody");
        }
        _ => {}
    }
    level
}

fn developer(written: &FileDeveloper, context: &mut Context<'_>) -> Developer {
    for (what, name) in [("header", &written.header), ("cookie", &written.cookie)] {
        if let Some(name) = name.as_ref().filter(|name| !is_token(name)) {
            context.findings.error(name.at, format!("`{}` is no name of a {what}", name.value));
        }
    }
    if written.header.is_none() && written.cookie.is_none() && !written.flawed {
        context
            .findings
            .error(written.at, "`developer` names neither a `header` nor a `cookie`")
            .help("write `header: x-gray-override`");
    }
    let dev = context.environment == Environment::Dev;
    let files: Vec<&At<String>> = written.key_file.iter().chain(written.key_files.iter().flatten()).collect();
    if files.is_empty() && !dev && !written.flawed {
        context
            .findings
            .error(written.at, format!("overrides need a `key_file` in environment `{}`", context.environment.as_str()))
            .help("unsigned overrides are accepted in `environment: dev` only");
    }
    let mut keys = Vec::new();
    for file in files {
        keys.extend(key(file, context));
    }
    Developer {
        header: written.header.as_ref().map(|name| name.value.to_ascii_lowercase()),
        cookie: written.cookie.as_ref().map(|name| name.value.clone()),
        service: context.service.clone(),
        keys,
        unsigned: dev,
    }
}

/// A key is the file's bytes less one trailing newline.
fn key(file: &At<String>, context: &mut Context<'_>) -> Option<TokenKey> {
    let path = readable(file, context.texts, context.findings)?;
    let bytes = match read_at_most(&path, MOST_KEY_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && context.key_files == KeyFiles::MayBeAbsent => {
            context.findings.warn(file.at, format!("key file `{}` is not here; `run` needs it", path.display()));
            return None;
        }
        Err(error) => {
            context.findings.error(file.at, format!("cannot read key file `{}`: {error}", path.display()));
            return None;
        }
    };
    if bytes.len() > MOST_KEY_BYTES {
        context
            .findings
            .error(file.at, format!("key file `{}` is larger than {} KiB", path.display(), MOST_KEY_BYTES >> 10));
        return None;
    }
    match TokenKey::from_file_bytes(&bytes) {
        Ok(key) => {
            context.keys.push(Key { path, bytes });
            Some(key)
        }
        Err(error) => {
            let finding = context.findings.error(file.at, format!("key file `{}`: {error}", path.display()));
            finding.help("make one: `head -c 32 /dev/urandom | base64 > override.key`");
            None
        }
    }
}

fn regions(written: &FileRegions, codes: RegionCodes, findings: &mut Findings) -> Regions {
    const NONE: &[&str] = &[];
    let provinces = valid(&written.province_code, |code| Regions::new(codes, &[code], NONE), findings);
    let cities = valid(&written.city_id, |code| Regions::new(codes, NONE, &[code]), findings);
    if codes == RegionCodes::GbT2260 {
        written.city_id.iter().flat_map(|list| &list.0).for_each(|code| warn_of_city(code, code.at, findings));
    }
    let lists = || written.province_code.iter().chain(&written.city_id);
    if lists().all(|list| list.0.is_empty()) && !written.flawed {
        findings.warn(written.at, "`regions` lists no province and no city, so nobody is admitted by region");
    }
    Regions::new(codes, &provinces, &cities).unwrap_or_default()
}

/// A code of the right form that no city has.
pub(super) fn warn_of_city(code: &str, at: Span, findings: &mut Findings) {
    if let Some(why) = odd_city(code) {
        findings
            .warn(at, format!("`{code}` {why}"))
            .help("provinces and cities are checked by the divisions of 2024; districts are not checked");
    }
}

/// The codes that are some. Each is tried by itself, so that every wrong one is told. One that is no code at all can only
/// let in fewer users than meant, so it is left out with a warning; one that means something else is an error.
fn valid(
    written: &Option<OneOrMany<At<String>>>,
    alone: impl Fn(&str) -> Result<Regions, (FactId, RegionError)>,
    findings: &mut Findings,
) -> Vec<String> {
    let mut kept = Vec::new();
    for code in written.iter().flat_map(|list| &list.0) {
        match alone(&code.value) {
            Ok(_) => kept.push(code.value.clone()),
            Err((_, error @ RegionError::Unknown { .. })) => {
                findings.warn(code.at, error.to_string()).help("nobody is let in by it");
            }
            Err((_, error)) => {
                findings.error(code.at, error.to_string());
            }
        }
    }
    kept
}

fn rollback(written: &FileRelease, findings: &mut Findings) -> RollbackPlan {
    let default = RollbackPlan::default();
    let plan = RollbackPlan {
        gray_drain: time(written.gray_drain.as_ref(), default.gray_drain),
        figures: figures(written.rollback_on.as_ref(), findings),
        revision: written.revision.as_ref().map_or(0, |revision| revision.value),
        ..default
    };
    let Some(rollback) = &written.rollback else { return plan };
    let worse = rollback.worse.as_ref().and_then(|worse| match &worse.value {
        FileWorse::Flag(flag) => flag.then(Rules::default),
        FileWorse::Rules(written) => Some(rules(written, findings)),
    });
    let named = rollback.openings.is_some() || rollback.within.is_some();
    let openings = match &rollback.openings {
        Some(written) => count(written, "openings", 1000, findings).map_or(3, |_| written.value),
        None => 3,
    };
    let within = positive(rollback.within.as_ref(), Duration::from_secs(600), "within", findings);
    let all = rollback.require.as_ref().filter(|require| require.value == Require::All);
    if let Some(all) = all.filter(|_| !rollback.flawed && (worse.is_none() || !named)) {
        findings.error(all.at, "`require: all` means openings and `worse` together, and one of them is not given");
    }
    // `worse` alone stands in place of openings; nothing at all means openings.
    let openings = (named || worse.is_none()).then_some((openings, within));
    RollbackPlan { openings, worse, both: all.is_some(), ..plan }
}

/// Only where the bucket alone decides, and for some of both lanes, is there anything to compare.
fn tell_incomparable(worse: &At<FileWorse>, release: &Release, findings: &mut Findings) {
    if matches!(worse.value, FileWorse::Flag(false)) {
        return;
    }
    let why = match (release.level, release.permille.get()) {
        (Level::Permille, permille @ (0 | 1000)) => {
            format!("at {permille} permille one lane has no calls to compare")
        }
        (Level::Permille, _) | (Level::None, _) => return,
        (level, _) => format!("at level `{}` nothing can be compared", level.as_str()),
    };
    findings
        .warn(worse.at, format!("{why}, so `worse` never rolls back"))
        .help("gray is compared with stable at level `permille` from 1 to 999");
}

fn rules(written: &FileWorseRules, findings: &mut Findings) -> Rules {
    let mut rules = Rules::default();
    let mut set = |at: Span, changed: &dyn Fn(Rules) -> Result<Rules, RulesError>| match changed(rules) {
        Ok(changed) => rules = changed,
        Err(error) => drop(findings.error(at, error.to_string())),
    };
    if let Some(At { value: Fraction(alpha), at }) = written.alpha {
        set(at, &|rules| rules.with_alpha(alpha));
    }
    if let Some(At { value: Fraction(effect), at }) = written.min_effect_errors {
        set(at, &|rules| rules.with_minimum_effect(Figure::Errors, effect));
    }
    if let Some(At { value: Fraction(effect), at }) = written.min_effect_slow {
        set(at, &|rules| rules.with_minimum_effect(Figure::Slow, effect));
    }
    if let Some(At { value: calls, at }) = written.min_calls {
        set(at, &|rules| rules.with_min_calls(calls.into()));
    }
    rules
}
