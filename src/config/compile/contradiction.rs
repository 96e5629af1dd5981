//! Warnings of conditions that no request can meet.

use crate::config::file::FileCondition;
use crate::config::problem::Findings;
use crate::config::text::Span;
use crate::decide::{Condition, Contradiction, Opponent};

/// Warns where the conditions of a list, and the expression beside it, can never all hold, at the one that makes it so, or where
/// a part of an `any` never does. A list in which something was refused is left alone: what it should have said is not known.
pub(super) fn warn(written: &[FileCondition], beside: Option<Span>, compiled: &[Condition], findings: &mut Findings) {
    let places: Vec<Span> = written.iter().map(|condition| condition.at).chain(beside).collect();
    if places.len() != compiled.len() {
        return;
    }
    match Condition::contradiction(compiled) {
        Some(found) => tell(&places, found, findings),
        None => written.iter().zip(compiled).for_each(|(written, compiled)| within(written, compiled, findings)),
    }
}

fn tell(places: &[Span], found: Contradiction, findings: &mut Findings) {
    let at = places[found.at];
    match found.with {
        Opponent::Itself => findings.warn(at, "this condition can never hold"),
        Opponent::Other(other) => findings
            .warn(at, "this condition contradicts another one: they can never both hold")
            .also(places[other], "the other"),
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
        (Condition::All(parts), _, Some(list)) => warn(list, None, parts, findings),
        _ => {}
    }
}
