//! The fields of one message, flat: one byte buffer and a list of places in it.
//!
//! A head read from HTTP/1 is copied here once, as it stood; a head from HTTP/2 is laid out the same way. The buffers
//! are kept from request to request, so reading a head allocates nothing once a connection is warm.

use std::cell::RefCell;
use std::ops::Range;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::Known;
use super::known::is_same_name;

/// A place in the byte buffer of [`Fields`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    /// The length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it holds nothing.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: Span,
    value: Span,
    known: Known,
}

/// Field lines in the order they came, names in the case they came in, repeated ones kept apart.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    list: Vec<Field>,
    /// One bit a [`Known`] name: whether it is present, so that asking for an absent one costs nothing.
    present: u32,
    /// The lines that HTTP/2 brought with the mark that nobody may index them, by number.
    marked: Vec<u32>,
    /// The map that the lines came in, line by line, where it was HTTP/2 that brought them and nobody took it yet.
    map: RefCell<Option<Box<HeaderMap>>>,
}

impl Fields {
    /// Forgets everything and keeps the memory, unless a huge head left too much of it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
        self.present = 0;
        self.marked.clear();
        *self.map.get_mut() = None;
        if self.bytes.capacity() > KEEP_BYTES {
            self.bytes = Vec::new();
        }
    }

    /// Adds one field line.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let name = self.store(name);
        let value = self.store(value);
        self.index(name, value);
    }

    /// Adds the lines of a map, and keeps it: what goes on by HTTP/2 need not be made again.
    pub(super) fn lay_out(&mut self, map: HeaderMap) {
        for (name, value) in &map {
            if value.is_sensitive() {
                self.marked.push(self.list.len() as u32);
            }
            self.push(name.as_str().as_bytes(), value.as_bytes());
        }
        *self.map.get_mut() = Some(Box::new(map));
    }

    /// The map that the lines came in; its lines are these, in the same order. Given out once.
    pub fn take_map(&self) -> Option<Box<HeaderMap>> {
        self.map.borrow_mut().take()
    }

    /// Whether a line of this name came with the mark that nobody on its way may index it (RFC 7541 section 6.2.3).
    pub fn is_marked(&self, name: &[u8]) -> bool {
        self.marked.iter().any(|line| self.at(self.list[*line as usize].name).eq_ignore_ascii_case(name))
    }

    /// Adds bytes that are no field line (a method, a target) and says where they are.
    pub(super) fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(start, self.bytes.len())
    }

    /// Notes a field line whose bytes are stored already.
    pub(super) fn index(&mut self, name: Span, value: Span) {
        let known = Known::of(self.at(name));
        self.present |= bit(known);
        self.list.push(Field { name, value, known });
    }

    /// Whether every line has a value, and `byte` stands directly behind it where it is stored.
    pub(super) fn all_before(&self, byte: u8) -> bool {
        self.list.iter().all(|field| !field.value.is_empty() && self.bytes.get(field.value.end()) == Some(&byte))
    }

    /// The line with its line end, where it is stored as we would write it.
    fn whole_line(&self, field: &Field) -> Option<Range<usize>> {
        let (name, value) = (field.name, field.value);
        let end = value.end() + 2;
        let is_ours = value.start == name.end + 2
            && self.bytes.get(name.end()..value.start as usize) == Some(b": ")
            && self.bytes.get(value.end()..end) == Some(b"\r\n");
        is_ours.then_some(name.start as usize..end)
    }

    /// The bytes at a place.
    pub fn at(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }

    /// Bytes of all lines, and of what else is stored with them.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// How many field lines there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no field lines.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All lines: meaning, name, value.
    pub fn iter(&self) -> impl Iterator<Item = (Known, &[u8], &[u8])> {
        self.list.iter().map(|field| (field.known, self.at(field.name), self.at(field.value)))
    }

    /// Whether a name the proxy knows is present.
    pub fn has(&self, known: Known) -> bool {
        self.present & bit(known) != 0
    }

    /// The values of a name the proxy knows, in order.
    pub fn all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        let list: &[Field] = if self.has(known) { &self.list } else { &[] };
        list.iter().filter(move |field| field.known == known).map(|field| self.at(field.value))
    }

    /// The first value of a name the proxy knows.
    pub fn first(&self, known: Known) -> Option<&[u8]> {
        self.all(known).next()
    }

    /// The values of any name, whatever its case.
    pub fn named<'f, 'n>(&'f self, name: &'n [u8]) -> impl Iterator<Item = &'f [u8]> + use<'f, 'n> {
        self.list
            .iter()
            .filter(move |field| field.name.len() == name.len() && is_same_name(self.at(field.name), name))
            .map(|field| self.at(field.value))
    }
}

/// Puts a value onto memory of its own. As HTTP/2 brought it, it holds the buffer that it was read in, all of it, and the table of
/// a codec may hold a value for as long as its connection lives.
pub fn detach(value: &mut HeaderValue) {
    if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
        copy.set_sensitive(value.is_sensitive());
        *value = copy;
    }
}

/// What becomes of a field line on its way through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It stays here.
    Stays,
    /// It goes on as it is.
    Passes,
    /// As that, and its value is one user's or one request's: see [`FieldSink::own_field`].
    PassesAlone,
}

impl Passage {
    /// Whether a line that is nobody's own goes on.
    pub fn if_it(passes: bool) -> Self {
        if passes { Self::Passes } else { Self::Stays }
    }
}

/// Where field lines are written: the bytes of an HTTP/1 head, or a map for HTTP/2.
pub trait FieldSink {
    /// Whether lines are compressed by what went before on the connection, which requests of several users share.
    const COMPRESSES: bool = false;

    /// Adds one line; name and value came from a parser or are our own, so they are well-formed.
    fn field(&mut self, name: &[u8], value: &[u8]);

    /// Adds one line whose value is one user's, or one request's. Where lines are compressed it stands for itself: nobody
    /// learns by a length that another's value was the same (RFC 7541 section 7.1), and nothing is kept that does not come
    /// again.
    fn own_field(&mut self, name: &[u8], value: &[u8]) {
        self.field(name, value);
    }

    /// Adds one line whose value is two parts, one behind the other.
    fn field_of(&mut self, name: &[u8], first: &[u8], second: &[u8]) {
        let mut value = SmallVec::<[u8; 128]>::from_slice(first);
        value.extend_from_slice(second);
        self.field(name, &value);
    }

    /// Adds those lines of a message that go on, in their order.
    fn lines(&mut self, fields: &Fields, mut passage: impl FnMut(Known, &[u8]) -> Passage) {
        for (known, name, value) in fields.iter() {
            match passage(known, name) {
                Passage::Stays => {}
                Passage::Passes => self.field(name, value),
                Passage::PassesAlone => self.own_field(name, value),
            }
        }
    }
}

impl FieldSink for Vec<u8> {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.reserve(name.len() + value.len() + 4);
        self.extend_from_slice(name);
        self.extend_from_slice(b": ");
        self.extend_from_slice(value);
        self.extend_from_slice(b"\r\n");
    }

    fn field_of(&mut self, name: &[u8], first: &[u8], second: &[u8]) {
        self.reserve(name.len() + first.len() + second.len() + 4);
        self.extend_from_slice(name);
        self.extend_from_slice(b": ");
        self.extend_from_slice(first);
        self.extend_from_slice(second);
        self.extend_from_slice(b"\r\n");
    }

    /// Lines that stand behind each other as they would be written here, as most do, are copied at once.
    fn lines(&mut self, fields: &Fields, mut passage: impl FnMut(Known, &[u8]) -> Passage) {
        let mut run = 0..0;
        for field in &fields.list {
            if passage(field.known, fields.at(field.name)) == Passage::Stays {
                continue;
            }
            match fields.whole_line(field) {
                Some(line) if line.start == run.end => run.end = line.end,
                line => {
                    self.extend_from_slice(&fields.bytes[run]);
                    run = line.unwrap_or_else(|| {
                        self.field(fields.at(field.name), fields.at(field.value));
                        0..0
                    });
                }
            }
        }
        self.extend_from_slice(&fields.bytes[run]);
    }
}

impl FieldSink for HeaderMap {
    const COMPRESSES: bool = true;

    fn field(&mut self, name: &[u8], value: &[u8]) {
        append(self, name, value, false);
    }

    fn own_field(&mut self, name: &[u8], value: &[u8]) {
        append(self, name, value, true);
    }
}

fn append(map: &mut HeaderMap, name: &[u8], value: &[u8], is_sensitive: bool) {
    // Names from HTTP/1 are any token and become lower case here; what a map cannot hold cannot be sent.
    let name = usual_name(name).map_or_else(|| HeaderName::from_bytes(name), |name| Ok(name.clone()));
    if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_bytes(value)) {
        value.set_sensitive(is_sensitive);
        map.append(name, value);
    }
}

/// The names that we write ourselves and those that most answers have, as they are usually written: they need neither be checked
/// nor copied.
fn usual_name(name: &[u8]) -> Option<&'static HeaderName> {
    static SERVER: HeaderName = http::header::SERVER;
    static DATE: HeaderName = http::header::DATE;
    static TYPE: HeaderName = http::header::CONTENT_TYPE;
    static LENGTH: HeaderName = http::header::CONTENT_LENGTH;
    static VIA: HeaderName = http::header::VIA;
    static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
    static LANE: HeaderName = HeaderName::from_static("x-gray-lane");
    static RELEASE: HeaderName = HeaderName::from_static("x-gray-release");
    Some(match name {
        b"Server" | b"server" => &SERVER,
        b"Date" | b"date" => &DATE,
        b"Content-Type" | b"content-type" => &TYPE,
        b"Content-Length" | b"content-length" => &LENGTH,
        b"via" => &VIA,
        b"x-forwarded-for" => &FORWARDED_FOR,
        b"x-forwarded-proto" => &FORWARDED_PROTO,
        b"x-forwarded-host" => &FORWARDED_HOST,
        b"x-gray-lane" => &LANE,
        b"x-gray-release" => &RELEASE,
        _ => return None,
    })
}

/// Memory a cleared buffer may keep for the next head.
const KEEP_BYTES: usize = 16 * 1024;

fn bit(known: Known) -> u32 {
    1 << known as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_a_map_whether_it_is_a_usual_one_or_read() {
        let usual =
            ["Server", "date", "Date", "Content-Type", "content-length", "via", "x-forwarded-for", "x-gray-lane"];
        let all = usual.iter().chain(&["x-forwarded-proto", "x-forwarded-host", "x-gray-release", "X-Other", "DATE"]);
        for name in all {
            let mut map = HeaderMap::new();
            map.field(name.as_bytes(), b"1");
            assert_eq!(map.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), [name.to_ascii_lowercase()]);
        }
        assert!(usual.iter().all(|name| usual_name(name.as_bytes()).is_some()));
    }

    #[test]
    fn lines_go_on_in_their_order_however_they_stand() {
        let raw = "A: 1\r\nHost: shop\r\nB: 2\r\nc:3\r\nD:  4\r\nE: 5 \r\nF: 6\nG:\r\nH: \r\nI: 7\r\nJ: 8\r\n\r\n";
        let mut fields = Fields::default();
        fields.store(raw.as_bytes());
        for line in raw.split_terminator('\n').filter(|line| line.len() > 1) {
            let start = line.as_ptr() as usize - raw.as_ptr() as usize;
            let colon = line.find(':').unwrap();
            let value = line[colon + 1..].trim();
            let behind = line.find(value).filter(|_| !value.is_empty()).unwrap_or(line.trim_end_matches('\r').len());
            fields.index(Span::new(start, start + colon), Span::new(start + behind, start + behind + value.len()));
        }
        fields.push(b"k", b"9");
        let passage = |known, name: &[u8]| Passage::if_it(known != Known::Host && name != b"J");
        let (mut text, mut map) = (b"x: y\r\n".to_vec(), HeaderMap::new());
        text.lines(&fields, passage);
        map.lines(&fields, passage);
        let all = b"x: y\r\nA: 1\r\nB: 2\r\nc: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: \r\nH: \r\nI: 7\r\nk: 9\r\n";
        assert_eq!(text.escape_ascii().to_string(), all.escape_ascii().to_string());
        assert_eq!(map.keys().map(http::HeaderName::as_str).collect::<String>(), "abcdefghik");
        text.clear();
        text.lines(&fields, |_, _| Passage::Stays);
        assert!(text.is_empty());
    }

    #[test]
    fn a_value_of_two_parts_is_one() {
        let (mut text, mut map) = (Vec::new(), HeaderMap::new());
        text.field_of(b"via", b"1.1 ", b"shop");
        map.field_of(b"via", b"1.1 ", b"shop");
        assert_eq!((&*text, map["via"].as_bytes()), (&b"via: 1.1 shop\r\n"[..], &b"1.1 shop"[..]));
    }

    #[test]
    fn repeated_lines_stay_apart_and_in_order() {
        let mut fields = Fields::default();
        fields.push(b"Set-Cookie", b"a=1");
        fields.push(b"host", b"shop");
        fields.push(b"set-cookie", b"b=2");
        assert_eq!(fields.named(b"set-cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
        assert_eq!(fields.first(Known::Host), Some(&b"shop"[..]));
        assert!(!fields.has(Known::Via));
        fields.clear();
        assert!(fields.is_empty() && !fields.has(Known::Host));
    }
}
