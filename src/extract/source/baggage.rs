//! A member of the W3C `baggage` header, decoded, without its properties. The first member of the name counts.
//!
//! The header may be spread over several lines, which count as one list. The bounds are those of the recommendation
//! (W3C Baggage, section 3.3.2); what stands beyond them is not looked at.

use percent_encoding::percent_decode;

use super::Reading;
use crate::decide::RequestParts;

/// Most bytes of all lines that are looked at.
pub(super) const MOST_BYTES: usize = 8192;
/// Most members that are looked at.
const MOST_MEMBERS: usize = 180;

pub(super) fn read<'a, R: RequestParts>(request: &'a R, name: &str) -> Reading<'a> {
    let Some(first) = request.header("baggage") else {
        return Reading::Absent;
    };
    let mut left = Left { bytes: MOST_BYTES, members: MOST_MEMBERS };
    if let Some(value) = left.find(first, name) {
        return decoded(value);
    }
    let (mut reading, mut is_first) = (Reading::Absent, true);
    request.for_each_header("baggage", &mut |line| {
        if std::mem::take(&mut is_first) || reading != Reading::Absent {
            return;
        }
        if let Some(value) = left.find(line, name) {
            reading = decoded(value).owned();
        }
    });
    reading
}

/// What may still be looked at.
struct Left {
    bytes: usize,
    members: usize,
}

impl Left {
    fn find<'l>(&mut self, line: &'l [u8], name: &str) -> Option<&'l [u8]> {
        if line.len() > self.bytes {
            // Half a member could be taken for a whole one.
            self.bytes = 0;
            return None;
        }
        self.bytes -= line.len();
        for member in line.split(|byte| *byte == b',') {
            self.members = self.members.checked_sub(1)?;
            let pair = member.split(|byte| *byte == b';').next().unwrap_or_default();
            let Some(equals) = memchr::memchr(b'=', pair) else { continue };
            let (key, value) = pair.split_at(equals);
            if key.trim_ascii() == name.as_bytes() {
                return Some(value[1..].trim_ascii());
            }
        }
        None
    }
}

fn decoded(value: &[u8]) -> Reading<'_> {
    percent_decode(value).decode_utf8().map_or(Reading::NOT_UTF8, Reading::Value)
}
