//! Warnings of conditions that no request can meet.

use crate::config::file::FileCondition;
use crate::config::problem::Findings;
use crate::decide::Condition;

/// Warns where the conditions of a list can never all hold, at the one that makes it so, or where a part of an `any` never
/// does. A list in which something was refused is left alone: what it should have said is not known.
pub(super) fn warn(written: &[FileCondition], compiled: &[Condition], findings: &mut Findings) {
    if written.len() != compiled.len() {
        return;
    }
    if Condition::never_hold(compiled) {
        tell(written, compiled, findings);
        return;
    }
    written.iter().zip(compiled).for_each(|(written, compiled)| within(written, compiled, findings));
}

fn tell(written: &[FileCondition], compiled: &[Condition], findings: &mut Findings) {
    let last = (0..compiled.len()).find(|last| Condition::never_hold(&compiled[..=*last])).unwrap_or_default();
    let culprit = &compiled[last];
    if Condition::never_hold(std::slice::from_ref(culprit)) {
        findings.warn(written[last].at, "this condition can never hold");
        return;
    }
    let other = (0..last).find(|other| Condition::never_hold_together(&[&compiled[*other], culprit]));
    match other {
        Some(other) => {
            findings
                .warn(written[last].at, "this condition contradicts another one: they can never both hold")
                .also(written[other].at, "the other");
        }
        None => {
            findings.warn(written[last].at, "this condition contradicts those before it: they can never all hold");
        }
    }
}

/// A part of an `any` that never holds, while another one may.
fn within(written: &FileCondition, compiled: &Condition, findings: &mut Findings) {
    match (compiled, &written.any, &written.all) {
        (Condition::Any(parts), Some(list), _) if parts.len() == list.len() => {
            for (written, part) in list.iter().zip(parts) {
                if Condition::never_hold(std::slice::from_ref(part)) {
                    findings.warn(written.at, "this part of `any` can never hold");
                } else {
                    within(written, part, findings);
                }
            }
        }
        (Condition::All(parts), _, Some(list)) => warn(list, parts, findings),
        _ => {}
    }
}
