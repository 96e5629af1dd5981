//! Entries for fuzzing: bytes in, nothing out; only a panic or a stall is wrong.

use std::borrow::Cow;
use std::path::Path;

use super::compile::{KeyFiles, expression};
use super::load_text;
use super::problem::Style;
use crate::decide::{Expression, FactId, Facts};

/// Loads bytes as a configuration and tells what is wrong with them.
pub fn check_bytes(bytes: &[u8]) {
    match load_text(Path::new("/nowhere/fuzz.yaml"), bytes, KeyFiles::MayBeAbsent) {
        Ok(loaded) => loaded.warnings.iter().for_each(|warning| drop(warning.to_string())),
        Err(problems) => drop(problems.render(Style::Plain)),
    }
}

/// Compiles bytes as an expression over the built-in facts and evaluates it: with no fact, and with the bytes as
/// every fact.
pub fn check_expression(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(expression) = expression::alone(&text) else { return };
    assert!(expression.steps() <= Expression::MOST_STEPS);
    let _ = expression.holds(&Same(None)) | expression.holds(&Same(Some(&text))) | expression.holds(&Same(Some("7")));
}

/// Every fact has one value.
struct Same<'a>(Option<&'a str>);

impl Facts for Same<'_> {
    fn get(&self, _: FactId) -> Option<Cow<'_, str>> {
        self.0.map(Cow::Borrowed)
    }
}
