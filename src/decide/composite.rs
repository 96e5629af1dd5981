//! Composite routing: which of more than two lanes takes a request that no release takes.
//!
//! A SKU on a list goes to its dedicated lane. Else every strategy is scored,
//! `weights.sku * sku_weight + weights.tags * tag_match + weights.amount * amount_bonus`, and the best one over its
//! threshold gives the lane and the class of service. All numbers are decimals, so a score is what a person computes.

use rust_decimal::Decimal;
use smallvec::SmallVec;

use super::FixedMap;
use super::expression::NumberExpression;
use super::fact::{FactId, Facts};
use super::lane::{LaneId, Lanes};
use super::number::number;
use super::predicate::tags;
use super::trace::{CompositeTrace, DedicatedTrace, StrategyTrace};
use super::word::{Reason, words};

words! {
    /// The class of service that the upstream is told, in `x-gray-qos`.
    Qos {
        /// The best.
        Gold = "gold",
        /// The middle.
        Silver = "silver",
        /// The least.
        Bronze = "bronze",
    }
}

/// So many of a user's tags count; what comes after them is not looked at.
const MOST_TAGS: usize = 64;

/// What each term of the score counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// Of the SKU's weight, which is 1 at most.
    pub sku: Decimal,
    /// Of the match of tags, which is 1 at most.
    pub tags: Decimal,
    /// Of the amount's bonus, which is 1.8 at most.
    pub amount: Decimal,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights { sku: Decimal::new(40, 2), tags: Decimal::new(35, 2), amount: Decimal::new(25, 2) }
    }
}

impl Weights {
    /// The greatest sum that a score can have.
    pub fn greatest(&self) -> Option<Decimal> {
        let amount = self.amount.checked_mul(Decimal::new(18, 1))?;
        self.sku.checked_add(self.tags)?.checked_add(amount)
    }
}

/// How the weight of a SKU comes about, 0 to 1.
#[derive(Debug, Clone)]
pub enum SkuWeight {
    /// Half by stock, half by conversion: `0.5 * min(stock_level / full_stock, 1) + 0.5 * min(conversion_rate /
    /// full_conversion, 1)`; what is absent or negative gives 0.
    Formula {
        /// The stock from which on more does not count; above 0.
        full_stock: Decimal,
        /// The conversion rate from which on more does not count; above 0.
        full_conversion: Decimal,
        /// The fact `conversion_rate`, where the configuration declares it.
        conversion: Option<FactId>,
    },
    /// An expression of the user's own, brought to 0 to 1; 0 where it cannot be computed.
    Expression(NumberExpression),
}

/// SKUs with a lane of their own.
#[derive(Debug, Clone)]
pub struct Dedicated {
    /// The codes.
    pub skus: Vec<String>,
    /// Their lane.
    pub lane: LaneId,
    /// Their class of service.
    pub qos: Option<Qos>,
}

/// One strategy.
#[derive(Debug, Clone)]
pub struct StrategySpec {
    /// Its name, for explanations.
    pub name: String,
    /// The lane it sends to.
    pub lane: LaneId,
    /// The class of service it gives.
    pub qos: Option<Qos>,
    /// The tags that a user's are compared with.
    pub tags: Vec<Box<str>>,
    /// What the score has to be over.
    pub threshold: Decimal,
}

/// The strategies of a route.
#[derive(Debug, Clone)]
pub struct Composite {
    skus: FixedMap<Box<str>, usize>,
    dedicated: Vec<Dedicated>,
    weights: Weights,
    sku_weight: SkuWeight,
    strategies: Vec<StrategySpec>,
}

/// What the strategies came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) lane: LaneId,
    pub(super) qos: Option<Qos>,
    pub(super) reason: Reason,
    /// The place of the strategy, or of the whitelist.
    place: usize,
}

/// What all strategies have in common for one request.
struct Common<'f> {
    sku_weight: Decimal,
    bonus: Decimal,
    tags: SmallVec<[&'f str; 16]>,
}

/// The terms of one strategy.
struct Score {
    sku: Decimal,
    matched: Decimal,
    tags: Decimal,
    amount: Decimal,
    sum: Decimal,
}

impl Composite {
    /// Strategies with their whitelists; a SKU on two lists belongs to the first.
    pub fn new(
        dedicated: Vec<Dedicated>,
        weights: Weights,
        sku_weight: SkuWeight,
        strategies: Vec<StrategySpec>,
    ) -> Composite {
        let mut skus: FixedMap<Box<str>, usize> = FixedMap::default();
        for (place, list) in dedicated.iter().enumerate() {
            for sku in &list.skus {
                skus.entry(sku.as_str().into()).or_insert(place);
            }
        }
        Composite { skus, dedicated, weights, sku_weight, strategies }
    }

    /// The class of service of a lane that somebody else decided for.
    pub(super) fn qos_of(&self, lane: LaneId) -> Option<Qos> {
        let dedicated = self.dedicated.iter().map(|list| (list.lane, list.qos));
        let all = dedicated.chain(self.strategies.iter().map(|strategy| (strategy.lane, strategy.qos)));
        all.filter(|(there, _)| *there == lane).find_map(|(_, qos)| qos)
    }

    /// Whether a strategy or whitelist sends to the lane.
    pub(super) fn sends_to(&self, lane: LaneId) -> bool {
        self.dedicated.iter().any(|list| list.lane == lane) || self.strategies.iter().any(|one| one.lane == lane)
    }

    pub(super) fn choose<F: Facts>(&self, facts: &F) -> Option<Choice> {
        if let Some(place) = facts.get(FactId::SKU_ID).and_then(|sku| self.skus.get(&*sku).copied()) {
            let Dedicated { lane, qos, .. } = self.dedicated[place];
            return Some(Choice { lane, qos, reason: Reason::Whitelist, place });
        }
        if self.strategies.is_empty() {
            return None;
        }
        let written = facts.get(FactId::TAGS);
        let common = self.common(facts, written.as_deref().unwrap_or_default());
        let mut best: Option<(Decimal, usize)> = None;
        for (place, strategy) in self.strategies.iter().enumerate() {
            let score = self.score(strategy, &common).sum;
            // Of equal ones the first written is the best.
            if score > strategy.threshold && best.is_none_or(|(known, _)| score > known) {
                best = Some((score, place));
            }
        }
        best.map(|(_, place)| {
            let StrategySpec { lane, qos, .. } = self.strategies[place];
            Choice { lane, qos, reason: Reason::Score, place }
        })
    }

    pub(super) fn for_each_fact(&self, each: &mut dyn FnMut(FactId)) {
        [FactId::SKU_ID, FactId::TAGS, FactId::ORDER_AMOUNT].into_iter().for_each(&mut *each);
        match &self.sku_weight {
            SkuWeight::Formula { conversion, .. } => {
                each(FactId::STOCK_LEVEL);
                conversion.iter().for_each(|fact| each(*fact));
            }
            SkuWeight::Expression(expression) => expression.facts().iter().for_each(|fact| each(*fact)),
        }
    }

    fn common<'f, F: Facts>(&self, facts: &F, written: &'f str) -> Common<'f> {
        let mut mine: SmallVec<[&str; 16]> = SmallVec::new();
        for tag in tags(written) {
            if mine.len() == MOST_TAGS {
                break;
            }
            if !mine.contains(&tag) {
                mine.push(tag);
            }
        }
        Common { sku_weight: self.sku_weight.of(facts), bonus: bonus(amount(facts)), tags: mine }
    }

    fn score(&self, strategy: &StrategySpec, common: &Common<'_>) -> Score {
        let matched = jaccard(&common.tags, &strategy.tags);
        let sku = self.weights.sku * common.sku_weight;
        let tags = self.weights.tags * matched;
        let amount = self.weights.amount * common.bonus;
        Score { sku, matched, tags, amount, sum: sku + tags + amount }
    }

    pub(super) fn trace<F: Facts>(&self, lanes: &Lanes, facts: &F, skipped: Option<String>) -> CompositeTrace {
        let choice = if skipped.is_none() { self.choose(facts) } else { None };
        let written = facts.get(FactId::TAGS);
        let common = self.common(facts, written.as_deref().unwrap_or_default());
        let greatest = self.weights.greatest().unwrap_or(Decimal::ONE);
        let by_score = |place| choice.is_some_and(|choice| choice.reason == Reason::Score && choice.place == place);
        let strategies = self.strategies.iter().enumerate().map(|(place, strategy)| {
            let score = self.score(strategy, &common);
            let share = score.sum.checked_div(greatest).unwrap_or(Decimal::ZERO);
            StrategyTrace {
                name: strategy.name.clone(),
                lane: lanes.name(strategy.lane).to_owned(),
                qos: strategy.qos,
                sku_term: shown(score.sku),
                tag_match: shown(score.matched),
                tag_term: shown(score.tags),
                amount_term: shown(score.amount),
                score: shown(score.sum),
                share: shown(share),
                threshold: shown(strategy.threshold),
                over: score.sum > strategy.threshold,
                chosen: by_score(place),
            }
        });
        let listed = choice.filter(|choice| choice.reason == Reason::Whitelist).map(|choice| DedicatedTrace {
            sku: facts.get(FactId::SKU_ID).map(std::borrow::Cow::into_owned).unwrap_or_default(),
            lane: lanes.name(choice.lane).to_owned(),
            qos: choice.qos,
        });
        CompositeTrace {
            skipped,
            whitelist: listed,
            sku_weight: shown(common.sku_weight),
            amount_bonus: shown(common.bonus),
            greatest: shown(greatest),
            strategies: strategies.collect(),
        }
    }
}

impl SkuWeight {
    fn of<F: Facts>(&self, facts: &F) -> Decimal {
        match self {
            SkuWeight::Formula { full_stock, full_conversion, conversion } => {
                let half = |fact: Option<FactId>, full: &Decimal| {
                    let value = fact.and_then(|fact| read(fact, facts)).unwrap_or(Decimal::ZERO);
                    // A value that is full is not divided, so that a huge one cannot overflow.
                    if value >= *full { Decimal::ONE } else { within(value.checked_div(*full)) }
                };
                let both = half(Some(FactId::STOCK_LEVEL), full_stock) + half(*conversion, full_conversion);
                both * Decimal::new(5, 1)
            }
            SkuWeight::Expression(expression) => within(expression.value(facts)),
        }
    }
}

fn within(value: Option<Decimal>) -> Decimal {
    value.unwrap_or(Decimal::ZERO).clamp(Decimal::ZERO, Decimal::ONE)
}

fn read<F: Facts>(fact: FactId, facts: &F) -> Option<Decimal> {
    facts.get(fact).and_then(|text| number(text.trim()))
}

fn amount<F: Facts>(facts: &F) -> Decimal {
    read(FactId::ORDER_AMOUNT, facts).unwrap_or(Decimal::ZERO)
}

/// 1.0 in [0, 100), 1.3 in [100, 500), 1.8 from 500 on; an amount below 0 is none.
fn bonus(amount: Decimal) -> Decimal {
    if amount < Decimal::ZERO {
        Decimal::ZERO
    } else if amount < Decimal::ONE_HUNDRED {
        Decimal::ONE
    } else if amount < Decimal::from(500) {
        Decimal::new(13, 1)
    } else {
        Decimal::new(18, 1)
    }
}

/// The share of the tags of both that both have; 0 where neither has any.
fn jaccard(mine: &[&str], theirs: &[Box<str>]) -> Decimal {
    let both = theirs.iter().filter(|tag| mine.contains(&&***tag)).count();
    let either = mine.len() + theirs.len() - both;
    Decimal::from(both).checked_div(Decimal::from(either)).unwrap_or(Decimal::ZERO)
}

/// A number for people and machines: exact where it has at most six places.
fn shown(value: Decimal) -> String {
    value.round_dp(6).normalize().to_string()
}
