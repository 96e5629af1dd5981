//! Conditions: from the file's words to `decide`'s.

use super::contradiction;
use super::expression;
use super::unfit;
use crate::config::file::{FileCondition, FileScalar, OperatorWord};
use crate::config::problem::Findings;
use crate::config::settings::FactSources;
use crate::config::text::{At, Span, Texts};
use crate::decide::{Condition, ConditionError, FactError, FactId, FactTable, Operator, Scalar, Vocabulary};

/// The facts, which of them conditions look at, and what else expressions may name.
pub(super) struct KnownFacts<'c> {
    pub(super) table: FactTable,
    pub(super) used: Vec<(FactId, Span)>,
    pub(super) vocabulary: Vocabulary,
    pub(super) sources: &'c FactSources,
    pub(super) texts: &'c Texts,
}

/// Every condition of a list, and the expression beside it; those with problems are left out once the problem is told.
pub(super) fn conditions(
    written: Option<&Vec<FileCondition>>,
    expression: Option<&At<String>>,
    facts: &mut KnownFacts<'_>,
    findings: &mut Findings,
) -> Vec<Condition> {
    let mut list = Vec::new();
    for condition in written.into_iter().flatten() {
        let Some(compiled) = one(condition, facts, findings) else { continue };
        match compiled.check_depth() {
            Ok(()) => list.push(compiled),
            Err(error) => {
                findings.error(condition.at, error.to_string());
            }
        }
    }
    let beside = expression.and_then(|written| Some((written.at, expression::test(written, facts, findings)?)));
    let place = beside.as_ref().map(|(at, _)| *at);
    list.extend(beside.map(|(_, expression)| Condition::Expression(Box::new(expression))));
    contradiction::warn(written.map_or(&[][..], Vec::as_slice), place, &list, findings);
    list
}

fn one(written: &FileCondition, facts: &mut KnownFacts<'_>, findings: &mut Findings) -> Option<Condition> {
    let test =
        written.key.is_some() || written.operator.is_some() || written.value.is_some() || written.values.is_some();
    let forms =
        [test, written.expression.is_some(), written.all.is_some(), written.any.is_some(), written.not.is_some()];
    if forms.iter().filter(|form| **form).count() != 1 {
        if written.flawed {
            return None;
        }
        findings
            .error(written.at, "a condition is a test, an `expression`, or one of `all`, `any`, `not`")
            .help("a test is written `{ key: category_id, operator: IN, values: [\"1001\"] }`");
        return None;
    }
    if let Some(source) = &written.expression {
        return expression::test(source, facts, findings).map(|one| Condition::Expression(Box::new(one)));
    }
    if let Some(all) = &written.all {
        return Some(Condition::All(group(written, all, "all", facts, findings)));
    }
    if let Some(any) = &written.any {
        return Some(Condition::Any(group(written, any, "any", facts, findings)));
    }
    if let Some(not) = &written.not {
        let mut inner = group(written, &not.0, "not", facts, findings);
        let inner = if inner.len() == 1 { inner.remove(0) } else { Condition::All(inner) };
        return Some(Condition::Not(Box::new(inner)));
    }
    self::test(written, facts, findings)
}

fn group(
    outer: &FileCondition,
    inner: &[FileCondition],
    word: &str,
    facts: &mut KnownFacts<'_>,
    findings: &mut Findings,
) -> Vec<Condition> {
    if inner.is_empty() && !outer.flawed {
        findings.error(outer.at, format!("`{word}` over no conditions"));
    }
    inner.iter().filter_map(|condition| one(condition, facts, findings)).collect()
}

fn test(written: &FileCondition, facts: &mut KnownFacts<'_>, findings: &mut Findings) -> Option<Condition> {
    for (name, there) in [("key", written.key.is_some()), ("operator", written.operator.is_some())] {
        if !there && !written.flawed {
            findings.error(written.at, format!("missing field `{name}` in a condition"));
        }
    }
    let values: Vec<&At<FileScalar>> = match (&written.value, &written.values) {
        (Some(value), Some(values)) => {
            let place = values.0.first().map_or(value.at, |second| second.at);
            findings.error(place, "a condition has `value` or `values`, not both").also(value.at, "`value`");
            return None;
        }
        (value, None) => value.iter().collect(),
        (None, Some(values)) => values.0.iter().collect(),
    };
    let operator = written.operator.as_ref().and_then(|word| operator(word, findings));
    let key = written.key.as_ref()?;
    match facts.table.resolve(key) {
        Ok(fact) => facts.used.push((fact, key.at)),
        Err(error) => {
            unknown_key(key, &error, &facts.table, findings);
            return None;
        }
    }
    let scalars = values.iter().map(|value| scalar(value)).collect();
    if written.flawed {
        return None;
    }
    match Condition::test(&mut facts.table, key, operator?, scalars) {
        Ok(condition) => {
            if let Condition::Test(test) = &condition {
                let values = values.iter().map(|value| (scalar(value).to_string(), value.at));
                unfit::warn(test, values, facts, findings);
            }
            Some(condition)
        }
        Err(error) => {
            let place = match &error {
                ConditionError::Key(_) => key.at,
                ConditionError::Values { index, .. } => values.get(*index).map_or(key.at, |value| value.at),
                _ => written.operator.as_ref().map_or(key.at, |word| word.at),
            };
            findings.error(place, error.to_string());
            None
        }
    }
}

fn operator(word: &At<OperatorWord>, findings: &mut Findings) -> Option<Operator> {
    let text = word.value.0.as_str();
    let operator = text.parse().ok();
    if operator.is_none() {
        let finding = findings.error(word.at, format!("`{text}` is not an operator"));
        // `GTE` looks most like `GT`, and means `GE`; `NOT_CONTAINS` looks most like its contrary.
        match (Operator::meant_by(text), Operator::denied_by(text)) {
            (Some(meant), _) => finding.suggest(meant.as_str(), [meant.as_str()]),
            (None, Some(denied)) => {
                let operator = denied.map_or("EQ", Operator::as_str);
                finding.help(format!(
                    "`not: {{ key: ..., operator: {operator}, ... }}` is its contrary; valid: {}",
                    Operator::NAMES.join(", ")
                ))
            }
            (None, None) => finding.suggest_or_list(text, Operator::NAMES.iter().copied()),
        };
    }
    operator
}

/// Tells a key that names no fact, with the nearest one that exists.
pub(super) fn unknown_key(key: &At<String>, error: &FactError, facts: &FactTable, findings: &mut Findings) {
    match error {
        FactError::Unknown { .. } => {
            let finding = findings.error(key.at, format!("`{}` is not a fact", key.value));
            finding.help("declare it under `facts`, or write `header:NAME` or `query:NAME`");
            finding.suggest(key, facts.names().chain(["tag"]));
        }
        other => {
            findings.error(key.at, other.to_string());
        }
    }
}

fn scalar(value: &At<FileScalar>) -> Scalar {
    match &value.value {
        FileScalar::Text(text) => Scalar::Text(text.clone()),
        FileScalar::Number(number) => Scalar::Number(*number),
        FileScalar::Bool(flag) => Scalar::Bool(*flag),
    }
}
