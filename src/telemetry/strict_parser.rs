//! A strict reader of the Prometheus text format 0.0.4, for tests: what it accepts, any scraper accepts.
//!
//! Stricter than the format asks: HELP and TYPE stand before the samples of a family, a family is not torn apart, no
//! series stands twice, histograms are cumulative and end with `+Inf`, which equals the count.

use std::collections::{BTreeMap, BTreeSet};

/// A family as read.
#[derive(Debug, Default)]
pub(super) struct ParsedFamily {
    pub(super) help: String,
    pub(super) kind: String,
    pub(super) samples: Vec<ParsedSample>,
}

/// A sample as read; `name` has the suffix of histograms.
#[derive(Debug, Clone)]
pub(super) struct ParsedSample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl ParsedSample {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map(|(_, value)| value.as_str())
    }
}

pub(super) type Parsed = BTreeMap<String, ParsedFamily>;

/// Reads a whole exposition; the error names the line.
pub(super) fn parse(text: &str) -> Result<Parsed, String> {
    if !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut families = Parsed::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let at = |what: &str| format!("{what}: {line}");
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or_else(|| at("HELP without text"))?;
            check_name(name).map_err(|what| at(&what))?;
            let family = ParsedFamily { help: help.to_owned(), ..ParsedFamily::default() };
            if families.insert(name.to_owned(), family).is_some() {
                return Err(at("family stands twice"));
            }
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| at("TYPE without type"))?;
            let family = families.get_mut(name).filter(|_| name == current);
            family.ok_or_else(|| at("TYPE without HELP"))?.kind = kind.to_owned();
        } else {
            let sample = sample(line).map_err(|what| at(&what))?;
            if !seen.insert(format!("{}{:?}", sample.name, sample.labels)) {
                return Err(at("series stands twice"));
            }
            let family = families.get_mut(&current).ok_or_else(|| at("sample before HELP"))?;
            check_belongs(&sample, &current, &family.kind).map_err(|what| at(&what))?;
            family.samples.push(sample);
        }
    }
    families.values().try_for_each(check_histogram)?;
    Ok(families)
}

fn check_name(name: &str) -> Result<(), String> {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    if first && rest { Ok(()) } else { Err(format!("{name:?} is no name")) }
}

fn check_belongs(sample: &ParsedSample, family: &str, kind: &str) -> Result<(), String> {
    let suffixes: &[&str] = match kind {
        "counter" | "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => return Err(format!("unknown type {kind:?}")),
    };
    let belongs = suffixes.iter().any(|suffix| sample.name.strip_suffix(suffix) == Some(family));
    if kind == "counter" && sample.value < 0.0 {
        return Err("counter below zero".to_owned());
    }
    if belongs { Ok(()) } else { Err(format!("not of family {family}")) }
}

fn sample(line: &str) -> Result<ParsedSample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    check_name(name)?;
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("label without value")?;
            check_name(label)?;
            let (value, after) = quoted(after)?;
            labels.push((label.to_owned(), value));
            match after.split_at_checked(1) {
                Some((",", next)) => rest = next,
                Some(("}", next)) => {
                    rest = next;
                    break;
                }
                _ => return Err("labels do not end".to_owned()),
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = value.replace("+Inf", "inf").parse().map_err(|_| "value is no number".to_owned())?;
    Ok(ParsedSample { name: name.to_owned(), labels, value })
}

/// The value up to its closing quote, unescaped, and what follows.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                _ => return Err("bad escape".to_owned()),
            },
            c => value.push(c),
        }
    }
    Err("value does not end".to_owned())
}

fn check_histogram(family: &ParsedFamily) -> Result<(), String> {
    if family.kind != "histogram" {
        return Ok(());
    }
    let mut last: Option<(f64, f64)> = None;
    for sample in &family.samples {
        if let Some(bound) = sample.label("le") {
            let bound: f64 = bound.replace("+Inf", "inf").parse().map_err(|_| "bound is no number")?;
            if last.is_some_and(|(before, count)| bound <= before || sample.value < count) {
                return Err(format!("not cumulative at {bound}: {sample:?}"));
            }
            last = Some((bound, sample.value));
        } else if sample.name.ends_with("_count") {
            if last != Some((f64::INFINITY, sample.value)) {
                return Err(format!("+Inf is not the count: {sample:?}"));
            }
            last = None;
        }
    }
    Ok(())
}

#[test]
fn broken_expositions_are_refused() {
    for bad in [
        "a 1\n",
        "# HELP a b\n# TYPE a gauge\na 1",
        "# HELP a b\n# TYPE a gauge\na 1\na 1\n",
        "# HELP a b\n# TYPE a gauge\na{x=\"1\" 1\n",
        "# HELP a b\n# TYPE a gauge\na{x=\"\\q\"} 1\n",
        "# HELP a b\n# TYPE a counter\na -1\n",
        "# HELP a b\n# TYPE a gauge\nb 1\n",
        "# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "# HELP a b\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
