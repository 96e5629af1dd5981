//! Who visits the shop and what they ask for.
//!
//! A visitor is the same in every run and keeps region, tier and tags, so that the lane may not change either.

use std::fmt::Write;

use super::super::configuration::{EXCLUDED_TAG, OPEN_CITY, OPEN_PROVINCE};
use super::super::shop::{CATEGORIES, Product, products};
use super::chance::Chance;

/// How many different visitors there are.
pub(super) const CROWD: usize = 5_000;

const TIERS: [(&str, usize); 4] = [("REGULAR", 70), ("SILVER", 15), ("GOLD", 10), ("VIP", 5)];
const TAGS: [(&str, usize); 5] =
    [("", 50), ("newcomer", 20), ("loyal", 15), ("loyal,hot-deals", 10), (EXCLUDED_TAG, 5)];
/// Province and city by GB/T 2260.
const REGIONS: [((&str, &str), usize); 8] = [
    (("110000", "110100"), 20),     // Beijing
    (("310000", "310100"), 20),     // Shanghai
    (("440000", "440100"), 20),     // Guangzhou
    (("510000", "510100"), 15),     // Chengdu
    (("420000", "420100"), 11),     // Wuhan
    (("810000", "810000"), 4),      // Hong Kong
    ((OPEN_PROVINCE, "330100"), 5), // Hangzhou
    (("440000", OPEN_CITY), 5),     // Shenzhen
];

/// What decides on a visitor's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The bucket alone: these are the people the configured share is about.
    Ramp,
    /// Lives where the release is open to everyone.
    Region,
    /// Shut out by the conditions.
    Excluded,
}

/// One visitor; `number` is the place in the crowd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visitor {
    pub(super) number: usize,
    pub(super) user_id: String,
    tier: &'static str,
    tags: &'static str,
    province: &'static str,
    city: &'static str,
}

impl Visitor {
    pub(super) fn new(number: usize) -> Visitor {
        let mut chance = Chance::new(number as u64);
        let (province, city) = chance.weighted(&REGIONS);
        Visitor {
            number,
            user_id: format!("visitor-{number:04}"),
            tier: chance.weighted(&TIERS),
            tags: chance.weighted(&TAGS),
            province,
            city,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        if self.tags == EXCLUDED_TAG {
            Standing::Excluded
        } else if self.province == OPEN_PROVINCE || self.city == OPEN_CITY {
            Standing::Region
        } else {
            Standing::Ramp
        }
    }
}

/// What a visitor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Detail(&'static Product),
    List { category: &'static str },
    Order { product: &'static Product, quantity: u32 },
    Stock(&'static Product),
}

impl Ask {
    pub(super) fn draw(chance: &mut Chance) -> Ask {
        let product = &products()[chance.skewed(products().len())];
        match chance.below(100) {
            0..65 => Ask::Detail(product),
            65..80 => Ask::List { category: CATEGORIES[chance.below(CATEGORIES.len())].0 },
            // What is sold out cannot be ordered.
            80..92 if product.sku != SOLD_OUT => Ask::Order { product, quantity: 1 + u32::from(chance.below(4) == 0) },
            _ => Ask::Stock(product),
        }
    }

    /// Whether the route of this request carries the release; the others have one lane.
    pub(super) fn is_released(self) -> bool {
        !matches!(self, Ask::Stock(_))
    }
}

const SOLD_OUT: &str = "100204";

/// The request as it goes on the wire.
pub(super) fn request(visitor: &Visitor, ask: Ask, host: &str) -> String {
    let mut body = String::new();
    let (line, category) = match ask {
        Ask::Detail(product) => (format!("GET /api/v1/sku/{}", product.sku), product.category),
        Ask::List { category } => (format!("GET /api/v1/skus?category_id={category}"), category),
        Ask::Stock(product) => (format!("GET /api/v1/stock/{}", product.sku), product.category),
        Ask::Order { product, quantity } => {
            let (amount, sku) = (product.list_price.times(quantity), product.sku);
            body = format!(r#"{{"amount":{amount},"items":[{{"sku_id":"{sku}","quantity":{quantity}}}]}}"#);
            ("POST /api/v1/orders".to_owned(), product.category)
        }
    };
    let mut text = format!("{line} HTTP/1.1\r\nhost: {host}\r\nuser-agent: graylane-demo\r\n");
    let mut field = |name: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    };
    field("x-user-id", &visitor.user_id);
    field("x-user-tier", visitor.tier);
    field("x-province-code", visitor.province);
    field("x-city-id", visitor.city);
    field("x-category-id", category);
    if !visitor.tags.is_empty() {
        field("x-user-tags", visitor.tags);
    }
    if let Ask::Order { product, quantity } = ask {
        field("x-order-amount", &product.list_price.times(quantity).to_string());
        field("content-type", "application/json");
        field("content-length", &body.len().to_string());
    }
    text.push_str("\r\n");
    text.push_str(&body);
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::shop::product;
    use super::*;

    #[test]
    fn a_visitor_is_the_same_each_time_and_the_crowd_is_mixed() {
        let crowd: Vec<_> = (0..CROWD).map(Visitor::new).collect();
        assert_eq!(crowd[17], Visitor::new(17));
        let share = |standing| crowd.iter().filter(|visitor| visitor.standing() == standing).count() as f64 / 5_000.0;
        assert!((share(Standing::Excluded) - 0.05).abs() < 0.01);
        assert!((share(Standing::Region) - 0.095).abs() < 0.015);
        assert!((share(Standing::Ramp) - 0.855).abs() < 0.02);
    }

    #[test]
    fn an_order_names_its_amount_in_header_and_body() {
        let product = product("100401").unwrap();
        let order = request(&Visitor::new(3), Ask::Order { product, quantity: 2 }, "shop:1");
        let (head, body) = order.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, r#"{"amount":336.00,"items":[{"sku_id":"100401","quantity":2}]}"#);
        assert!(head.starts_with("POST /api/v1/orders HTTP/1.1\r\nhost: shop:1\r\n"), "{head}");
        assert!(head.contains("\r\nx-user-id: visitor-0003\r\n"), "{head}");
        assert!(head.contains("\r\nx-order-amount: 336.00\r\n"), "{head}");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    }

    #[test]
    fn nobody_orders_what_is_sold_out() {
        let mut chance = Chance::new(9);
        let mut orders = 0;
        for _ in 0..20_000 {
            if let Ask::Order { product, .. } = Ask::draw(&mut chance) {
                assert_ne!(product.sku, SOLD_OUT);
                orders += 1;
            }
        }
        assert!((2_000..2_600).contains(&orders), "{orders}");
    }
}
