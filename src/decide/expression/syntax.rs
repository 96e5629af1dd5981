//! What is no expression, in words: the place where the parser stumbled, and what other languages write there. The parser's
//! own words speak of its grammar.

use super::ExpressionError;
use super::fence::error;

/// What other languages write, and what is meant.
const MEANT: [(&str, &str); 7] =
    [("=", "=="), ("&", "&&"), ("|", "||"), ("and", "&&"), ("or", "||"), ("not", "!"), ("is", "==")];

/// What is wrong at a byte of the source; of the whole where no place is known.
pub(super) fn fault(source: &str, at: Option<usize>) -> ExpressionError {
    let Some(at) = at else { return error(0..source.len(), "this is no expression") };
    let end = source.trim_end().len();
    if at >= end {
        let last = source[..end].char_indices().next_back().map_or(0, |(last, _)| last);
        return error(last..end, format!("the expression ends too early{}", unclosed(source)));
    }
    let Some(word) = source.get(at..).map(token) else { return error(0..source.len(), "this is no expression") };
    let meant = MEANT.iter().find(|(other, _)| word.eq_ignore_ascii_case(other)).map(|(_, meant)| (*meant).to_owned());
    ExpressionError { nearest: meant, ..error(at..at + word.len(), format!("`{word}` is not expected here")) }
}

/// The word, text or sign at the beginning.
fn token(rest: &str) -> &str {
    let first = rest.chars().next().unwrap_or_default();
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let end = match first {
        '"' | '\'' => rest[1..].find(first).map(|end| end + 2),
        first if is_of_word(first) => rest.find(|c| !is_of_word(c)),
        first => Some(first.len_utf8()),
    };
    &rest[..end.unwrap_or(rest.len())]
}

/// Which bracket is still open.
fn unclosed(source: &str) -> &'static str {
    let mut open = Vec::new();
    let mut quote = None;
    for c in source.chars() {
        match (quote, c) {
            (Some(inside), c) if c == inside => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[') => open.push(c),
            (None, ')' | ']') => drop(open.pop()),
            _ => {}
        }
    }
    match open.last() {
        Some('(') => ": `)` is missing",
        Some(_) => ": `]` is missing",
        None => "",
    }
}
