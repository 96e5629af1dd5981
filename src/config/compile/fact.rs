//! Facts and their sources.

use regex::Regex;

use super::address::is_token;
use super::fact_source;
use crate::config::file::{FileConfig, FileSource, RegionCodes};
use crate::config::lookup::LookupPlan;
use crate::config::problem::Findings;
use crate::config::read::Table;
use crate::config::settings::{FactSource, FactSources};
use crate::config::text::At;
use crate::decide::{self, FactTable};

/// The table of facts with everything that was declared, and the sources of each.
pub(super) fn facts(config: &FileConfig, findings: &mut Findings) -> (FactTable, FactSources, Vec<LookupPlan>) {
    let mut table = FactTable::new();
    if config.region_codes.as_ref().is_some_and(|codes| codes.value == RegionCodes::Custom) {
        table.set_region_codes(decide::RegionCodes::Custom);
    }
    let mut sources = FactSources {
        lists: Vec::new(),
        sku_format: config.sku_format.as_ref().and_then(|pattern| whole_value(pattern, findings)),
        categories: config.categories.iter().flatten().map(|category| category.value.clone()).collect(),
        amount_unit: config.order_amount_unit.as_ref().map(|unit| unit.value),
        json_body_max: json_body_max(config, findings),
    };
    let stores: Vec<&str> = config.lookups.iter().flat_map(Table::names).collect();
    for (name, written) in config.facts.iter().flat_map(|table| &table.entries) {
        let id = match table.declare(name) {
            Ok(id) => id,
            Err(error) => {
                findings.error(name.at, error.to_string());
                continue;
            }
        };
        let Some(written) = written else { continue };
        let list: Vec<FactSource> = written.0.iter().filter_map(|one| source(one, &stores, findings)).collect();
        if written.0.is_empty() {
            findings
                .error(name.at, format!("fact `{}` has no source", name.value))
                .help("write `[{ header: x-user-id }]`");
        }
        sources.lists.push((id, list));
    }
    let lookups = fact_source::lookups(config, &mut table, &sources, findings);
    fact_source::warn_of_missing(config, findings);
    (table, sources, lookups)
}

fn json_body_max(config: &FileConfig, findings: &mut Findings) -> usize {
    const DEFAULT: usize = 64 << 10;
    const MOST: u64 = 1 << 20;
    let Some(max) = config.json_body.as_ref().and_then(|body| body.max.as_ref()) else { return DEFAULT };
    if !(1..=MOST).contains(&max.value.0) {
        findings.error(max.at, "`json_body.max` is from 1B to 1MiB: the whole of it is held in memory");
    }
    usize::try_from(max.value.0).unwrap_or(DEFAULT)
}

/// A regular expression that has to match the whole of a value.
fn whole_value(pattern: &At<String>, findings: &mut Findings) -> Option<Regex> {
    // Compiled by itself first: `a)|(b` would be valid only inside the group.
    regex(pattern, &pattern.value, findings)?;
    regex(pattern, &format!("^(?:{})$", pattern.value), findings)
}

/// A regular expression, compiled with a bounded size.
pub(super) fn regex(written: &At<String>, pattern: &str, findings: &mut Findings) -> Option<Regex> {
    const MOST_BYTES: usize = 1 << 20;
    match regex::RegexBuilder::new(pattern).size_limit(MOST_BYTES).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            // The last line says what is wrong; those before draw the pattern, which the excerpt does as well.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            findings.error(written.at, format!("`{}` is no regular expression: {reason}", written.value));
            None
        }
    }
}

fn source(written: &FileSource, stores: &[&str], findings: &mut Findings) -> Option<FactSource> {
    let all = written.written();
    let [(word, value)] = all.as_slice() else {
        if written.flawed {
            return None;
        }
        let help = "write `{ header: x-user-id }`; further sources follow as further items";
        findings.error(written.at, format!("a source names one place, this one names {}", all.len())).help(help);
        return None;
    };
    let text = value.value.clone();
    if let (Some(field), false) = (&written.field, *word == "lookup") {
        findings.error(field.at, "`field` belongs to a `lookup` source");
    }
    let source = match *word {
        "lookup" => return fact_source::looked_up(written, value, stores, findings),
        "header" => FactSource::Header(text.to_ascii_lowercase()),
        "cookie" => FactSource::Cookie(text),
        "query" => FactSource::Query(text),
        "path" => FactSource::Path(text),
        "json" => FactSource::Json(text),
        "geoip" => FactSource::Geoip(text),
        "jwt" => FactSource::Jwt(text),
        _ => FactSource::Baggage(text),
    };
    let wrong = match &source {
        FactSource::Header(name) | FactSource::Cookie(name) | FactSource::Baggage(name) if !is_token(name) => {
            format!("`{}` is no name of a {word}", value.value)
        }
        FactSource::Json(pointer) if !is_pointer(pointer) => {
            format!("`{pointer}` is no JSON pointer: it starts with `/`, as `/items/0/sku_id`")
        }
        FactSource::Geoip(what) if !matches!(what.as_str(), "province" | "city") => {
            findings
                .error(value.at, format!("`geoip` gives `province` or `city`, not `{what}`"))
                .suggest(what, ["province", "city"]);
            return None;
        }
        FactSource::Jwt(claim) if claim.starts_with('/') && !is_pointer(claim) => {
            format!("`{claim}` is no JSON pointer: `~` stands as `~0` or `~1` only")
        }
        FactSource::Query(name) | FactSource::Path(name) | FactSource::Jwt(name) if name.is_empty() => {
            format!("`{word}` names nothing")
        }
        _ => return Some(source),
    };
    findings.error(value.at, wrong);
    None
}

/// RFC 6901: `~` only as `~0` or `~1`.
fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && text.split('~').skip(1).all(|after| after.starts_with(['0', '1']))
}
