//! A query parameter's value, decoded: `+` is a space. Of a repeated parameter the first counts.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::Reading;
use crate::decide::RequestParts;

pub(in crate::extract) fn read<'a, R: RequestParts>(request: &'a R, name: &str) -> Reading<'a> {
    let pairs = request.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut values = pairs.filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name || decode(key).is_some_and(|key| key == name)).then_some(value)
    });
    match values.next().map(decode) {
        None => Reading::Absent,
        Some(None) => Reading::NOT_UTF8,
        Some(Some(value)) => Reading::Value(value),
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return percent_decode_str(text).decode_utf8().ok();
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}
