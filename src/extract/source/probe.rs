//! An entry for fuzzing: cookies, queries and baggage.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Reading, baggage, cookie, query};
use crate::decide::RequestParts;

/// A request whose every header has these lines, which are its query as well.
struct Lines<'l> {
    lines: &'l [&'l [u8]],
    query: &'l str,
}

impl RequestParts for Lines<'_> {
    fn method(&self) -> &str {
        "GET"
    }

    fn host(&self) -> Option<&str> {
        None
    }

    fn path(&self) -> &str {
        "/"
    }

    fn query(&self) -> Option<&str> {
        Some(self.query)
    }

    fn header(&self, _: &str) -> Option<&[u8]> {
        self.lines.first().copied()
    }

    fn for_each_header(&self, _: &str, each: &mut dyn FnMut(&[u8])) {
        self.lines.iter().for_each(|line| each(line));
    }
}

/// Reads bytes, behind a line with a name, as lines of cookies and of baggage and as a query. Panics where it makes a
/// difference how the lines are spread, or where a value that was read is another one when it is written and read again.
pub fn check_sources(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(name), Some(rest)) = (parts.next(), parts.next()) else { return };
    let is_token = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && !b"=;,&+%\"".contains(byte));
    let Some(name) = std::str::from_utf8(name).ok().filter(|_| is_token) else { return };
    let lines: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();

    let in_many = Lines { lines: &lines, query: "" };
    let (cookies, members) = (lines.join(&b"; "[..]), lines.join(&b','));
    let one = cookie::read(&in_many, name);
    assert_eq!(one, cookie::read(&Lines { lines: &[&cookies], query: "" }, name), "cookies in crumbs");
    if let Reading::Value(value) = &one {
        let written = format!("x{name}=y; {name}=\"{value}\"");
        assert_eq!(one, cookie::read(&Lines { lines: &[written.as_bytes()], query: "" }, name), "{written:?}");
    }

    let one = baggage::read(&in_many, name);
    if members.len() <= baggage::MOST_BYTES {
        assert_eq!(one, baggage::read(&Lines { lines: &[&members], query: "" }, name), "baggage in lines");
    }
    if let Reading::Value(value) = &one {
        let written = format!("x{name}=y;p=q , {name} = {} ;p", utf8_percent_encode(value, NON_ALPHANUMERIC));
        if written.len() <= baggage::MOST_BYTES {
            assert_eq!(one, baggage::read(&Lines { lines: &[written.as_bytes()], query: "" }, name), "{written:?}");
        }
    }

    let Ok(text) = std::str::from_utf8(rest) else { return };
    let request = Lines { lines: &[], query: text };
    let one = query::read(&request, name);
    if let Reading::Value(value) = &one {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let written = format!("&x{name}=y&{}={}&{name}=other", encoded(name), encoded(value)).replace("%20", "+");
        assert_eq!(one, query::read(&Lines { lines: &[], query: &written }, name), "{written:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What readers of such fields trip over, in any order.
    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec![
            &b"a"[..],
            b"=",
            b"a=",
            b"b=1",
            b";",
            b"; ",
            b",",
            b"&",
            b"\n",
            b"\"",
            b"%61",
            b"%",
            b"%ff",
            b"+",
            b" ",
            b"\t",
            b"\xe5\x95\x86",
            b"\xff",
        ]);
        prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn fields_are_read_the_same_however_they_are_spread(bytes in words()) {
            check_sources(&[b"a\n", &bytes[..]].concat());
        }
    }

    #[test]
    fn many_members_and_long_lines_are_read_the_same() {
        for length in [10, 179, 180, 181, 3000] {
            let members = vec!["b=1"; length].join("\n");
            check_sources(format!("a\n{members}\na=2\na=3").as_bytes());
        }
        check_sources(format!("a\na={}\na=2", "x".repeat(9000)).as_bytes());
    }
}
