//! What a configuration centre says, and what it makes of the documents held so far. Nothing is called here.
//!
//! A delta is taken only if everything about it fits: its base is the version held and older than what it leads to, it adds what is not there, changes
//! and removes what is, and the digest is that of the result. Otherwise nothing of it is taken, and the whole set is asked
//! for.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::call::digest;
use super::super::{Order, SourceError};

/// The longest name of a document.
const LONGEST_NAME: usize = 512;

/// The whole set, or a delta: exactly one of `documents` and `base` is there.
#[derive(Debug, Deserialize)]
struct Said {
    version: u64,
    #[serde(default)]
    lineage: String,
    documents: Option<Vec<Document>>,
    base: Option<u64>,
    #[serde(default)]
    added: Vec<Document>,
    #[serde(default)]
    changed: Vec<Document>,
    #[serde(default)]
    removed: Vec<String>,
    digest: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Document {
    name: String,
    text: String,
}

/// What is held, with the place it has in the centre's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) lineage: String,
    pub(super) version: u64,
    /// Texts by name.
    pub(super) documents: BTreeMap<String, String>,
}

/// What an answer comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Something else is to be held now.
    New(Held),
    /// It is what is held.
    Same,
    /// A delta to something else; ask for the whole set.
    Misfit(String),
}

impl Held {
    /// The place among the states of the centre.
    pub(super) fn order(&self) -> Order {
        Order { lineage: self.lineage.clone(), number: self.version }
    }
}

/// What the body of an answer makes of what is held.
pub(super) fn take(held: Option<&Held>, body: &[u8]) -> Result<Taken, SourceError> {
    let said: Said = serde_json::from_slice(body).map_err(|error| SourceError::Garbled(error.to_string()))?;
    let next = match (&said.documents, said.base) {
        (Some(_), None) => whole(said)?,
        (None, Some(base)) => match delta(held, base, said) {
            Ok(next) => next,
            Err(why) => return Ok(Taken::Misfit(why)),
        },
        _ => return Err(SourceError::Garbled("neither `documents` nor `base`, or both of them".to_owned())),
    };
    check_names(&next)?;
    match held.filter(|held| held.order() == next.order()) {
        Some(held) if held.documents == next.documents => Ok(Taken::Same),
        Some(_) => Err(SourceError::Garbled(format!("version {} with other documents than before", next.version))),
        None => Ok(Taken::New(next)),
    }
}

fn whole(said: Said) -> Result<Held, SourceError> {
    let mut documents = BTreeMap::new();
    for Document { name, text } in said.documents.unwrap_or_default() {
        if documents.contains_key(&name) {
            return Err(SourceError::Garbled(format!("document `{name}` is there twice")));
        }
        documents.insert(name, text);
    }
    if !is_digest(said.digest.as_deref(), &documents) {
        return Err(SourceError::Garbled("the digest is not that of the documents".to_owned()));
    }
    Ok(Held { lineage: said.lineage, version: said.version, documents })
}

/// Why a delta does not fit is told to whoever looks into it.
fn delta(held: Option<&Held>, base: u64, said: Said) -> Result<Held, String> {
    let fits = |held: &&Held| held.lineage == said.lineage && held.version == base && base < said.version;
    let held =
        held.filter(fits).ok_or_else(|| format!("from version {base} to {}, and another one is held", said.version))?;
    let mut documents = held.documents.clone();
    for Document { name, text } in said.added {
        if documents.contains_key(&name) {
            return Err(format!("`{name}` is added and was there"));
        }
        documents.insert(name, text);
    }
    for Document { name, text } in said.changed {
        let there = documents.get_mut(&name).ok_or_else(|| format!("`{name}` is changed and was not there"))?;
        *there = text;
    }
    for name in said.removed {
        documents.remove(&name).ok_or_else(|| format!("`{name}` is removed and was not there"))?;
    }
    if !is_digest(said.digest.as_deref(), &documents) {
        return Err("the digest is not that of the result".to_owned());
    }
    Ok(Held { lineage: said.lineage, version: said.version, documents })
}

fn is_digest(said: Option<&str>, documents: &BTreeMap<String, String>) -> bool {
    said.is_none_or(|said| {
        said.eq_ignore_ascii_case(&digest(documents.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
    })
}

fn check_names(next: &Held) -> Result<(), SourceError> {
    let bad = |name: &&String| name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control);
    let Some(name) = next.documents.keys().find(bad) else { return Ok(()) };
    let shown: String = name.chars().take(40).collect();
    Err(SourceError::Garbled(format!("`{}` is no name of a document", shown.escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(version: u64, documents: &[(&str, &str)]) -> Held {
        let documents = documents.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Held { lineage: String::new(), version, documents }
    }

    /// What an answer makes of `a` and `b` at version 3: `New`, `Same`, `Misfit`, or the kind of the error.
    fn check(answer: &str, outcome: &str) {
        let before = held(3, &[("a", "1"), ("b", "2")]);
        let taken = match take(Some(&before), answer.as_bytes()) {
            Ok(taken) => format!("{taken:?}"),
            Err(error) => format!("{error:?}"),
        };
        assert!(taken.starts_with(outcome), "{answer}: {taken}, not {outcome}");
    }

    fn new(answer: &str, after: Held) {
        let before = held(3, &[("a", "1"), ("b", "2")]);
        assert_eq!(take(Some(&before), answer.as_bytes()).unwrap(), Taken::New(after), "{answer}");
    }

    #[test]
    fn a_whole_set_takes_the_place_of_what_was_held() {
        new(r#"{"version":4,"documents":[{"name":"c","text":"3"}]}"#, held(4, &[("c", "3")]));
        new(r#"{"version":4,"documents":[]}"#, held(4, &[]));
    }

    #[test]
    fn a_delta_that_fits_adds_changes_and_removes() {
        let whole = digest([("b", "9"), ("c", "3")].into_iter());
        let answer = format!(
            r#"{{"version":5,"base":3,"added":[{{"name":"c","text":"3"}}],"changed":[{{"name":"b","text":"9"}}],
                "removed":["a"],"digest":"{whole}"}}"#
        );
        new(&answer, held(5, &[("b", "9"), ("c", "3")]));
    }

    #[test]
    fn a_delta_that_does_not_fit_is_not_taken() {
        check(r#"{"version":5,"base":2,"removed":["a"]}"#, "Misfit");
        check(r#"{"version":2,"base":3,"removed":["a"]}"#, "Misfit");
        check(r#"{"version":5,"lineage":"other","base":3,"removed":["a"]}"#, "Misfit");
        check(r#"{"version":5,"base":3,"removed":["a","z"]}"#, "Misfit");
        check(r#"{"version":5,"base":3,"changed":[{"name":"z","text":""}]}"#, "Misfit");
        check(r#"{"version":5,"base":3,"added":[{"name":"a","text":""}]}"#, "Misfit");
        check(r#"{"version":5,"base":3,"removed":["a"],"digest":"00"}"#, "Misfit");
        let answer = br#"{"version":5,"base":3}"#;
        assert!(matches!(take(None, answer).unwrap(), Taken::Misfit(_)));
    }

    #[test]
    fn garbage_is_an_error() {
        for answer in [
            "",
            "<html>",
            r#"{"version":5,"documents":[{"name":"a","te"#,
            r#"{"version":-1,"documents":[]}"#,
            r#"{"version":5}"#,
            r#"{"version":5,"base":3,"documents":[]}"#,
            r#"{"version":5,"documents":[{"name":"a","text":""},{"name":"a","text":""}]}"#,
            r#"{"version":5,"documents":[],"digest":"00"}"#,
            r#"{"version":5,"documents":[{"name":"a\nb","text":""}]}"#,
            r#"{"version":5,"documents":[{"name":"","text":""}]}"#,
            r#"{"version":3,"documents":[{"name":"a","text":"other"}]}"#,
        ] {
            check(answer, "Garbled");
        }
    }

    #[test]
    fn the_same_version_again_is_nothing_new() {
        check(r#"{"version":3,"documents":[{"name":"b","text":"2"},{"name":"a","text":"1"}]}"#, "Same");
    }

    #[test]
    fn another_lineage_begins_anew() {
        let lineage = "restored".to_owned();
        let after = Held { lineage, version: 1, documents: BTreeMap::new() };
        new(r#"{"version":1,"lineage":"restored","documents":[]}"#, after);
    }
}
