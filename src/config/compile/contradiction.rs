//! Warnings of conditions that no request can meet.

use crate::config::file::FileCondition;
use crate::config::problem::Findings;
use crate::decide::{Condition, Contradiction, Opponent};

/// Warns where the conditions of a list can never all hold, at the one that makes it so, or where a part of an `any` never
/// does. A list in which something was refused is left alone: what it should have said is not known.
pub(super) fn warn(written: &[FileCondition], compiled: &[Condition], findings: &mut Findings) {
    if written.len() != compiled.len() {
        return;
    }
    match Condition::contradiction(compiled) {
        Some(found) => tell(written, found, findings),
        None => written.iter().zip(compiled).for_each(|(written, compiled)| within(written, compiled, findings)),
    }
}

fn tell(written: &[FileCondition], found: Contradiction, findings: &mut Findings) {
    let at = written[found.at].at;
    match found.with {
        Opponent::Itself => findings.warn(at, "this condition can never hold"),
        Opponent::Other(other) => findings
            .warn(at, "this condition contradicts another one: they can never both hold")
            .also(written[other].at, "the other"),
        Opponent::AllBefore => findings.warn(at, "this condition contradicts those before it: they can never all hold"),
    };
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
