//! The strategies of a route.

use std::collections::HashMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::condition::KnownFacts;
use super::expression;
use super::idle;
use super::route::Compiled;
use super::unfit;
use crate::config::file::{FileRoute, FileStrategies, FileWeights, Number};
use crate::config::problem::Findings;
use crate::config::text::{At, Span};
use crate::decide::{Composite, Dedicated, FactId, LaneId, Lanes, SkuWeight, StrategySpec, Weights};

/// The most strategies of a route; each is scored for every request.
const MOST_STRATEGIES: usize = 32;
/// The most tags of a strategy.
const MOST_TAGS: usize = 64;
/// The greatest weight and threshold, so that no score overflows.
const GREATEST: i64 = 1_000_000;

/// Gives every route that has `strategies` its own.
pub(super) fn apply(routes: &mut [Compiled<'_>], lanes: &Lanes, facts: &mut KnownFacts<'_>, findings: &mut Findings) {
    for route in routes {
        if let Some(written) = &route.written.strategies {
            let lanes = RouteLanes { written: route.written, own: &route.spec.lanes, lanes };
            route.spec.composite = one(written, &lanes, facts, findings).map(Arc::new);
        }
    }
}

/// The lanes that a strategy may send to.
struct RouteLanes<'r> {
    written: &'r FileRoute,
    own: &'r [LaneId],
    lanes: &'r Lanes,
}

impl RouteLanes<'_> {
    fn of(&self, lane: &At<String>, findings: &mut Findings) -> Option<LaneId> {
        let unread = self.written.lanes.as_ref().is_none_or(|lanes| lanes.unread);
        let found = self.lanes.id(&lane.value).filter(|found| self.own.contains(found));
        match found {
            Some(LaneId::GRAY) => {
                let finding =
                    findings.error(lane.at, "no strategy sends to `gray`: who sees it is the release's to say");
                finding.help("name the pool's lane otherwise, as `gold` or `hot`");
                None
            }
            None if !unread => {
                let known = self.own.iter().map(|lane| self.lanes.name(*lane));
                let name = self.written.name.as_ref().map_or("", |name| &name.value.0);
                let finding = findings.error(lane.at, format!("route `{name}` has no lane `{}`", lane.value));
                finding.suggest_or_list(lane, known);
                None
            }
            found => found,
        }
    }
}

fn one(
    written: &FileStrategies,
    lanes: &RouteLanes<'_>,
    facts: &mut KnownFacts<'_>,
    findings: &mut Findings,
) -> Option<Composite> {
    let dedicated = whitelist(written, lanes, facts, findings);
    let strategies = strategies(written, lanes, findings);
    let weights = weights(written.weights.as_ref(), findings);
    let sku_weight = sku_weight(written, facts, findings);
    idle::warn(written, &weights, facts, findings);
    if dedicated.is_empty() && strategies.is_empty() && !written.flawed {
        findings.error(written.at, "`strategies` with neither a `whitelist` nor a `list`");
        return None;
    }
    let greatest = weights.greatest().unwrap_or(Decimal::MAX);
    for strategy in written.list.iter().flatten() {
        if let Some(threshold) = strategy.threshold.as_ref().filter(|threshold| threshold.value.0 >= greatest) {
            let message = format!("no score is over {}: {greatest} is the greatest", threshold.value.0);
            findings.warn(threshold.at, message);
        }
    }
    facts.used.extend((!dedicated.is_empty()).then_some((FactId::SKU_ID, written.at)));
    Some(Composite::new(dedicated, weights, sku_weight?, strategies))
}

fn whitelist(
    written: &FileStrategies,
    lanes: &RouteLanes<'_>,
    facts: &KnownFacts<'_>,
    findings: &mut Findings,
) -> Vec<Dedicated> {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    let mut all = Vec::new();
    for list in written.whitelist.iter().flatten() {
        let skus: &[At<String>] = list.skus.as_ref().map(|skus| skus.0.as_slice()).unwrap_or_default();
        if let (Some(at), true) = (list.lane.as_ref().map(|lane| lane.at), list.skus.is_some() && skus.is_empty()) {
            findings.warn(at, "this whitelist has no SKU, so nothing goes to its lane by it");
        }
        for sku in skus {
            unfit::sku(&sku.value, sku.at, facts, findings);
            if let Some(first) = seen.insert(&sku.value, sku.at) {
                findings.error(sku.at, format!("`{}` stands on the whitelist twice", sku.value)).also(first, "first");
            }
        }
        let lane = list.lane.as_ref().and_then(|lane| lanes.of(lane, findings));
        let qos = list.qos.as_ref().map(|qos| qos.value.class());
        let skus = skus.iter().map(|sku| sku.value.clone()).collect();
        all.extend(lane.map(|lane| Dedicated { skus, lane, qos }));
    }
    all
}

fn strategies(written: &FileStrategies, lanes: &RouteLanes<'_>, findings: &mut Findings) -> Vec<StrategySpec> {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    let mut all = Vec::new();
    for strategy in written.list.iter().flatten() {
        if let Some(name) = &strategy.name
            && let Some(first) = seen.insert(&name.value, name.at)
        {
            findings.error(name.at, format!("strategy `{}` is defined twice", name.value)).also(first, "first");
        }
        let mut tags: Vec<Box<str>> = Vec::new();
        for tag in strategy.tags.iter().flat_map(|tags| &tags.0) {
            let text = tag.value.trim();
            if text.is_empty() || text.contains(',') {
                findings.error(tag.at, format!("`{}` is no tag: write one for each, without commas", tag.value));
            } else if tags.len() == MOST_TAGS {
                findings.error(tag.at, format!("more than {MOST_TAGS} tags"));
                break;
            } else if !tags.iter().any(|known| **known == *text) {
                tags.push(text.into());
            }
        }
        let lane = strategy.lane.as_ref().and_then(|lane| lanes.of(lane, findings));
        let threshold = strategy.threshold.as_ref().map(|threshold| bounded(threshold, "threshold", findings));
        let (Some(name), Some(lane), Some(threshold)) = (&strategy.name, lane, threshold) else { continue };
        let qos = strategy.qos.as_ref().map(|qos| qos.value.class());
        all.push(StrategySpec { name: name.value.clone(), lane, qos, tags, threshold });
    }
    if all.len() > MOST_STRATEGIES {
        findings.error(written.at, format!("more than {MOST_STRATEGIES} strategies"));
    }
    all
}

fn weights(written: Option<&FileWeights>, findings: &mut Findings) -> Weights {
    let mut weights = Weights::default();
    let Some(written) = written else { return weights };
    for (field, name, weight) in [
        (&written.sku, "sku", &mut weights.sku),
        (&written.tags, "tags", &mut weights.tags),
        (&written.amount, "amount", &mut weights.amount),
    ] {
        if let Some(number) = field {
            *weight = bounded(number, name, findings);
        }
    }
    weights
}

fn sku_weight(written: &FileStrategies, facts: &mut KnownFacts<'_>, findings: &mut Findings) -> Option<SkuWeight> {
    if let Some(source) = &written.sku_weight {
        if let Some(full) = written.full_stock.as_ref().or(written.full_conversion.as_ref()) {
            findings.error(full.at, "the formula is not used beside `sku_weight`").also(source.at, "`sku_weight`");
        }
        return expression::number(source, facts, findings).map(SkuWeight::Expression);
    }
    let mut full = |field: &Option<At<Number>>, name: &str, default: Decimal| match field {
        Some(number) if number.value.0 <= Decimal::ZERO => {
            findings.error(number.at, format!("`{name}` is above 0"));
            default
        }
        Some(number) => bounded(number, name, findings),
        None => default,
    };
    Some(SkuWeight::Formula {
        full_stock: full(&written.full_stock, "full_stock", Decimal::ONE_THOUSAND),
        full_conversion: full(&written.full_conversion, "full_conversion", Decimal::new(1, 1)),
        conversion: facts.table.id("conversion_rate"),
    })
}

fn bounded(written: &At<Number>, name: &str, findings: &mut Findings) -> Decimal {
    let number = written.value.0;
    if number < Decimal::ZERO || number > Decimal::from(GREATEST) {
        findings.error(written.at, format!("`{name}` is from 0 to {GREATEST}, not {number}"));
    }
    number
}
