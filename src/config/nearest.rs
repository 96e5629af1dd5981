//! The valid word nearest to a wrong one.

/// More candidates are not looked at: a suggestion is a courtesy, not worth seconds.
const MOST_CANDIDATES: usize = 5000;

/// The candidate a person most likely meant, or none where all are far away.
pub(super) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const LONGEST: usize = 64;
    if wrong.is_empty() || wrong.len() > LONGEST {
        return None;
    }
    let lower = wrong.to_lowercase();
    let length = wrong.chars().count();
    let reach = (length / 3).max(1);
    candidates
        .into_iter()
        .take(MOST_CANDIDATES)
        .filter(|candidate| candidate.len() <= 2 * LONGEST)
        .filter_map(|candidate| {
            let there = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &there);
            let prefix =
                lower.len() >= 3 && (there.starts_with(&lower) || lower.starts_with(&there) && there.len() >= 3);
            (distance <= reach && distance < length || prefix).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[track_caller]
    fn check(wrong: &str, candidates: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(wrong, candidates.iter().copied()).as_deref(), expected);
    }

    #[test]
    fn finds_the_word_that_was_meant() {
        check("permile", &["permille", "level"], Some("permille"));
        check("in", &["EQ", "IN", "NOT_IN"], Some("IN"));
        check("goods-stabel", &["goods-gray", "goods-stable"], Some("goods-stable"));
        check("path_prefix", &["path", "methods"], Some("path"));
        check("zzz", &["permille", "level"], None);
        check("", &["level"], None);
        check("c", &["a", "b"], None);
        check("B", &["a", "b"], Some("b"));
    }
}
