//! Values with a unit or a form: durations, sizes, shares, codes, counts, names.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::Node;
use super::problem::Findings;
use super::read::{Read, scalar};

/// A duration such as `250ms`, `5s`, `1.2s`, `10m`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) Duration);

/// A number of bytes such as `64KiB`, `1MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// A share such as `5%` or `50‰`, exact to one permille.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share(pub(super) u16);

/// A fraction such as `0.001`, `0.1%` or `1‰`, as fine as anybody likes. Its bounds are for whoever uses it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fraction(pub(super) f64);

/// A whole number from 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PermilleNumber(pub(super) u16);

/// A name that travels in headers, metric labels and paths of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

/// The name of a Kubernetes resource: as [`Name`], and as long as Kubernetes lets it be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourceName(pub(super) String);

/// The longest duration anybody means.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest name.
pub(super) const LONGEST_NAME: usize = 63;

/// The longest name of a resource, as Kubernetes has it for most (RFC 1123 subdomains).
pub(super) const LONGEST_RESOURCE_NAME: usize = 253;

/// Whether a text can be a name: letters, digits, `.`, `_`, `-`, and a letter or digit first.
pub(super) fn is_name(text: &str) -> bool {
    is_name_up_to(LONGEST_NAME, text)
}

fn is_name_up_to(longest: usize, text: &str) -> bool {
    text.len() <= longest
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

/// A decimal number as digits and a count of decimals: `1.25` is (125, 2). Exact, unlike a float.
fn decimal(text: &str) -> Option<(u128, u32)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.len() <= 18 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let number: u128 = format!("{whole}{part}").parse().ok()?;
    Some((number, part.len() as u32))
}

/// `number * unit`, where it is a whole number.
fn whole(number: &str, unit: u128) -> Option<u128> {
    let (digits, decimals) = decimal(number)?;
    let scale = 10u128.pow(decimals);
    let product = digits.checked_mul(unit)?;
    (product % scale == 0).then(|| product / scale)
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], &text[end..])
}

/// Reads a duration such as `250ms`, `5s`, `10m`, `1h`.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: write `250ms`, `5s`, `10m` or `1h`");
    let (mut rest, mut nanos) = (text.trim(), 0u128);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, tail) = split_unit(rest);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let unit: u128 = match tail[..end].trim_end() {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "" => return Err(format!("`{text}` needs a unit: write `250ms`, `5s`, `10m` or `1h`")),
            _ => return Err(wrong()),
        };
        nanos = nanos.saturating_add(whole(number, unit).ok_or_else(wrong)?);
        rest = &tail[end..];
    }
    match u64::try_from(nanos).map(Duration::from_nanos) {
        Ok(time) if time <= LONGEST => Ok(time),
        _ => Err(format!("`{text}` is longer than a year")),
    }
}

/// A size in bytes, or what is wrong with it.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write `64KiB` or `1MiB`");
    let (number, unit) = split_unit(text.trim());
    let unit: u128 = match unit.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "" => return Err(format!("`{text}` needs a unit: write `64KiB` or `1MiB`")),
        _ => return Err(wrong()),
    };
    whole(number, unit).and_then(|bytes| u64::try_from(bytes).ok()).ok_or_else(wrong)
}

/// A share in permille, or what is wrong with it. `5.5%` is 55; `0.05%` is finer than a permille and refused.
pub(super) fn parse_share(text: &str) -> Result<u16, String> {
    let (number, unit) = split_unit(text.trim());
    let permille: u128 = match unit.trim() {
        "%" => 10,
        "‰" => 1,
        "" if decimal(number).is_some() => return Err(format!("`{text}` needs a unit: write `5%` or `50‰`")),
        _ => return Err(format!("`{text}` is no share: write `5%` or `50‰`")),
    };
    if decimal(number).is_none() {
        return Err(format!("`{text}` is no share: write `5%` or `50‰`"));
    }
    match whole(number, permille) {
        None => Err(format!("`{text}` is finer than one permille, the smallest share")),
        Some(share) if share <= 1000 => Ok(share as u16),
        Some(_) => Err(format!("`{text}` is more than 100%")),
    }
}

/// A fraction, with or without a unit, or what is wrong with it.
fn parse_fraction(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let per = |unit: char, whole: f64| text.strip_suffix(unit).map(|number| (number.trim_end(), whole));
    let (number, whole) = per('%', 100.0).or_else(|| per('‰', 1000.0)).unwrap_or((text, 1.0));
    let number = number.parse().ok().filter(|number: &f64| number.is_finite());
    number.map(|number| number / whole).ok_or_else(|| format!("`{text}` is no fraction: write `0.001` or `0.1%`"))
}

fn parsed<T>(
    node: &Node,
    expected: &str,
    findings: &mut Findings,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let scalar = scalar(node, expected, findings)?;
    match parse(&scalar.text) {
        Ok(value) => Some(value),
        Err(message) => {
            findings.error(node.at, message);
            None
        }
    }
}

impl Read for Time {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        parsed(node, "a duration such as `5s`", findings, parse_time).map(Time)
    }
}

impl Read for Size {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        parsed(node, "a size such as `64KiB`", findings, parse_size).map(Size)
    }
}

impl Read for Share {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        parsed(node, "a share such as `5%`", findings, parse_share).map(Share)
    }
}

impl Read for Fraction {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        parsed(node, "a fraction such as `0.001` or `0.1%`", findings, parse_fraction).map(Fraction)
    }
}

impl Read for PermilleNumber {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "a permille: a whole number from 0 to 1000", findings)?.text;
        match text.parse::<u16>() {
            Ok(number) if number <= 1000 => Some(PermilleNumber(number)),
            _ => {
                let finding =
                    findings.error(node.at, format!("`{text}` is no permille: a whole number from 0 to 1000"));
                if let Ok(share) = parse_share(text) {
                    finding.help(format!("`{text}` is written {share}"));
                }
                None
            }
        }
    }
}

impl Read for Name {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "a name", findings)?.text;
        if is_name(text) {
            return Some(Name(text.clone()));
        }
        findings.error(node.at, format!("`{text}` is no name")).help(NAME_HELP);
        None
    }
}

impl Read for ResourceName {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "a name", findings)?.text;
        if is_name_up_to(LONGEST_RESOURCE_NAME, text) {
            return Some(ResourceName(text.clone()));
        }
        findings.error(node.at, format!("`{text}` is no name")).help(RESOURCE_NAME_HELP);
        None
    }
}

const RESOURCE_NAME_HELP: &str =
    "the name of a resource has at most 253 letters, digits, `.`, `_` and `-`, and starts with a letter or digit";

/// What a name is made of.
pub(super) const NAME_HELP: &str =
    "a name has at most 63 letters, digits, `.`, `_` and `-`, and starts with a letter or digit";

/// A text is any scalar as written: `330000` without quotes stays those six digits.
impl Read for String {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "a text", findings).map(|scalar| scalar.text.clone())
    }
}

impl Read for bool {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let scalar = scalar(node, "`true` or `false`", findings)?;
        let flag = scalar.boolean();
        if flag.is_none() {
            let meant = match scalar.text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some("true"),
                "no" | "off" | "n" | "false" => Some("false"),
                _ => None,
            };
            findings
                .error(node.at, format!("expected `true` or `false`, found `{}`", scalar.text))
                .suggest(meant.unwrap_or_default(), meant);
        }
        flag
    }
}

impl Read for u64 {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "a whole number", findings)?.text;
        let number = text.parse().ok();
        if number.is_none() {
            findings.error(node.at, format!("expected a whole number, found `{text}`"));
        }
        number
    }
}

impl Read for u32 {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "a whole number", findings)?.text;
        let number = text.parse().ok();
        if number.is_none() {
            findings.error(node.at, format!("expected a whole number, found `{text}`"));
        }
        number
    }
}

macro_rules! text_schema {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text_schema!(Time, {
    "type": "string", "description": "A duration: a number and `ms`, `s`, `m`, `h` or `d`.",
    "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|min|h|d))+$", "examples": ["250ms", "5s", "10m", "1h"]
});
text_schema!(Size, {
    "type": "string", "description": "A number of bytes with its unit.",
    "pattern": r"^[0-9]+(\.[0-9]+)? ?(B|KiB|MiB|GiB|kB|KB|MB|GB)$", "examples": ["64KiB", "1MiB"]
});
text_schema!(Share, {
    "type": "string", "description": "A share in percent or permille, exact to one permille.",
    "pattern": r"^[0-9]+(\.[0-9]+)? ?(%|‰)$", "examples": ["5%", "50‰", "0.5%"]
});
text_schema!(Fraction, {
    "description": "A fraction: a number, or a text in percent or permille.",
    "anyOf": [{ "type": "number" }, { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(%|‰)?$" }],
    "examples": [0.001, "0.1%"]
});
text_schema!(PermilleNumber, { "type": "integer", "minimum": 0, "maximum": 1000 });
text_schema!(ResourceName, { "type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$" });
text_schema!(Name, { "type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" });

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_time(text: &str, expected: Result<u64, &str>) {
        let found = parse_time(text).map(|time| time.as_millis() as u64);
        assert_eq!(found.as_ref().map_err(String::as_str).copied(), expected);
    }

    #[test]
    fn durations_need_a_unit_and_are_exact() {
        check_time("250ms", Ok(250));
        check_time("1.2s", Ok(1200));
        check_time("10m", Ok(600_000));
        check_time("1h30m", Ok(5_400_000));
        check_time("5", Err("`5` needs a unit: write `250ms`, `5s`, `10m` or `1h`"));
        check_time("-5s", Err("`-5s` is no duration: write `250ms`, `5s`, `10m` or `1h`"));
        check_time("5 sec", Err("`5 sec` is no duration: write `250ms`, `5s`, `10m` or `1h`"));
        check_time("999999999999999999d", Err("`999999999999999999d` is longer than a year"));
        check_time(
            "9999999999999999999d",
            Err("`9999999999999999999d` is no duration: write `250ms`, `5s`, `10m` or `1h`"),
        );
    }

    #[track_caller]
    fn check_share(text: &str, expected: Result<u16, &str>) {
        assert_eq!(parse_share(text).as_ref().map_err(String::as_str).copied(), expected);
    }

    #[test]
    fn shares_are_exact_to_one_permille() {
        check_share("5%", Ok(50));
        check_share("5.5%", Ok(55));
        check_share("50‰", Ok(50));
        check_share("100%", Ok(1000));
        check_share("5.50%", Ok(55));
        check_share("0.05%", Err("`0.05%` is finer than one permille, the smallest share"));
        check_share("0.5‰", Err("`0.5‰` is finer than one permille, the smallest share"));
        check_share("100.1%", Err("`100.1%` is more than 100%"));
        check_share("5", Err("`5` needs a unit: write `5%` or `50‰`"));
        check_share("%", Err("`%` is no share: write `5%` or `50‰`"));
        check_share("-5%", Err("`-5%` is no share: write `5%` or `50‰`"));
    }

    #[test]
    fn fractions_have_a_unit_or_none() {
        assert_eq!(parse_fraction("0.001"), Ok(0.001));
        assert_eq!(parse_fraction("0.05%"), Ok(0.0005));
        assert_eq!(parse_fraction("2 ‰"), Ok(0.002));
        assert_eq!(parse_fraction("-1"), Ok(-1.0));
        for wrong in ["", "%", "much", "nan", "inf", "1e999", "1%%"] {
            assert!(parse_fraction(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_whole_bytes() {
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("1.5 KiB"), Ok(1_536));
        assert!(parse_size("64").is_err_and(|message| message.contains("needs a unit")));
        assert!(parse_size("0.3B").is_err());
        assert!(parse_size("64KiBs").is_err());
    }
}
