//! Whatever the bytes are, the answer is settings or problems: never a panic, never a long wait.

use std::path::Path;

use proptest::prelude::*;

use super::super::{KeyFiles, Style, load_text};
use super::{BUSINESS_RULE, GOODS};

/// Loads, and renders what was found.
fn survive(bytes: &[u8]) {
    match load_text(Path::new("/nowhere/t.yaml"), bytes, KeyFiles::MayBeAbsent) {
        Ok(loaded) => loaded.warnings.iter().for_each(|warning| drop(warning.render(Style::Plain))),
        Err(problems) => {
            assert!(problems.iter().count() > 0, "refused without a reason");
            drop(problems.render(Style::Coloured));
        }
    }
}

/// Pieces that mean something to YAML or to us.
const PIECES: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "\t",
    "\n",
    "\n  ",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "#",
    "!!str ",
    "---\n",
    "\u{feff}",
    "\0",
    "null",
    "1e999",
    "5%",
    "‰",
    "-1",
    "18446744073709551616",
    "unix:",
    "{*x}",
    "header:",
    "永",
    "\u{202e}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survive(&bytes);
    }

    #[test]
    fn random_pieces_never_panic(pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        survive(text.as_bytes());
    }

    #[test]
    fn a_changed_example_never_panics(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..40_usize, 0..PIECES.len()), 1..6),
        rule in any::<bool>(),
    ) {
        let mut bytes = if rule { BUSINESS_RULE } else { GOODS }.as_bytes().to_vec();
        for (place, length, piece) in edits {
            let start = place.index(bytes.len());
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, PIECES[piece].bytes());
            if bytes.is_empty() {
                bytes.push(b' ');
            }
        }
        survive(&bytes);
    }

    #[test]
    fn a_swapped_value_never_panics(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let mut words: Vec<&str> = GOODS.split_inclusive(' ').collect();
        let (from, to) = (from.index(words.len()), to.index(words.len()));
        words.swap(from, to);
        survive(words.concat().as_bytes());
    }
}
