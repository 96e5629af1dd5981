//! Expressions, the values named by them, and the tables of their functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::condition::KnownFacts;
use crate::config::file::{FileConfig, FileFunctions, FilePromotion, Number};
use crate::config::problem::Findings;
use crate::config::read::Table;
use crate::config::text::{At, Span, Texts};
use crate::decide::{
    Expression, ExpressionError, FactTable, Fenced, Functions, NumberExpression, Parsed, Promotion, Vocabulary,
};

/// The most named values; each is told in every explanation.
const MOST_VALUES: usize = 64;

/// An expression that is true or false; `None` once the problem is told.
pub(super) fn test(written: &At<String>, facts: &mut KnownFacts<'_>, findings: &mut Findings) -> Option<Expression> {
    let compiled = parse(&written.value).and_then(|parsed| {
        let expression = Expression::compile(&parsed, &mut facts.table, &facts.vocabulary)?;
        Ok(expression)
    });
    let expression = told(compiled, written, facts, findings)?;
    facts.used.extend(expression.facts().iter().map(|fact| (*fact, written.at)));
    Some(expression)
}

/// An expression that gives a number; `None` once the problem is told.
pub(super) fn number(
    written: &At<String>,
    facts: &mut KnownFacts<'_>,
    findings: &mut Findings,
) -> Option<NumberExpression> {
    let compiled = parse(&written.value)
        .and_then(|parsed| NumberExpression::compile(&parsed, &mut facts.table, &facts.vocabulary));
    let expression = told(compiled, written, facts, findings)?;
    facts.used.extend(expression.facts().iter().map(|fact| (*fact, written.at)));
    Some(expression)
}

/// Compiles a condition outside of a file, against built-in facts: what is fuzzed.
pub(in crate::config) fn alone(source: &str) -> Result<Expression, ExpressionError> {
    let parsed = parse(source)?;
    Expression::compile(&parsed, &mut FactTable::new(), &Vocabulary::default())
}

/// The tables of the functions, then the named values, which may use each other in the order written.
pub(super) fn vocabulary(config: &FileConfig, facts: &mut KnownFacts<'_>, findings: &mut Findings) {
    facts.vocabulary.functions = config.functions.as_ref().map_or_else(Functions::default, |f| functions(f, findings));
    for (name, written) in config.values.iter().flat_map(Table::iter) {
        let is_name = name.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.value.starts_with(|c: char| c.is_ascii_alphabetic());
        if !is_name {
            findings.error(name.at, format!("`{}` is no name for a value: write letters, digits and `_`", name.value));
            continue;
        }
        if facts.table.id(&name.value).is_some() {
            findings.error(name.at, format!("`{}` is a fact already", name.value));
            continue;
        }
        if facts.vocabulary.values.len() == MOST_VALUES {
            findings.error(name.at, format!("more than {MOST_VALUES} values"));
            return;
        }
        if let Some(value) = number(written, facts, findings) {
            facts.vocabulary.values.push((name.value.clone(), value));
        }
    }
}

/// Parses on a stack of its own: the parser recurses, and what called us may have little.
fn parse(source: &str) -> Result<Parsed, ExpressionError> {
    let fenced = Fenced::new(source)?;
    let failed = |message: String| ExpressionError { at: 0..source.len(), message, nearest: None };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(String::from("expression")).stack_size(Fenced::STACK);
        match thread.spawn_scoped(scope, move || fenced.parse()) {
            Ok(parsing) => parsing.join().unwrap_or_else(|_| Err(failed(String::from("this is no expression")))),
            Err(error) => Err(failed(format!("no thread to parse this with: {error}"))),
        }
    })
}

fn told<T>(
    compiled: Result<T, ExpressionError>,
    written: &At<String>,
    facts: &KnownFacts<'_>,
    findings: &mut Findings,
) -> Option<T> {
    match compiled {
        Ok(expression) => Some(expression),
        Err(error) => {
            let finding = findings.error(place(written, &error, facts.texts), error.message);
            if let Some(nearest) = &error.nearest {
                finding.suggest(nearest, [nearest.as_str()]);
            }
            None
        }
    }
}

/// The word at fault, where the file holds the expression as it was read; else the whole expression.
fn place(written: &At<String>, error: &ExpressionError, texts: &Texts) -> Span {
    let range = written.at.range();
    let text = texts.get(written.at.source()).text.get(range.clone()).unwrap_or_default();
    match text.find(&written.value) {
        Some(start) if !error.at.is_empty() => {
            let start = range.start + start;
            Span::new(written.at.source(), start + error.at.start..start + error.at.end)
        }
        _ => written.at,
    }
}

fn functions(written: &FileFunctions, findings: &mut Findings) -> Functions {
    let default = Functions::default();
    if let Some(least) = written.in_stock.as_ref().filter(|least| least.value.0 <= Decimal::ZERO) {
        let message = format!("`in_stock` of {}: `isInStock()` then holds of a stock of 0 too", least.value.0);
        findings.warn(least.at, message).help("write from how much on there is some: `in_stock: 1`");
    }
    Functions {
        in_stock: written.in_stock.as_ref().map_or(default.in_stock, |number| number.value.0),
        discounts: Arc::new(numbers(written.discount_by_tier.as_ref(), |number| share(number, findings))),
        tag_scores: Arc::new(numbers(written.tag_score.as_ref(), |number| number.value.0)),
        promotions: Arc::new(promotions(written.promotions.as_ref(), findings)),
    }
}

fn numbers(
    table: Option<&Table<At<Number>>>,
    mut read: impl FnMut(&At<Number>) -> Decimal,
) -> BTreeMap<String, Decimal> {
    let entries = table.into_iter().flat_map(Table::iter);
    entries.map(|(name, number)| (name.value.clone(), read(number))).collect()
}

fn share(written: &At<Number>, findings: &mut Findings) -> Decimal {
    let share = written.value.0;
    if share < Decimal::ZERO || share > Decimal::ONE {
        findings.error(written.at, format!("`{share}` is no share: write 0.2 for 20%"));
    }
    share
}

fn promotions(table: Option<&Table<FilePromotion>>, findings: &mut Findings) -> BTreeMap<String, Promotion> {
    let mut all = BTreeMap::new();
    for (name, written) in table.into_iter().flat_map(Table::iter) {
        let mut amount = |field: &Option<At<Number>>| {
            let number = field.as_ref().map_or(Decimal::ZERO, |number| number.value.0);
            if let Some(written) = field.as_ref().filter(|_| number < Decimal::ZERO) {
                findings.error(written.at, format!("`{number}` is below 0"));
            }
            number
        };
        let (off, over) = (amount(&written.off), amount(&written.over));
        let share = written.share.as_ref().map_or(Decimal::ZERO, |number| share(number, findings));
        if written.share.is_none() && written.off.is_none() && !written.flawed {
            findings.error(name.at, format!("promotion `{}` has neither `share` nor `off`", name.value));
        }
        all.insert(name.value.clone(), Promotion { share, off, over });
    }
    all
}
