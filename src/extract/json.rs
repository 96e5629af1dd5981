//! Values out of JSON text: the scalar at a pointer (RFC 6901), numbers as the digits written. Of a key that stands twice in
//! an object the last counts, as in the parsers of most services.
//!
//! [`JsonText::new`] and [`JsonText::read`] are the entry points for fuzzing: any bytes, any pointer.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use smallvec::{SmallVec, smallvec};

use super::pointer::{Pointer, Pointers};

/// Most bytes of the values of a list that are joined.
const MOST_JOINED: usize = 4096;

/// What stands at a pointer; a part of the text where it stands there as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar<'t> {
    Absent,
    Value(Cow<'t, str>),
    /// An object, or a list where one value is wanted.
    NotOne,
    /// The whole is no JSON.
    NotJson,
}

/// Text that may be JSON.
pub struct JsonText<'t>(&'t str);

impl<'t> JsonText<'t> {
    /// Bytes as text; nothing where they are not UTF-8.
    pub fn new(bytes: &'t [u8]) -> Option<JsonText<'t>> {
        std::str::from_utf8(bytes).ok().map(JsonText)
    }

    /// The value at `pointer` as text: a string without its quotes, a number as its digits, `true` or `false`. A list of
    /// such values gives them joined by commas. Nothing for `null`, an object, and where nothing stands.
    pub fn read(&self, pointer: &Pointer) -> Option<String> {
        match self.scalar(pointer, true) {
            Scalar::Value(value) => Some(value.into_owned()),
            _ => None,
        }
    }

    pub(super) fn scalar(&self, pointer: &Pointer, joins_lists: bool) -> Scalar<'t> {
        let mut found = [None];
        match pointer.alone().walk(self.0, &mut found) {
            Ok(()) => Scalar::of(found[0], joins_lists),
            Err(_) => Scalar::NotJson,
        }
    }

    /// What stands at each of `pointers`, in their order; the text is gone through once.
    pub(super) fn scalars<'p>(
        &self,
        pointers: &'p Pointers,
    ) -> impl ExactSizeIterator<Item = (&'p Pointer, bool, Scalar<'t>)> + use<'p, 't> {
        let mut found: SmallVec<[Option<&RawValue>; 8]> = smallvec![None; pointers.places()];
        let walked = pointers.tree().walk(self.0, &mut found);
        // A number that no type holds, or more depth than is followed, on the way to one value: the others count still.
        let is_odd = walked.is_err() && serde_json::from_str::<IgnoredAny>(self.0).is_ok();
        let text = JsonText(self.0);
        pointers.wanted().map(move |(pointer, joins_lists, place)| {
            let value = match walked {
                Ok(()) => Scalar::of(found[place], joins_lists),
                Err(_) if is_odd => text.scalar(pointer, joins_lists),
                Err(_) => Scalar::NotJson,
            };
            (pointer, joins_lists, value)
        })
    }
}

impl<'t> Scalar<'t> {
    fn of(found: Option<&'t RawValue>, joins_lists: bool) -> Scalar<'t> {
        match found.map(RawValue::get) {
            None | Some("null") => Scalar::Absent,
            Some(raw) => {
                let list = || if joins_lists { joined(raw).map(Cow::Owned) } else { None };
                one(raw).or_else(list).map_or(Scalar::NotOne, Scalar::Value)
            }
        }
    }

    /// The same, when the text is no more.
    pub(super) fn into_owned(self) -> Scalar<'static> {
        match self {
            Scalar::Value(value) => Scalar::Value(Cow::Owned(value.into_owned())),
            Scalar::Absent => Scalar::Absent,
            Scalar::NotOne => Scalar::NotOne,
            Scalar::NotJson => Scalar::NotJson,
        }
    }
}

fn one(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        // What holds no escape stands there as it is meant; the text is JSON, so a quote is at its end.
        b'"' if !raw.contains('\\') => Some(Cow::Borrowed(&raw[1..raw.len() - 1])),
        b'"' => serde_json::from_str(raw).ok().map(Cow::Owned),
        b'{' | b'[' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

fn joined(raw: &str) -> Option<String> {
    let parts: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    let mut joined = String::new();
    for part in parts {
        let part = one(part.get())?;
        if joined.len() + part.len() > MOST_JOINED {
            return None;
        }
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(&part);
    }
    Some(joined)
}

/// A text such as a member's name, borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
pub(super) struct Key<'k>(#[serde(borrow)] pub(super) Cow<'k, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, pointer: &str, expected: Scalar<'_>) {
        let text = JsonText::new(text.as_bytes()).unwrap();
        assert_eq!(text.scalar(&Pointer::new(pointer), false), expected, "{pointer}");
    }

    fn value(text: &str) -> Scalar<'_> {
        Scalar::Value(text.into())
    }

    #[test]
    fn pointers_find_scalars_as_they_are_written() {
        let order = r#" {"items":[{"sku_id":"A-1","n":7}, {"sku_id":12345678901234567890123}],"amount":299.00,"a/b":{"~x":true},
            "u":"\u5546","none":null,"":"empty"} "#;
        check(order, "/items/0/sku_id", value("A-1"));
        check(order, "/items/1/sku_id", value("12345678901234567890123"));
        check(order, "/amount", value("299.00"));
        check(order, "/a~1b/~0x", value("true"));
        check(order, "/u", value("商"));
        check(order, "/", value("empty"));
        for absent in
            ["/none", "/items/2/sku_id", "/items/00/sku_id", "/items/-/sku_id", "/amount/x", "/missing", "/u/0"]
        {
            check(order, absent, Scalar::Absent);
        }
        check(order, "/items", Scalar::NotOne);
        check(order, "/items/0", Scalar::NotOne);
    }

    #[test]
    fn numbers_keep_every_digit() {
        let long = "9".repeat(400);
        check(&format!("{{\"id\":{long}}}"), "/id", value(&long));
        check("{\"id\":9007199254740993}", "/id", value("9007199254740993"));
        check("{\"id\":1e999}", "/id", value("1e999"));
        check("{\"a\":1e999,\"id\":-0.10}", "/id", value("-0.10"));
        check("{\"id\":NaN}", "/id", Scalar::NotJson);
    }

    #[test]
    fn the_last_of_a_doubled_key_counts() {
        check(r#"{"a":1,"a":2}"#, "/a", value("2"));
        check(r#"{"a":{"b":1},"a":{"c":2}}"#, "/a/b", Scalar::Absent);
    }

    #[test]
    fn what_is_no_json_is_told_wherever_it_is_broken() {
        for text in ["", "{", "[1,]", "{\"a\":1}x", "{\"a\":1,}", "{a:1}", "'a'", "{\"a\":01}", "{\"b\":tru,\"a\":1}"] {
            check(text, "/a", Scalar::NotJson);
        }
        assert!(JsonText::new(b"{\"a\":\"\xff\"}").is_none());
    }

    #[test]
    fn depth_is_skipped_and_never_followed() {
        let deep =
            |open: &str, close: &str| format!("{{\"bomb\":{}{},\"a\":1}}", open.repeat(30_000), close.repeat(30_000));
        check(&deep("[", "]"), "/a", value("1"));
        let objects = format!("{{\"bomb\":{}1{},\"a\":1}}", "{\"x\":".repeat(9_000), "}".repeat(9_000));
        check(&objects, "/a", value("1"));
        check(&"[".repeat(60_000), "/0/0/0", Scalar::NotJson);
        // A pointer as deep as anybody may write is followed or refused, but never overflows the stack.
        let pointer = Pointer::new(&"/0".repeat(5_000));
        let text = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let _ = JsonText::new(text.as_bytes()).unwrap().scalar(&pointer, false);
    }

    #[test]
    fn lists_join_where_a_set_is_wanted() {
        let text = JsonText::new(br#"{"tags":["vip",7,"new"],"deep":[["a"]]}"#).unwrap();
        assert_eq!(text.scalar(&Pointer::new("/tags"), true), value("vip,7,new"));
        assert_eq!(text.scalar(&Pointer::new("/deep"), true), Scalar::NotOne);
    }

    /// Each of them with its value, where lists are joined as asked.
    fn together(text: &str, wanted: &[(&str, bool)]) -> Vec<Scalar<'static>> {
        let pointers = Pointers::new(wanted.iter().map(|(text, joins)| (Pointer::new(text), *joins)));
        let text = JsonText::new(text.as_bytes()).unwrap();
        let read = text.scalars(&pointers).map(|(pointer, joins, value)| {
            assert_eq!(value, text.scalar(pointer, joins), "{} alone", pointer.as_str());
            value.into_owned()
        });
        read.collect()
    }

    #[test]
    fn what_is_read_together_is_what_is_read_alone() {
        let order = r#"{"items":[{"sku":"A","n":1},{"sku":"B"}],"tags":["vip",7],"user":{"id":7,"tier":"VIP"},"user":{"id":8}}"#;
        let wanted = [
            ("/items/1/sku", false),
            ("/items/0/sku", false),
            ("/items/0", false),
            ("/tags", true),
            ("/tags", false),
            ("/tags/0", false),
            ("/user/id", false),
            ("/user/tier", false),
            ("", false),
            ("/tags", true),
        ];
        let expected = [
            value("B"),
            value("A"),
            Scalar::NotOne,
            value("vip,7"),
            Scalar::NotOne,
            value("vip"),
            value("8"),
            Scalar::Absent,
            Scalar::NotOne,
        ];
        assert_eq!(together(order, &wanted), expected);
    }

    #[test]
    fn what_is_odd_on_one_way_hides_nothing_on_another() {
        for odd in ["1e999", &format!("{{\"b\":{}{}}}", "[".repeat(200), "]".repeat(200))] {
            let deep = format!("/a/b{}", "/0".repeat(150));
            let read = together(&format!("{{\"a\":{odd},\"u\":\"u1\"}}"), &[(&deep, false), ("/u", false)]);
            assert_eq!(read[1], value("u1"), "{odd}");
        }
        // Refused or absent, whatever other facts read.
        let both = together("{\"a\":1e999,\"u\":1}", &[("/a", false), ("/a/b", false), ("/u", false)]);
        assert_eq!(both, [value("1e999"), Scalar::NotJson, value("1")]);
        assert_eq!(together("{\"a\":1", &[("/a", false), ("/b", false)]), [Scalar::NotJson, Scalar::NotJson]);
    }

    #[test]
    fn a_claim_is_a_name_or_a_pointer() {
        let text = JsonText::new(br#"{"https://shop/tier":"VIP","a":{"b":"c"}}"#).unwrap();
        assert_eq!(text.read(&Pointer::claim("https://shop/tier")).as_deref(), Some("VIP"));
        assert_eq!(text.read(&Pointer::claim("/a/b")).as_deref(), Some("c"));
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_pointer_are_borne(bytes in proptest::collection::vec(any::<u8>(), 0..200), pointer in "(/[a-z0-9~]{0,3}){0,4}") {
            if let Some(text) = JsonText::new(&bytes) {
                let _ = text.read(&Pointer::new(&pointer));
            }
        }

        #[test]
        fn what_other_parsers_find_is_found(key in "[a-z~/]{1,4}", number in any::<i64>(), text in ".{0,20}") {
            let whole = serde_json::json!({ "x": [1, { &key: text, "n": number }] });
            let written = whole.to_string();
            let json = JsonText::new(written.as_bytes()).unwrap();
            let pointer = format!("/x/1/{}", key.replace('~', "~0").replace('/', "~1"));
            let expected = whole.pointer(&pointer).and_then(|value| value.as_str().map(str::to_owned).or_else(|| Some(value.to_string())));
            prop_assert_eq!(json.read(&Pointer::new(&pointer)), expected);
        }
    }
}
