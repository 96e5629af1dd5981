//! Money in whole fen, and the two price engines.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Edition;

/// An amount of money in fen (1 yuan is 100 fen): whole numbers, because money is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Fen(u64);

impl Fen {
    pub(in super::super) const fn new(fen: u64) -> Fen {
        Fen(fen)
    }

    /// This amount `quantity` times.
    pub(in super::super) fn times(self, quantity: u32) -> Fen {
        Fen(self.0.saturating_mul(u64::from(quantity)))
    }

    pub(super) fn plus(self, other: Fen) -> Fen {
        Fen(self.0.saturating_add(other.0))
    }

    /// This amount less `permille` of it, rounded half up to a whole fen.
    fn less(self, permille: u16) -> Fen {
        let kept = u64::from(1000 - permille.min(1000));
        Fen(self.0.saturating_mul(kept).saturating_add(500) / 1000)
    }
}

/// Yuan with two decimals: `239.20`.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// A number of fen.
impl Serialize for Fen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// What a customer pays for one piece, and how it came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) price: Fen,
    pub(super) discount_permille: u16,
    pub(super) engine: &'static str,
}

/// The price of a piece listed at `list` for a customer of `tier`.
pub(super) fn quote(edition: Edition, list: Fen, tier: Option<&str>) -> Quote {
    match edition {
        Edition::Stable => Quote { price: list, discount_permille: 0, engine: "list price" },
        Edition::Gray => {
            let discount_permille = tier_discount(tier);
            Quote { price: list.less(discount_permille), discount_permille, engine: "tier discount" }
        }
    }
}

/// The new engine gives everyone something, so that even an answer without a tier differs from the old price.
fn tier_discount(tier: Option<&str>) -> u16 {
    match tier {
        Some("VIP") => 200,
        Some("GOLD") => 100,
        Some("SILVER") => 50,
        _ => 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edition: Edition, list: u64, tier: Option<&str>, expected: &str) {
        assert_eq!(quote(edition, Fen::new(list), tier).price.to_string(), expected);
    }

    #[test]
    fn the_old_engine_charges_everyone_the_list_price() {
        check(Edition::Stable, 29_900, Some("VIP"), "299.00");
        check(Edition::Stable, 3_990, None, "39.90");
    }

    #[test]
    fn the_new_engine_discounts_by_tier_to_the_fen() {
        check(Edition::Gray, 29_900, Some("VIP"), "239.20");
        check(Edition::Gray, 29_900, Some("GOLD"), "269.10");
        check(Edition::Gray, 29_900, Some("SILVER"), "284.05");
        check(Edition::Gray, 29_900, Some("unheard of"), "293.02");
        // 39.90 less 2 % is 39.102: rounded to 39.10; 28.50 less 5 % is 27.075: rounded half up.
        check(Edition::Gray, 3_990, None, "39.10");
        check(Edition::Gray, 2_850, Some("SILVER"), "27.08");
    }
}
