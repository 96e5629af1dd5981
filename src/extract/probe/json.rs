//! JSON text against another reader of it.

use serde_json::Value;

use super::super::json::{JsonText, Scalar};
use super::super::pointer::{Pointer, Pointers};

/// What the other reader does not follow either.
const DEEPEST: usize = 64;

/// Reads bytes, behind a line of pointers with spaces between them, as a JSON body; panics where a value is not what
/// `serde_json` finds there, or is another one when all are read together.
pub fn check_json(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(line), Some(body)) = (parts.next(), parts.next()) else { return };
    let (Ok(line), Some(text)) = (std::str::from_utf8(line), JsonText::new(body)) else { return };
    let written: Vec<&str> = line.split(' ').take(8).filter(|text| text.split('/').count() < DEEPEST).collect();
    // A member of this name, escaped or not, means another text to the other reader.
    let has = |word: &str| body.windows(word.len()).any(|part| part == word.as_bytes());
    let is_plain = !has("RawValue") && !has("\\u00");
    let other = serde_json::from_slice::<Value>(body).ok().filter(|_| is_plain);
    for text_of_pointer in &written {
        let pointer = Pointer::claim(text_of_pointer);
        let value = text.scalar(&pointer, false);
        if let Some(whole) = &other {
            let expected = match text_of_pointer.starts_with('/') {
                true => whole.pointer(text_of_pointer),
                // Of a list that is no claim set nobody asks for a claim.
                false if whole.is_array() => continue,
                false => whole.get(text_of_pointer),
            };
            assert!(is_same(&value, expected), "{value:?} at {text_of_pointer}, {expected:?} to others");
        }
        drop(text.read(&pointer));
    }
    let wanted = written.iter().enumerate().map(|(n, text)| (Pointer::claim(text), n % 3 == 0));
    let pointers = Pointers::new(wanted);
    for (pointer, joins_lists, together) in text.scalars(&pointers) {
        let alone = text.scalar(pointer, joins_lists);
        assert_eq!(together, alone, "at {}, together and alone", pointer.as_str());
    }
}

fn is_same(value: &Scalar<'_>, expected: Option<&Value>) -> bool {
    match (value, expected) {
        (Scalar::Absent, None | Some(Value::Null)) => true,
        (Scalar::NotOne, Some(Value::Array(_) | Value::Object(_))) => true,
        (Scalar::Value(text), Some(Value::String(expected))) => text == expected,
        (Scalar::Value(text), Some(Value::Bool(expected))) => *text == expected.to_string(),
        (Scalar::Value(text), Some(Value::Number(expected))) => match (text.parse::<f64>(), expected.as_f64()) {
            // The other reader may be a hair off.
            (Ok(value), Some(expected)) => (value - expected).abs() <= expected.abs() * 1e-12,
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a reader of JSON trips over, in any order.
    fn words() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\"",
            "\"\\u0061\"",
            "\"\\ud800\"",
            "null",
            "true",
            "1",
            "-0",
            "1e999",
            "01",
            "1.50",
            "\"",
            "\\",
            " ",
            "\n",
            "{\"a\":",
            "[[",
            "]]",
        ]);
        prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_others_read_it(body in words(), pointers in "(/[ab01]){0,3}( (/[ab01]){1,2}){0,2}") {
            check_json(format!("{pointers}\n{body}").as_bytes());
        }
    }

    #[test]
    fn a_body_is_read_as_others_read_it() {
        for body in
            [r#"{"a":{"b":[1,2]},"a":{"b":7}}"#, r#"{"a":"\u00e5\n","b":[true,null,-0.10,{"b":{}}]}"#, "[1e2,\"\"]"]
        {
            check_json(format!("/a/b /a/b/0 /b/2 /b/3/b /a /0 /1 a\n{body}").as_bytes());
        }
    }
}
