//! Warnings of strategies that do nothing: terms of a score that are always 0, and strategies that are never chosen.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::condition::KnownFacts;
use crate::config::file::{FileStrategies, FileStrategy};
use crate::config::problem::Findings;
use crate::config::text::Span;
use crate::decide::{FactId, Weights};

/// Warns of what the strategies of a route can do without.
pub(super) fn warn(written: &FileStrategies, weights: &Weights, facts: &KnownFacts<'_>, findings: &mut Findings) {
    let Some(list) = written.list.as_ref().filter(|list| !list.is_empty()) else { return };
    terms(written, list, weights, facts, findings);
    never_chosen(list, findings);
}

/// Facts of a term that nothing gives.
fn terms(
    written: &FileStrategies,
    list: &[FileStrategy],
    weights: &Weights,
    facts: &KnownFacts<'_>,
    findings: &mut Findings,
) {
    let given = |fact: Option<FactId>| facts.sources.lists.iter().any(|(there, _)| Some(*there) == fact);
    let mut tell = |at: Span, name: &str, header: &str, counts: &str| {
        findings
            .warn(at, format!("fact `{name}` has no source, so {counts}"))
            .help(format!("write `facts: {{ {name}: [{{ header: {header} }}] }}`"));
    };
    let tag = list.iter().flat_map(|strategy| &strategy.tags).flat_map(|tags| &tags.0).next();
    if let (Some(tag), false) = (tag, weights.tags.is_zero() || given(Some(FactId::TAGS))) {
        tell(tag.at, "tags", "x-user-tags", "no strategy's tags are matched");
    }
    let at = written.full_stock.as_ref().or(written.full_conversion.as_ref()).map_or(written.at, |full| full.at);
    if written.sku_weight.is_none() && !weights.sku.is_zero() {
        for (name, fact, header) in [
            ("stock_level", Some(FactId::STOCK_LEVEL), "x-stock-level"),
            ("conversion_rate", facts.table.id("conversion_rate"), "x-conversion-rate"),
        ] {
            if !given(fact) {
                tell(at, name, header, "it counts as 0 in the weight of every SKU");
            }
        }
    }
    if !weights.amount.is_zero() && !given(Some(FactId::ORDER_AMOUNT)) {
        tell(written.at, "order_amount", "x-order-amount", "every order counts as one of the least amounts");
    }
}

/// Strategies of the same tags have the same score, and of equal ones the first is taken: so one that asks for no less than an
/// earlier one of its tags is never chosen.
fn never_chosen(list: &[FileStrategy], findings: &mut Findings) {
    let known = |strategy: &FileStrategy| -> Option<(BTreeSet<String>, Decimal)> {
        let tags = strategy.tags.iter().flat_map(|tags| &tags.0).map(|tag| tag.value.trim().to_owned());
        Some((tags.collect(), strategy.threshold.as_ref()?.value.0))
    };
    let known: Vec<_> = list.iter().map(known).collect();
    for (place, strategy) in list.iter().enumerate() {
        let (Some(name), Some((tags, threshold))) = (&strategy.name, &known[place]) else { continue };
        let takes_all = |earlier: &Option<(BTreeSet<String>, Decimal)>| {
            earlier.as_ref().is_some_and(|(theirs, least)| theirs == tags && least <= threshold)
        };
        let by = known[..place].iter().position(takes_all).and_then(|by| list[by].name.as_ref());
        if let Some(by) = by {
            let message = format!(
                "strategy `{}` is never chosen: `{}` has the same tags and takes all of it",
                name.value, by.value
            );
            findings.warn(name.at, message).also(by.at, "that strategy");
        }
    }
}
