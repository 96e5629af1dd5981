//! The functions that expressions may call, with their tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::super::predicate::tags;

/// The tables behind the functions.
#[derive(Debug, Clone)]
pub struct Functions {
    /// `isInStock(stock)`: from this much on.
    pub in_stock: Decimal,
    /// `discountByTier(tier)`: a share from 0 to 1; an unlisted tier has 0.
    pub discounts: Arc<BTreeMap<String, Decimal>>,
    /// `tagScore(tags)`: the sum over the tags; an unlisted tag has 0.
    pub tag_scores: Arc<BTreeMap<String, Decimal>>,
    /// `applyPromo(price, promotion)`.
    pub promotions: Arc<BTreeMap<String, Promotion>>,
}

/// What a promotion takes off a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promotion {
    /// A share of the price, from 0 to 1.
    pub share: Decimal,
    /// An amount, after the share.
    pub off: Decimal,
    /// The least price that it counts for.
    pub over: Decimal,
}

impl Default for Functions {
    fn default() -> Functions {
        Functions {
            in_stock: Decimal::ONE,
            discounts: Arc::default(),
            tag_scores: Arc::default(),
            promotions: Arc::default(),
        }
    }
}

impl Functions {
    /// The sum of the scores of the tags, as a header writes them; one that stands twice counts once.
    pub(super) fn tag_score(scores: &BTreeMap<String, Decimal>, written: &str) -> Option<Decimal> {
        // Running through the table, not the request, bounds the work by the configuration.
        scores.iter().try_fold(Decimal::ZERO, |sum, (tag, score)| {
            if tags(written).any(|there| there == tag) { sum.checked_add(*score) } else { Some(sum) }
        })
    }
}

impl Promotion {
    /// The price after the promotion: never below 0.
    pub(super) fn apply(&self, price: Decimal) -> Option<Decimal> {
        if price < self.over {
            return Some(price);
        }
        let left = price.checked_mul(Decimal::ONE.checked_sub(self.share)?)?.checked_sub(self.off)?;
        Some(left.max(Decimal::ZERO))
    }
}
