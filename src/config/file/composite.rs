//! Strategies of a route, the tables of the functions, and numbers that are exact.

use std::borrow::Cow;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::config::node::Node;
use crate::config::problem::Findings;
use crate::config::read::{OneOrMany, Read, Table, mirror, scalar, words};
use crate::config::text::At;
use crate::decide;

mirror! {
    /// How the requests of a route that no release takes are spread over further lanes.
    #[schemars(rename = "Strategies")]
    struct FileStrategies("`strategies`") {
        /// SKUs with a lane of their own, whatever they score.
        whitelist: Vec<FileDedicated>,
        /// What each term of a score counts for.
        weights: FileWeights,
        /// The weight of the SKU as an expression, brought to 0 to 1; instead of the formula of stock and conversion.
        sku_weight: At<String>,
        /// The stock from which on more does not count, in the formula.
        #[schemars(extend("default" = 1000))]
        full_stock: At<Number>,
        /// The conversion rate from which on more does not count, in the formula.
        #[schemars(extend("default" = 0.1))]
        full_conversion: At<Number>,
        /// The strategies; the one with the best score over its threshold decides.
        list: Vec<FileStrategy>,
    }
}

mirror! {
    /// SKUs with a lane of their own.
    #[schemars(rename = "Dedicated")]
    struct FileDedicated("a whitelist") {
        /// The SKUs.
        [required] skus: OneOrMany<At<String>>,
        /// Their lane, one of the route's.
        [required] lane: At<String>,
        /// The class of service, told to the upstream in `x-gray-qos`.
        qos: At<QosWord>,
    }
}

mirror! {
    /// What each term of a score counts for.
    #[schemars(rename = "Weights")]
    struct FileWeights("`weights`") {
        /// Of the SKU's weight.
        #[schemars(extend("default" = 0.4))]
        sku: At<Number>,
        /// Of the match of tags.
        #[schemars(extend("default" = 0.35))]
        tags: At<Number>,
        /// Of the amount's bonus.
        #[schemars(extend("default" = 0.25))]
        amount: At<Number>,
    }
}

mirror! {
    /// A strategy.
    #[schemars(rename = "Strategy")]
    struct FileStrategy("a strategy") {
        /// Its name, in explanations.
        [required] name: At<String>,
        /// The lane it sends to, one of the route's.
        [required] lane: At<String>,
        /// The tags that a user's are compared with.
        tags: OneOrMany<At<String>>,
        /// What the score has to be over.
        [required] threshold: At<Number>,
        /// The class of service, told to the upstream in `x-gray-qos`.
        qos: At<QosWord>,
    }
}

mirror! {
    /// The tables of the functions that expressions call.
    #[schemars(rename = "Functions")]
    struct FileFunctions("`functions`") {
        /// `isInStock(stock)`: from this much on.
        #[schemars(extend("default" = 1))]
        in_stock: At<Number>,
        /// `discountByTier(tier)`: a share for each tier; any other tier has none.
        #[schemars(extend("examples" = [{ "VIP": 0.2 }]))]
        discount_by_tier: Table<At<Number>>,
        /// `tagScore(tags)`: a number for each tag, added up.
        #[schemars(extend("examples" = [{ "vip": 0.5 }]))]
        tag_score: Table<At<Number>>,
        /// `applyPromo(price, "name")`: promotions by name.
        promotions: Table<FilePromotion>,
    }
}

mirror! {
    /// What a promotion takes off a price: a share, then an amount.
    #[schemars(rename = "Promotion")]
    struct FilePromotion("a promotion") {
        /// A share of the price, 0 to 1.
        share: At<Number>,
        /// An amount.
        off: At<Number>,
        /// The least price it counts for.
        over: At<Number>,
    }
}

words! {
    /// A class of service.
    pub(in crate::config) enum QosWord("a class of service") {
        /// The best.
        Gold = "gold",
        /// The middle.
        Silver = "silver",
        /// The least.
        Bronze = "bronze",
    }
}

impl QosWord {
    /// The class as decisions carry it.
    pub(in crate::config) fn class(self) -> decide::Qos {
        match self {
            QosWord::Gold => decide::Qos::Gold,
            QosWord::Silver => decide::Qos::Silver,
            QosWord::Bronze => decide::Qos::Bronze,
        }
    }
}

/// A decimal number, kept exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Number(pub(in crate::config) Decimal);

impl Read for Number {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "a number", findings)?.text;
        let number = decide::number(text);
        if number.is_none() {
            findings.error(node.at, format!("`{text}` is no number")).help("write it in plain digits, as 0.25");
        }
        number.map(Number)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "pattern": "^[-+]?[0-9]+([.][0-9]+)?$" })
    }
}
