//! A cookie's value, without the quotes around it. HTTP/2 may spread cookies over several headers (RFC 9113 section
//! 8.2.3), so all of them are looked at; the first cookie of the name counts.

use super::Reading;
use crate::decide::RequestParts;

pub(super) fn read<'a, R: RequestParts>(request: &'a R, name: &str) -> Reading<'a> {
    let Some(first) = request.header("cookie") else {
        return Reading::Absent;
    };
    if let Some(value) = find(first, name) {
        return Reading::of_bytes(value);
    }
    let mut reading = Reading::Absent;
    request.for_each_header("cookie", &mut |line| {
        if let (Reading::Absent, Some(value)) = (&reading, find(line, name)) {
            reading = Reading::of_bytes(value).owned();
        }
    });
    reading
}

fn find<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    line.split(|byte| *byte == b';').find_map(|pair| {
        let value = pair.trim_ascii_start().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.trim_ascii();
        Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
    })
}
