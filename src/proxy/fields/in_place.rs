//! Heads that go on by HTTP/2 as HTTP/2 brought them. To make a map of lines that were taken out of one costs more than all that a
//! proxy changes about it, so here the map itself goes on, less the lines that stay here. What passes is decided one file up.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TE};
use smallvec::SmallVec;

use super::{Downward, Told, Upward, add_own};
use crate::trace::Passing;
use crate::wire::h1::Framing;
use crate::wire::{Fields, Known, RequestHead, ResponseHead, detach};

/// Makes of a request's map that of the request to an upstream, framing aside. Returns how many lines were removed because the
/// peer may not set them.
pub(in crate::proxy) fn to_upstream(
    map: &mut HeaderMap,
    head: &RequestHead,
    told: &Told<'_>,
    passing: Passing,
    untrusted: impl Fn(&[u8]) -> bool,
) -> usize {
    let mut upward = Upward::new(head, told.peer.trusted, passing, untrusted);
    let mut codings = 0;
    retain(map, &head.fields, |known, name, value| {
        // The codec lets one value pass, and that is the one use of TE that HTTP/2 knows.
        if known == Known::Te {
            codings += 1;
            *value = HeaderValue::from_static("trailers");
            return true;
        }
        if !upward.passes(known, name) {
            return false;
        }
        if upward.is_own(known, name) {
            value.set_sensitive(true);
        } else {
            detach(value);
        }
        true
    });
    if codings > 1 {
        map.insert(TE, HeaderValue::from_static("trailers"));
    }
    add_own(map, head, told);
    upward.removed
}

/// Makes of an answer's map that of the answer to the client.
pub(in crate::proxy) fn to_client(map: &mut HeaderMap, head: &ResponseHead, framing: Framing, shows_mark: bool) {
    let downward = Downward::new(head, framing, shows_mark);
    let mut lengths = 0;
    retain(map, &head.fields, |known, name, value| {
        lengths += usize::from(known == Known::ContentLength);
        detach(value);
        downward.passes(known, name)
    });
    if lengths > 1
        && let Some(first) = map.get(CONTENT_LENGTH).cloned()
    {
        map.insert(CONTENT_LENGTH, first);
    }
}

/// Takes the lines of some names out of a map; `lines` are its lines, in its order.
fn retain(map: &mut HeaderMap, lines: &Fields, mut stays: impl FnMut(Known, &[u8], &mut HeaderValue) -> bool) {
    let mut gone = SmallVec::<[HeaderName; 4]>::new();
    for ((known, name, _), (line, value)) in lines.iter().zip(map.iter_mut()) {
        debug_assert_eq!(name, line.as_str().as_bytes(), "a map and its lines have one order");
        if !stays(known, name, value) {
            gone.push(line.clone());
        }
    }
    for name in &gone {
        map.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fields;
    use crate::proxy::fields::tests::{peer, told};
    use crate::wire::{h1, h2};

    const LIMITS: h1::Limits = h1::Limits { head_bytes: 64 * 1024, fields: 100, uri_bytes: 1024 };

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, text) in lines {
            let mut value = HeaderValue::from_static(text);
            value.set_sensitive(text.contains("secret"));
            map.append(*name, value);
        }
        map
    }

    fn lines(map: &HeaderMap) -> Vec<(String, String, bool)> {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned(), value.is_sensitive())
        };
        let mut lines: Vec<_> = map.iter().map(line).collect();
        lines.sort();
        lines
    }

    /// What goes up is the same whether the map goes on or another one is made.
    #[track_caller]
    fn check_request(sent: &[(&'static str, &'static str)], trusted: bool, passing: Passing) -> HeaderMap {
        let mut request = http::Request::post("http://shop/cart").body(()).unwrap();
        *request.headers_mut() = map(sent);
        let (mut parts, ()) = request.into_parts();
        let mut head = RequestHead::default();
        h2::flatten_request(&mut parts, &LIMITS, &mut head).unwrap();
        let peer = peer(trusted);
        let told = told(&peer);
        let identity = |name: &[u8]| name == b"x-user-id";
        let mut made = HeaderMap::new();
        let removed = fields::to_upstream(&mut made, &head, &told, passing, identity);
        if head.fields.has(Known::Te) {
            made.insert(TE, HeaderValue::from_static("trailers"));
        }
        let mut moved = *head.fields.take_map().unwrap();
        assert_eq!(to_upstream(&mut moved, &head, &told, passing, identity), removed);
        assert_eq!(lines(&moved), lines(&made));
        assert!(head.fields.take_map().is_none(), "it is given out once");
        moved
    }

    const REQUEST: [(&str, &str); 20] = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("te", "trailers"),
        ("host", "other"),
        ("content-length", "5"),
        ("x-user-id", "u1"),
        ("x-user-id", "u2"),
        ("cookie", "a=1"),
        ("accept", "a"),
        ("cookie", "b=2"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=1.1.1.1"),
        ("x-gray-lane", "gold"),
        ("proxy-authorization", "x"),
        ("content_length", "7"),
        ("traceparent", "00-1"),
        ("tracestate", "a=b"),
        ("x-request-id", "7"),
        ("grpc-timeout", "1S"),
    ];

    #[test]
    fn a_request_goes_up_as_if_its_map_were_made_anew() {
        for trusted in [true, false] {
            for passing in [Passing::AsIs, Passing::Restarted] {
                check_request(&REQUEST, trusted, passing);
            }
        }
        check_request(&[], true, Passing::AsIs);
    }

    proptest::proptest! {
        #[test]
        fn any_lines_go_up_as_if_their_map_were_made_anew(
            places in proptest::collection::vec(0..REQUEST.len(), 0..24),
            trusted: bool,
            restarted: bool,
        ) {
            // One length at most: others are refused before this.
            let mut lines: Vec<_> = places.into_iter().map(|place| REQUEST[place]).collect();
            let first = lines.iter().position(|(name, _)| *name == "content-length");
            let mut place = 0..;
            lines.retain(|(name, _)| {
                let place = place.next();
                !matches!(*name, "content-length" | "host") || (*name == "content-length" && place == first)
            });
            check_request(&lines, trusted, if restarted { Passing::Restarted } else { Passing::AsIs });
        }
    }

    #[test]
    fn cookies_that_came_in_crumbs_are_one_line() {
        let map = check_request(&REQUEST, true, Passing::AsIs);
        assert_eq!(map.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }

    #[test]
    fn what_nobody_may_index_is_not_indexed_by_us_either() {
        let lines = [("cookie", "a=1"), ("x-key", "a secret"), ("accept", "a"), ("cookie", "b=secret")];
        let map = check_request(&lines, true, Passing::AsIs);
        let marked = |name| map[name].is_sensitive();
        assert_eq!(["cookie", "x-key", "accept"].map(marked), [true, true, false]);
    }

    #[test]
    fn an_answer_goes_down_as_if_its_map_were_made_anew() {
        let answer = [
            ("content-type", "text/plain"),
            ("content-length", "5"),
            ("content-length", "5"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("x-gray-lane", "gold"),
            ("x-gray-explain", "{}"),
            ("proxy-authenticate", "x"),
        ];
        for framing in [Framing::Length(5), Framing::Chunked, Framing::Empty] {
            for shows_mark in [true, false] {
                let mut response = http::Response::new(());
                *response.headers_mut() = map(&answer);
                let mut head = ResponseHead::default();
                h2::flatten_response(response.into_parts().0, &mut head);
                let mut made = HeaderMap::new();
                fields::to_client(&mut made, &head, framing, shows_mark);
                let mut moved = *head.fields.take_map().unwrap();
                to_client(&mut moved, &head, framing, shows_mark);
                assert_eq!(lines(&moved), lines(&made));
            }
        }
    }
}
