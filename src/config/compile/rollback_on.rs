//! `rollback_on` and `rollbackOn`: figures that take a release back.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::process::time;
use crate::config::file::FileRollbackOn;
use crate::config::nearest::nearest;
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
        let finding = findings.warn(metric.at, message);
        match nearest_figure(&metric.value) {
            Some(near) => finding.suggest(near, [near]),
            None => finding.suggest_or_list(&metric.value, Sign::ALL.map(Sign::as_str)),
        };
    }
    let near = written.metric.as_ref().filter(|_| sign.is_none()).and_then(|metric| nearest_figure(&metric.value));
    let threshold = written.threshold.as_ref().and_then(|text| threshold(text, sign.map(Sign::unit), near, findings));
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

/// The figure that looks most like a name, which may come without the prefix that all of them have.
fn nearest_figure(name: &str) -> Option<&'static str> {
    let short = |sign: &'static str| sign.trim_start_matches("graylane_");
    let all = Sign::ALL.map(Sign::as_str);
    let near = nearest(name.trim_start_matches("graylane_"), all.map(short))?;
    all.into_iter().find(|sign| short(sign) == near)
}

/// A number, or one with a unit that the figure has. A name that is no figure's may be meant for the one that is `near`.
fn threshold(text: &At<String>, unit: Option<Unit>, near: Option<&str>, findings: &mut Findings) -> Option<Decimal> {
    let written = text.value.trim();
    let plain = || written.parse::<Decimal>().ok();
    let parts = |unit: &str, parts: i64| {
        let number = written.strip_suffix(unit)?.trim_end().parse::<Decimal>().ok()?;
        number.checked_div(Decimal::from(parts))
    };
    let share = || parts("%", 100).or_else(|| parts("‰", 1000));
    let (number, wanted) = match unit {
        None | Some(Unit::Calls) => (plain(), "number"),
        Some(Unit::Share) => (plain().or_else(share), "share: write `5%` or `0.05`"),
        Some(Unit::Seconds) => (plain().or_else(|| seconds(written)), "time: write `1.2s` or `1.2`"),
    };
    let Some(number) = number else {
        let finding = findings.error(text.at, format!("`{}` is no {wanted}", text.value));
        // Only the sidecar's own figures have units, so one of them was meant.
        if let (None, Some(_)) = (unit, share().or_else(|| seconds(written))) {
            finding.help("`%`, `‰` and units of time are for the sidecar's own figures, such as `graylane_error_rate`");
            if let Some(near) = near {
                finding.suggest(near, [near]);
            }
        }
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
