//! graylane's own access log, field by field as `docs/access-log.md` has it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Buckets, Decided, Known, Line, Unreadable};
use crate::decide::{Bucket, FactId};

/// A line as it stands there; what replay does not use is skipped.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Raw<'a> {
    #[serde(borrow)]
    client: Option<Text<'a>>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    host: Option<Text<'a>>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    user: Option<Text<'a>>,
    #[serde(borrow)]
    device: Option<Text<'a>>,
    #[serde(borrow)]
    sku_id: Option<Text<'a>>,
    #[serde(borrow)]
    category_id: Option<Text<'a>>,
    #[serde(borrow)]
    order_amount: Option<Text<'a>>,
    #[serde(borrow, default)]
    facts: Pairs<'a>,
    #[serde(borrow, default)]
    absent: Vec<Text<'a>>,
    route: Option<IgnoredAny>,
    #[serde(borrow)]
    lane: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    decided_reason: Option<Text<'a>>,
    #[serde(borrow)]
    release: Option<Text<'a>>,
    bucket: Option<u16>,
    #[serde(borrow)]
    salt: Option<Text<'a>>,
    #[serde(borrow)]
    key: Option<Text<'a>>,
    ab_bucket: Option<u16>,
    #[serde(borrow)]
    ab_salt: Option<Text<'a>>,
    shielded: Option<IgnoredAny>,
    limited: Option<IgnoredAny>,
}

/// The facts with a field of their own, in the order of these fields.
pub(super) const OWN: [(&str, FactId); 5] = [
    ("user_id", FactId::USER_ID),
    ("device_id", FactId::DEVICE_ID),
    ("sku_id", FactId::SKU_ID),
    ("category_id", FactId::CATEGORY_ID),
    ("order_amount", FactId::ORDER_AMOUNT),
];

pub(super) fn read<'a>(text: &'a str) -> Result<Line<'a>, Unreadable> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Unreadable::NotOurs);
    }
    let raw: Raw<'a> = serde_json::from_str(text).map_err(|error| Unreadable::not_json(&error))?;
    let method = raw.method.ok_or(Unreadable::Missing("`method`"))?;
    let path = raw.path.ok_or(Unreadable::Missing("`path`"))?;
    if is_cut(&path.0) {
        return Err(Unreadable::CutPath);
    }
    let mut line =
        Line { method: method.0, path: path.0, host: known(raw.host), client: known(raw.client), ..Line::default() };
    let own = [raw.user, raw.device, raw.sku_id, raw.category_id, raw.order_amount];
    for ((name, fact), value) in OWN.into_iter().zip(own) {
        match value {
            Some(value) => line.put(name.into(), known(Some(value))),
            // Facts are read on a route only: without one the log says nothing of them.
            None if raw.route.is_some() => line.left_out.push(fact),
            None => {}
        }
    }
    raw.facts.0.into_iter().for_each(|(name, value)| line.put(name.0, known(Some(value))));
    if raw.absent.iter().any(|name| OWN.iter().any(|(own, _)| *own == name.0)) {
        // Only lines that name all that are absent name one of these.
        line.left_out.clear();
    }
    raw.absent.into_iter().for_each(|name| line.put(name.0, Known::Absent));
    let pairs = [(raw.bucket, raw.salt), (raw.ab_bucket, raw.ab_salt)];
    let pair = |(bucket, salt): (Option<u16>, Option<Text<'a>>)| Some((Bucket::new(bucket?)?, uncut(salt?)?));
    line.buckets = Some(Buckets { key: raw.key.map(|key| key.0), known: pairs.into_iter().filter_map(pair).collect() });
    if let (Some(lane), Some(reason)) = (raw.lane, raw.reason) {
        let replaced = raw.decided_reason.is_some() || matches!(&*reason.0, "breaker_open" | "no_lane" | "latched");
        line.decided = Some(Decided {
            release: raw.release.map(|release| release.0),
            lane: lane.0,
            reason: raw.decided_reason.unwrap_or(reason).0,
            diverted: replaced || raw.shielded.is_some() || raw.limited.is_some(),
        });
    }
    Ok(line)
}

/// A text of the log; borrowed from the line where it holds no escape.
#[derive(Debug)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

fn known(value: Option<Text<'_>>) -> Known<'_> {
    match value {
        Some(text) if is_cut(&text.0) => Known::Unknown,
        value => Known::of(value.map(|text| text.0)),
    }
}

fn uncut(text: Text<'_>) -> Option<Cow<'_, str>> {
    (!is_cut(&text.0)).then_some(text.0)
}

/// The log cuts long values and says so with an ellipsis. A value that ends with one by itself is taken for a cut one,
/// which costs a decision and never makes a wrong one.
fn is_cut(text: &str) -> bool {
    text.ends_with('…')
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// A small object of texts.
#[derive(Debug, Default)]
struct Pairs<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}
