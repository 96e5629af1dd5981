//! A parameter of the route's path, decoded.

use percent_encoding::percent_decode_str;

use super::Reading;
use crate::decide::Found;

pub(in crate::extract) fn read<'a>(found: &Found<'a>, name: &str) -> Reading<'a> {
    match found.parameter(name) {
        None => Reading::Absent,
        Some(raw) => percent_decode_str(raw).decode_utf8().map_or(Reading::NOT_UTF8, Reading::Value),
    }
}
