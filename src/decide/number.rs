//! Values as a configuration writes them, and numbers as requests write them. Money is exact: decimals, never floats.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

/// A value of a condition, as written: quoted or not makes the difference between a code and a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// Quoted, or no number.
    Text(String),
    /// A number without quotes.
    Number(Decimal),
    /// `true` or `false` without quotes.
    Bool(bool),
}

impl Scalar {
    /// The value as a number: written so, or quoted digits.
    pub(super) fn as_number(&self) -> Option<Decimal> {
        match self {
            Scalar::Text(text) => number(text),
            Scalar::Number(value) => Some(*value),
            Scalar::Bool(_) => None,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => f.write_str(text),
            Scalar::Number(value) => value.fmt(f),
            Scalar::Bool(value) => value.fmt(f),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Scalar::Bool(value) => serializer.serialize_bool(*value),
            other => serializer.collect_str(other),
        }
    }
}

/// The decimal that `text` writes: an optional sign, digits, an optional fraction. No exponent, no `NaN`, no
/// separators; what does not fit a decimal of 96 bits exactly is no number, so that nothing is compared rounded.
pub fn number(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.len() > 40 || !is_decimal(digits) {
        return None;
    }
    if digits.len() <= 18 && !digits.contains('.') {
        return text.parse::<i64>().ok().map(Decimal::from);
    }
    Decimal::from_str_exact(text).ok()
}

/// Whether `text` writes a decimal that has too many digits to be compared exactly; 28 always fit.
pub fn is_too_long(text: &str) -> bool {
    is_decimal(text.strip_prefix(['-', '+']).unwrap_or(text)) && number(text).is_none()
}

fn is_decimal(digits: &str) -> bool {
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match digits.split_once('.') {
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => all_digits(digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_and_everything_else_is_none() {
        let exact = |text| number(text).map(|value| value.normalize().to_string());
        assert_eq!(exact("500").as_deref(), Some("500"));
        assert_eq!(exact("500.00").as_deref(), Some("500"));
        assert_eq!(exact("-0.10").as_deref(), Some("-0.1"));
        assert_eq!(exact("+7").as_deref(), Some("7"));
        assert_eq!(exact("007").as_deref(), Some("7"));
        assert_eq!(exact("12345678901234567890.12").as_deref(), Some("12345678901234567890.12"));
        for text in
            ["", "abc", "NaN", "1e999", "1e3", "1_000", "0x10", " 5", "5 ", "--5", "+-5", ".5", "5.", "1.2.3", "٥"]
        {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number(&"9".repeat(400)), None);
        assert!(is_too_long(&"9".repeat(400)) && is_too_long(&format!("-0.{}", "1".repeat(30))));
        assert!(!is_too_long(&"9".repeat(28)) && !is_too_long("1e999") && !is_too_long("abc") && !is_too_long(""));
        assert_eq!(number(&"9".repeat(30)), None);
    }
}
