//! `rollback_on` and `rollbackOn`: figures that take a release back.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::process::time;
use crate::config::file::FileRollbackOn;
use crate::config::problem::Findings;
use crate::config::rollback::RollbackFigure;
use crate::config::text::At;
use crate::config::units::parse_time;
use crate::resilience::{Criterion, Relation, Sign, Unit};

/// The figures that roll back. One that the sidecar does not have is kept, with a warning.
pub(super) fn figures(written: Option<&Vec<FileRollbackOn>>, findings: &mut Findings) -> Vec<RollbackFigure> {
    written.into_iter().flatten().filter_map(|figure| self::figure(figure, findings)).collect()
}

fn figure(written: &FileRollbackOn, findings: &mut Findings) -> Option<RollbackFigure> {
    let sign = written.metric.as_ref().and_then(|metric| Sign::named(&metric.value));
    if let Some(metric) = written.metric.as_ref().filter(|_| sign.is_none()) {
        let message = format!(
            "`{}` is none of the sidecar's own figures: it is kept and shown, but not yet enforced",
            metric.value
        );
        findings.warn(metric.at, message).suggest_or_list(&metric.value, Sign::ALL.map(Sign::as_str));
    }
    let threshold = written.threshold.as_ref().and_then(|text| threshold(text, sign.map(Sign::unit), findings));
    let relation = relation(written, sign, findings);
    let duration = time(written.duration.as_ref(), Duration::ZERO);
    let (threshold, relation) = (threshold?, relation?);
    let criterion = sign.map(|sign| Criterion {
        sign,
        relation,
        limit: threshold.to_f64().unwrap_or(f64::INFINITY),
        lasting: duration,
    });
    let metric = written.metric.as_ref()?;
    if let (Some(sign), Some(at)) = (sign, &written.threshold)
        && is_always(sign, relation, threshold)
    {
        findings.error(
            at.at,
            format!("`{}` is {} {} at every time", metric.value, relation.as_str(), threshold.normalize()),
        );
    }
    let operator = relation.as_str().to_owned();
    Some(RollbackFigure { metric: metric.value.clone(), operator, threshold, duration, criterion })
}

/// Whether a figure, which is never less than 0, always holds.
fn is_always(sign: Sign, relation: Relation, threshold: Decimal) -> bool {
    let whole = sign.unit() == Unit::Share && threshold == Decimal::ONE;
    matches!((relation, threshold.is_zero(), whole), (Relation::Ge, true, _) | (Relation::Le, _, true))
}

fn relation(written: &FileRollbackOn, sign: Option<Sign>, findings: &mut Findings) -> Option<Relation> {
    let Some(word) = &written.operator else {
        if let (Some(sign), Some(metric)) = (sign.filter(|sign| !sign.is_worse_upward()), &written.metric) {
            findings
                .error(metric.at, format!("more of `{}` is not worse, so it needs an `operator`", sign.as_str()))
                .help("write `operator: LE`");
            return None;
        }
        return Some(Relation::Ge);
    };
    let relation = Relation::ALL.into_iter().find(|relation| relation.as_str() == word.value);
    if relation.is_none() {
        findings
            .error(word.at, format!("`{}` does not compare numbers", word.value))
            .suggest_or_list(word, Relation::ALL.map(Relation::as_str));
    }
    relation
}

/// A number, or one with a unit that the figure has.
fn threshold(text: &At<String>, unit: Option<Unit>, findings: &mut Findings) -> Option<Decimal> {
    let written = text.value.trim();
    let plain = || written.parse::<Decimal>().ok();
    let parts = |unit: &str, parts: i64| {
        let number = written.strip_suffix(unit)?.trim_end().parse::<Decimal>().ok()?;
        number.checked_div(Decimal::from(parts))
    };
    let (number, example) = match unit {
        None | Some(Unit::Calls) => (plain(), ""),
        Some(Unit::Share) => {
            (plain().or_else(|| parts("%", 100)).or_else(|| parts("‰", 1000)), " such as `5%` or `0.05`")
        }
        Some(Unit::Seconds) => (plain().or_else(|| seconds(written)), " such as `1.2s` or `1.2`"),
    };
    let Some(number) = number else {
        findings.error(text.at, format!("`{}` is no number{example}", text.value));
        return None;
    };
    if unit.is_some() && number.is_sign_negative() && !number.is_zero() {
        findings.error(text.at, format!("`{}` is less than nothing, which no figure of the sidecar's is", text.value));
        return None;
    }
    if unit == Some(Unit::Share) && number > Decimal::ONE {
        findings
            .error(text.at, format!("`{}` is more than all calls: shares are 0 to 1", text.value))
            .help("write a percentage as `5%`");
        return None;
    }
    Some(number)
}

fn seconds(text: &str) -> Option<Decimal> {
    let nanos = i64::try_from(parse_time(text).ok()?.as_nanos()).ok()?;
    Decimal::from(nanos).checked_div(Decimal::from(1_000_000_000))
}
