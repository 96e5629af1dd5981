//! Conditions on values that no request has, as they do not fit their fact: what does not fit counts as absent.

use super::condition::KnownFacts;
use super::release::warn_of_city;
use crate::config::problem::Findings;
use crate::config::text::Span;
use crate::decide::{FactId, FactKind, Operator, RegionCodes, Test, is_sku_code};

/// Warns of each of the `values` of a condition that compares with whole ones.
pub(super) fn warn(
    test: &Test,
    values: impl Iterator<Item = (String, Span)>,
    facts: &KnownFacts<'_>,
    findings: &mut Findings,
) {
    if !matches!(test.operator(), Operator::Eq | Operator::Ne | Operator::In | Operator::NotIn) {
        return;
    }
    let fact = test.fact();
    for (value, at) in values {
        match fact {
            _ if value.is_empty() && facts.table.kind(fact) == FactKind::Code => {
                findings
                    .warn(at, format!("no request has an empty `{}`: it counts as absent", facts.table.name(fact)))
                    .help("whether there is a value is asked by EXISTS, and by `not` around it");
            }
            FactId::CITY_ID if facts.table.region_codes() == RegionCodes::GbT2260 => {
                warn_of_city(&value, at, findings);
            }
            FactId::CATEGORY_ID => category(&value, at, facts, findings),
            FactId::SKU_ID => sku(&value, at, facts, findings),
            _ => {}
        }
    }
}

fn category(value: &str, at: Span, facts: &KnownFacts<'_>, findings: &mut Findings) {
    let known = &facts.sources.categories;
    if !known.is_empty() && !known.iter().any(|category| category == value) {
        findings
            .warn(at, format!("`{value}` is none of `categories`, so no request has it"))
            .suggest(value, known.iter().map(String::as_str));
    }
}

/// Warns of a SKU that no request has.
pub(super) fn sku(value: &str, at: Span, facts: &KnownFacts<'_>, findings: &mut Findings) {
    match &facts.sources.sku_format {
        Some(format) if !format.is_match(value) => {
            findings.warn(at, format!("`{value}` does not match `sku_format`, so no request has it"));
        }
        None if !is_sku_code(value) => {
            findings
                .warn(at, format!("`{value}` is no SKU code, so no request has it"))
                .help("a code has 1 to 64 letters, digits, `.`, `_` and `-`; another form is set by `sku_format`");
        }
        _ => {}
    }
}
