//! Which values a fact can have. One that does not fit is as if absent, is counted, and shows in the explanation.

use std::collections::HashSet;

use regex::Regex;

use crate::decide::{FactId, FactKind, FactTable, RegionCodes, is_sku_code, is_too_long, number};

/// The most bytes of an id.
const LONGEST_ID: usize = 256;
/// The most bytes of another value.
const LONGEST_TEXT: usize = 4096;

/// Which values a fact can have.
#[derive(Debug, Clone)]
pub enum Fit {
    /// 1 to 256 bytes.
    Id,
    /// 1 to 64 letters, digits, dots, hyphens and underscores; the format of SKU codes unless one is configured.
    SkuCode,
    /// What matches.
    Format(Regex),
    /// One of a list.
    OneOf(HashSet<Box<str>>),
    /// A decimal number.
    Number,
    /// A region code of GB/T 2260, or any text where codes are custom.
    Region(RegionCodes),
    /// Up to 4096 bytes with one word at least.
    Tags,
    /// Up to 4096 bytes.
    Text,
}

impl Fit {
    /// What a fact takes unless the configuration says otherwise.
    pub(super) fn of(table: &FactTable, fact: FactId) -> Fit {
        match (fact, table.kind(fact)) {
            (FactId::USER_ID | FactId::DEVICE_ID, _) => Fit::Id,
            (FactId::SKU_ID, _) => Fit::SkuCode,
            (FactId::PROVINCE_CODE | FactId::CITY_ID, _) => Fit::Region(table.region_codes()),
            (_, FactKind::Number) => Fit::Number,
            (_, FactKind::Tags) => Fit::Tags,
            (_, FactKind::Code) => Fit::Id,
            _ => Fit::Text,
        }
    }

    /// Says what is wrong with a value.
    pub(super) fn check(&self, value: &str) -> Result<(), &'static str> {
        let must = |fits: bool, why| if fits { Ok(()) } else { Err(why) };
        match self {
            Fit::Tags if value.chars().all(|char| char == ',' || char.is_whitespace()) => Err("empty"),
            Fit::Text | Fit::Tags => must(value.len() <= LONGEST_TEXT, "longer than 4096 bytes"),
            _ if value.is_empty() => Err("empty"),
            _ if value.len() > LONGEST_ID => Err("longer than 256 bytes"),
            Fit::Id => Ok(()),
            Fit::SkuCode => must(is_sku_code(value), "not a SKU code"),
            Fit::Format(format) => must(format.is_match(value), "not in the format"),
            Fit::OneOf(list) => must(list.contains(value), "not in the list"),
            Fit::Number if number(value).is_some() => Ok(()),
            Fit::Number if is_too_long(value) => Err("a number of more digits than are compared exactly"),
            Fit::Number => Err("not a number"),
            Fit::Region(codes) => must(codes.accept(value), "not a region code"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_do_not_fit_say_why() {
        let long = "x".repeat(257);
        let list = Fit::OneOf(HashSet::from(["1001".into()]));
        let format = Fit::Format(Regex::new("^[0-9]{5}$").unwrap());
        for (fit, value, expected) in [
            (&Fit::Id, "u1", Ok(())),
            (&Fit::Id, "用户一", Ok(())),
            (&Fit::Id, "", Err("empty")),
            (&Fit::Id, &*long, Err("longer than 256 bytes")),
            (&Fit::SkuCode, "SKU-7.1_a", Ok(())),
            (&Fit::SkuCode, "SKU 7", Err("not a SKU code")),
            (&Fit::Number, "12.50", Ok(())),
            (&Fit::Number, "1e999", Err("not a number")),
            (&Fit::Number, "NaN", Err("not a number")),
            (&Fit::Number, &*"9".repeat(29), Err("a number of more digits than are compared exactly")),
            (&Fit::Tags, "vip, new", Ok(())),
            (&Fit::Tags, "", Err("empty")),
            (&Fit::Tags, " , ,", Err("empty")),
            (&list, "1001", Ok(())),
            (&list, "1002", Err("not in the list")),
            (&format, "12345", Ok(())),
            (&format, "1234", Err("not in the format")),
            (&Fit::Region(RegionCodes::GbT2260), "3301", Ok(())),
            (&Fit::Region(RegionCodes::GbT2260), "cn-east", Err("not a region code")),
            (&Fit::Region(RegionCodes::Custom), "cn-east", Ok(())),
            (&Fit::Text, "", Ok(())),
        ] {
            assert_eq!(fit.check(value), expected, "{fit:?} {value}");
        }
    }
}
