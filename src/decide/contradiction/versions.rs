//! Requirements on versions as what lies between two of them.

use semver::{Comparator, Op, VersionReq};

use super::span::Span;

/// A version without what stands behind `-` or `+`.
pub(super) type Release = (u64, u64, u64);

/// All versions that meet a requirement lie in here; nothing where it names a pre-release, which is ordered by rules of its own.
/// Without one no pre-release meets it.
pub(super) fn span(requirement: &VersionReq) -> Option<Span<Release>> {
    let comparators = &requirement.comparators;
    if comparators.iter().any(|comparator| !comparator.pre.is_empty()) {
        return None;
    }
    comparators.iter().map(between).reduce(Span::and)
}

/// At least what a comparator lets through.
fn between(comparator: &Comparator) -> Span<Release> {
    let Comparator { op, major, minor, patch, .. } = comparator;
    let least = (*major, minor.unwrap_or(0), patch.unwrap_or(0));
    let (from, above) = (Some((least, true)), Some((least, false)));
    // The first version beyond those that begin with the numbers written.
    let beyond = match (minor, patch) {
        (None, _) => major.checked_add(1).map(|next| (next, 0, 0)),
        (Some(minor), None) => minor.checked_add(1).map(|next| (*major, next, 0)),
        (Some(minor), Some(patch)) => patch.checked_add(1).map(|next| (*major, *minor, next)),
    };
    let next_major = || major.checked_add(1).map(|next| ((next, 0, 0), false));
    let next_minor = || minor.map_or_else(next_major, |minor| Some(((*major, minor.checked_add(1)?, 0), false)));
    let (low, high) = match op {
        Op::Greater if patch.is_some() => (above, None),
        Op::Greater => (beyond.map(|beyond| (beyond, true)), None),
        Op::GreaterEq => (from, None),
        Op::Less => (None, above),
        Op::LessEq => (None, beyond.map(|beyond| (beyond, false))),
        Op::Exact | Op::Wildcard => (from, beyond.map(|beyond| (beyond, false))),
        Op::Tilde => (from, next_minor()),
        // At least: below 1.0.0 a caret lets less through.
        Op::Caret => (from, next_major()),
        _ => (None, None),
    };
    Span { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever meets a requirement lies in its span.
    #[test]
    fn no_version_that_meets_a_requirement_is_outside() {
        let numbers = [0, 1, 2, 3];
        let operators = ["=", ">", ">=", "<", "<=", "~", "^", ""];
        let parts = ["0", "1", "2", "0.0", "0.1", "1.2", "2.0", "0.0.1", "0.1.2", "1.2.3", "2.0.0", "1.*", "1.2.*"];
        for (operator, part) in operators.iter().flat_map(|operator| parts.map(|part| (operator, part))) {
            let text = format!("{operator}{part}");
            let Ok(requirement) = VersionReq::parse(&text) else { continue };
            let span = span(&requirement).unwrap();
            for major in numbers {
                for (minor, patch) in numbers.into_iter().flat_map(|minor| numbers.map(|patch| (minor, patch))) {
                    let meets = requirement.matches(&semver::Version::new(major, minor, patch));
                    let inside = span.contains((major, minor, patch));
                    assert!(inside || !meets, "{text} {major}.{minor}.{patch}");
                    assert!(meets || !inside || matches!(*operator, "^" | ""), "{text} {major}.{minor}.{patch}");
                }
            }
        }
        assert!(span(&VersionReq::parse(">=1.0.0-rc.1").unwrap()).is_none());
    }
}
