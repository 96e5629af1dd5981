//! A header's value. Of a repeated header the first value counts, except for facts that are sets.

use std::borrow::Cow;

use super::{Reading, Repeated};
use crate::decide::RequestParts;

pub(super) fn read<'a, R: RequestParts>(request: &'a R, name: &str, repeated: Repeated) -> Reading<'a> {
    let Some(first) = request.header(name) else {
        return Reading::Absent;
    };
    if repeated == Repeated::First || !is_repeated(request, name) {
        return Reading::of_bytes(first);
    }
    let mut joined = Vec::new();
    request.for_each_header(name, &mut |value| {
        if !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend_from_slice(value.trim_ascii());
    });
    String::from_utf8(joined).map_or(Reading::NOT_UTF8, |text| Reading::Value(Cow::Owned(text)))
}

fn is_repeated(request: &impl RequestParts, name: &str) -> bool {
    let mut count = 0;
    request.for_each_header(name, &mut |_| count += 1);
    count > 1
}
