//! Values out of JSON text: the scalar at a pointer (RFC 6901), numbers as the digits written.
//!
//! Only the way to the value is followed by recursion, so the pointer bounds the depth; all else is skipped without. Of a
//! key that stands twice in an object the last counts, as in the parsers of most services.
//!
//! [`JsonText::new`] and [`JsonText::read`] are the entry points for fuzzing: any bytes, any pointer.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Most bytes of the values of a list that are joined.
const MOST_JOINED: usize = 4096;

/// A JSON pointer, or the name of a member. A copy is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer(Arc<Steps>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Steps {
    written: Box<str>,
    tokens: Box<[Box<str>]>,
}

impl Pointer {
    /// A pointer of RFC 6901, as `/items/0/sku_id`.
    pub fn new(text: &str) -> Pointer {
        let tokens = text.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~").into());
        Pointer(Arc::new(Steps { written: text.into(), tokens: tokens.collect() }))
    }

    /// A claim: a pointer where it begins with `/`, else the name of a member of the whole.
    pub fn claim(text: &str) -> Pointer {
        if text.starts_with('/') {
            return Pointer::new(text);
        }
        Pointer(Arc::new(Steps { written: text.into(), tokens: Box::new([text.into()]) }))
    }

    /// As it is written in the configuration.
    pub fn as_str(&self) -> &str {
        &self.0.written
    }
}

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
        let mut reader = serde_json::Deserializer::from_str(self.0);
        let found = Walk(&pointer.0.tokens).deserialize(&mut reader);
        let Ok(found) = found.and_then(|found| reader.end().map(|()| found)) else { return Scalar::NotJson };
        match found.map(RawValue::get) {
            None | Some("null") => Scalar::Absent,
            Some(raw) => {
                let list = || if joins_lists { joined(raw).map(Cow::Owned) } else { None };
                one(raw).or_else(list).map_or(Scalar::NotOne, Scalar::Value)
            }
        }
    }
}

impl Scalar<'_> {
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

/// Goes down along what is left of a pointer.
struct Walk<'p>(&'p [Box<str>]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let Some((token, rest)) = self.0.split_first() else { return Ok(None) };
        while let Some(Key(key)) = map.next_key()? {
            if *key == **token {
                found = map.next_value_seed(Walk(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let Some((token, rest)) = self.0.split_first() else { return Ok(None) };
        let wanted = place(token);
        for at in 0_usize.. {
            let is_there = if Some(at) == wanted {
                seq.next_element_seed(Walk(rest))?.map(|value| found = value).is_some()
            } else {
                seq.next_element::<IgnoredAny>()?.is_some()
            };
            if !is_there {
                break;
            }
        }
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// An index of RFC 6901: digits without leading zeros.
fn place(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if plain { token.parse().ok() } else { None }
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
