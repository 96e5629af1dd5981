//! A test's comparison, compiled: sets hashed, numbers parsed, expressions built.

use std::net::IpAddr;

use ipnet::IpNet;
use regex::Regex;
use rust_decimal::Decimal;
use semver::{Version, VersionReq};

use super::FixedSet;
use super::fact::{FactId, FactKind};
use super::number::{Scalar, is_too_long, number};
use super::operator::Operator;
use super::region;

/// An expression may take this much memory when compiled, so that `x{1000}{1000}` is refused at load.
const LARGEST_REGEX: usize = 1 << 20;

/// What a value of a fact is compared with.
#[derive(Debug, Clone)]
pub(super) enum Predicate {
    Present,
    /// Equal to one of the texts, or as a number to one of the numbers.
    Equal {
        texts: Texts,
        numbers: Vec<Decimal>,
    },
    /// From, to, and whether the ends are included.
    Range {
        low: Option<(Decimal, bool)>,
        high: Option<(Decimal, bool)>,
    },
    Prefix(Vec<Box<str>>),
    Suffix(Vec<Box<str>>),
    Contains(Vec<Box<str>>),
    Regex(Regex),
    Networks(Vec<IpNet>),
    Version(VersionReq),
    AnyOf(Texts),
    AllOf(Vec<Box<str>>),
}

/// Why one of the values does not do: its place and what is wrong.
type BadValue = (usize, String);

impl Predicate {
    pub(super) fn compile(
        fact: FactId,
        kind: FactKind,
        operator: Operator,
        values: &[Scalar],
    ) -> Result<Predicate, BadValue> {
        use Operator::{
            AllOf, AnyOf, Between, Cidr, Contains, Eq, Exists, Ge, Gt, In, Le, Lt, Ne, NotIn, Prefix, Semver, Suffix,
        };
        let numeric = || each(values, |value| as_number(value, operator));
        let texts = || each(values, as_text);
        Ok(match operator {
            Exists => Predicate::Present,
            Eq | Ne | In | NotIn => equal(fact, kind, operator, values)?,
            Gt => Predicate::Range { low: Some((numeric()?[0], false)), high: None },
            Ge => Predicate::Range { low: Some((numeric()?[0], true)), high: None },
            Lt => Predicate::Range { low: None, high: Some((numeric()?[0], false)) },
            Le => Predicate::Range { low: None, high: Some((numeric()?[0], true)) },
            Between => between(&numeric()?)?,
            Prefix => Predicate::Prefix(texts()?),
            Suffix => Predicate::Suffix(texts()?),
            Contains if kind == FactKind::Tags => Predicate::AnyOf(Texts::new(each(values, as_tag)?)),
            Contains => Predicate::Contains(texts()?),
            Operator::Regex => Predicate::Regex(regex(&values[0])?),
            Cidr => Predicate::Networks(each(values, as_network)?),
            Semver => Predicate::Version(requirement(&values[0])?),
            AnyOf => Predicate::AnyOf(Texts::new(each(values, as_tag)?)),
            AllOf => Predicate::AllOf(each(values, as_tag)?),
        })
    }

    /// Whether `value` meets it; nothing where the value is not of the kind compared, as a text for a number.
    pub(super) fn holds(&self, value: &str) -> Option<bool> {
        match self {
            Predicate::Present => Some(true),
            Predicate::Equal { texts, numbers } => equals(texts, numbers, value),
            Predicate::Range { low, high } => {
                let value = number(value.trim())?;
                let above = low.is_none_or(|(low, closed)| value > low || (closed && value == low));
                let below = high.is_none_or(|(high, closed)| value < high || (closed && value == high));
                Some(above && below)
            }
            Predicate::Prefix(list) => Some(list.iter().any(|part| value.starts_with(&**part))),
            Predicate::Suffix(list) => Some(list.iter().any(|part| value.ends_with(&**part))),
            Predicate::Contains(list) => Some(list.iter().any(|part| value.contains(&**part))),
            Predicate::Regex(regex) => Some(regex.is_match(value)),
            Predicate::Networks(networks) => {
                let address = value.trim().parse::<IpAddr>().ok()?.to_canonical();
                Some(networks.iter().any(|network| network.contains(&address)))
            }
            Predicate::Version(requirement) => Some(requirement.matches(&version(value.trim())?)),
            Predicate::AnyOf(wanted) => Some(tags(value).any(|tag| wanted.contains(tag))),
            Predicate::AllOf(wanted) => Some(wanted.iter().all(|wanted| tags(value).any(|tag| *tag == **wanted))),
        }
    }
}

/// A set of texts: a list to run through where it is short, hashed where it is not.
#[derive(Debug, Clone)]
pub(super) enum Texts {
    Few(Vec<Box<str>>),
    Many(FixedSet<Box<str>>),
}

impl Texts {
    const FEW: usize = 6;

    fn new(texts: Vec<Box<str>>) -> Texts {
        if texts.len() <= Texts::FEW { Texts::Few(texts) } else { Texts::Many(texts.into_iter().collect()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Texts::Few(list) => list.is_empty(),
            Texts::Many(set) => set.is_empty(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Texts::Few(list) => list.len(),
            Texts::Many(set) => set.len(),
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Texts::Few(list) => Box::new(list.iter().map(|text| &**text)),
            Texts::Many(set) => Box::new(set.iter().map(|text| &**text)),
        }
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        match self {
            Texts::Few(list) => list.iter().any(|known| **known == *text),
            Texts::Many(set) => set.contains(text),
        }
    }
}

/// The words of a set as a header writes it: separated by commas, blanks around them dropped.
pub(super) fn tags(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}

fn equals(texts: &Texts, numbers: &[Decimal], value: &str) -> Option<bool> {
    if texts.contains(value) {
        return Some(true);
    }
    if numbers.is_empty() {
        return Some(false);
    }
    match number(value.trim()) {
        Some(value) => Some(numbers.binary_search(&value).is_ok()),
        // A text is not equal to a number, and not unequal to it either, unless texts are compared as well.
        None if matches!(texts, Texts::Few(list) if list.is_empty()) => None,
        None => Some(false),
    }
}

fn each<T>(values: &[Scalar], read: impl Fn(&Scalar) -> Result<T, String>) -> Result<Vec<T>, BadValue> {
    values.iter().enumerate().map(|(index, value)| read(value).map_err(|message| (index, message))).collect()
}

fn as_number(value: &Scalar, operator: Operator) -> Result<Decimal, String> {
    value.as_number().ok_or_else(|| match is_too_long(&value.to_string()) {
        true => format!("`{value}` has too many digits to be compared exactly; 28 always fit"),
        false => format!("{operator} compares numbers, and `{value}` is none"),
    })
}

fn as_text(value: &Scalar) -> Result<Box<str>, String> {
    match value.to_string() {
        text if text.is_empty() => Err(String::from("the value is empty, so every text would do; use EXISTS")),
        text => Ok(text.into()),
    }
}

fn as_tag(value: &Scalar) -> Result<Box<str>, String> {
    let text = value.to_string();
    match text.trim() {
        "" => Err(String::from("a tag cannot be empty")),
        tag if tag.contains(',') => {
            Err(format!("`{tag}` holds a comma, which separates tags; write one value for each"))
        }
        tag => Ok(tag.into()),
    }
}

fn as_network(value: &Scalar) -> Result<IpNet, String> {
    let text = value.to_string();
    let network = text.parse::<IpNet>().map(|network| network.trunc()).ok();
    let address = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    network.or_else(address).ok_or_else(|| format!("`{text}` is no network; write one like 10.0.0.0/8 or fd00::/8"))
}

fn as_address(value: &Scalar) -> Result<IpNet, String> {
    let text = value.to_string();
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address.to_canonical())),
        Err(_) if text.parse::<IpNet>().is_ok() => Err(format!("`{text}` is a network; use CIDR")),
        Err(_) => Err(format!("`{text}` is no address")),
    }
}

fn equal(fact: FactId, kind: FactKind, operator: Operator, values: &[Scalar]) -> Result<Predicate, BadValue> {
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    match kind {
        FactKind::Address => return Ok(Predicate::Networks(each(values, as_address)?)),
        FactKind::Number => numbers = each(values, |value| as_number(value, operator))?,
        FactKind::Region => {
            for (index, value) in values.iter().enumerate() {
                let code = region::configured(fact, value.to_string().trim(), index);
                texts.push(code.map_err(|error| (index, error.to_string()))?);
            }
        }
        FactKind::Code | FactKind::Tags => texts = values.iter().map(|value| value.to_string().into()).collect(),
        FactKind::Open => {
            for value in values {
                match value {
                    Scalar::Number(value) => numbers.push(*value),
                    other => texts.push(other.to_string().into()),
                }
            }
        }
    }
    numbers.sort_unstable();
    Ok(Predicate::Equal { texts: Texts::new(texts), numbers })
}

fn between(ends: &[Decimal]) -> Result<Predicate, BadValue> {
    let (low, high) = (ends[0], ends[1]);
    if low > high {
        return Err((1, format!("BETWEEN takes the lower value first, and {high} is below {low}")));
    }
    Ok(Predicate::Range { low: Some((low, true)), high: Some((high, true)) })
}

fn regex(value: &Scalar) -> Result<Regex, BadValue> {
    regex::RegexBuilder::new(&value.to_string()).size_limit(LARGEST_REGEX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => (0, String::from("the expression is too large when compiled")),
        // The library's message spans lines and repeats the expression; its last line says what is wrong.
        error => {
            let text = error.to_string();
            let cause = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            (0, format!("`{value}` is no regular expression: {cause}"))
        }
    })
}

fn requirement(value: &Scalar) -> Result<VersionReq, BadValue> {
    let text = value.to_string();
    VersionReq::parse(&text).map_err(|_| (0, format!("`{text}` is no version requirement; write one like \">=2.4.0\"")))
}

/// The version that a client writes: `2.4.1`, and `v2.4` or `2` with zeros for what is missing.
fn version(text: &str) -> Option<Version> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if text.len() > 128 {
        return None;
    }
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let mut parts = text.splitn(2, '.').map(|part| {
        let plain = part.bytes().all(|byte| byte.is_ascii_digit());
        if plain { part.parse::<u64>().ok() } else { None }
    });
    let major = parts.next()??;
    let minor = parts.next().unwrap_or(Some(0))?;
    Some(Version::new(major, minor, 0))
}
