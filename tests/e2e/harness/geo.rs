//! A small writer of databases in MaxMind's format (MaxMind DB File Format Specification 2.0), for IPv4.

use std::net::Ipv4Addr;

/// A database in the making.
pub(crate) struct Geo {
    /// Each node's two ways.
    nodes: Vec<[Way; 2]>,
    data: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Way {
    Nowhere,
    Node(u32),
    Data(u32),
}

/// A record's value.
pub(crate) enum Value<'v> {
    Text(&'v str),
    Number(u32),
    Map(Vec<(&'v str, Value<'v>)>),
    List(Vec<Value<'v>>),
}

impl Geo {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![[Way::Nowhere; 2]], data: Vec::new() }
    }

    /// The addresses of a network lie in a subdivision of a country, in a city.
    pub(crate) fn place(self, network: &str, country: &str, subdivision: &str, city: u32) -> Self {
        use Value::{List, Map, Number, Text};
        self.record(
            network,
            &Map(vec![
                ("country", Map(vec![("iso_code", Text(country))])),
                ("subdivisions", List(vec![Map(vec![("iso_code", Text(subdivision))])])),
                ("city", Map(vec![("geoname_id", Number(city))])),
            ]),
        )
    }

    pub(crate) fn record(mut self, network: &str, value: &Value<'_>) -> Self {
        let (address, length) = network.split_once('/').expect("a network");
        let bits = u32::from(address.parse::<Ipv4Addr>().expect("an address"));
        let length: u32 = length.parse().expect("a length");
        let place = u32::try_from(self.data.len()).expect("a small database");
        encode(value, &mut self.data);
        let mut node = 0;
        for depth in 0..length {
            let way = ((bits >> (31 - depth)) & 1) as usize;
            if depth + 1 == length {
                self.nodes[node][way] = Way::Data(place);
                continue;
            }
            node = match self.nodes[node][way] {
                Way::Node(next) => next as usize,
                _ => {
                    self.nodes.push([Way::Nowhere; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][way] = Way::Node(u32::try_from(next).expect("a small database"));
                    next
                }
            };
        }
        self
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.nodes.len()).expect("a small database");
        let mut bytes = Vec::new();
        for way in self.nodes.iter().flatten() {
            let number = match way {
                Way::Nowhere => count,
                Way::Node(node) => *node,
                Way::Data(place) => count + 16 + place,
            };
            bytes.extend_from_slice(&number.to_be_bytes()[1..]);
        }
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&self.data);
        bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        metadata(count, &mut bytes);
        bytes
    }
}

fn metadata(nodes: u32, out: &mut Vec<u8>) {
    head(7, 9, out);
    let short = |name: &str, number: u16, out: &mut Vec<u8>| {
        encode(&Value::Text(name), out);
        head(5, 2, out);
        out.extend_from_slice(&number.to_be_bytes());
    };
    short("binary_format_major_version", 2, out);
    short("binary_format_minor_version", 0, out);
    short("ip_version", 4, out);
    short("record_size", 24, out);
    encode(&Value::Text("node_count"), out);
    encode(&Value::Number(nodes), out);
    encode(&Value::Text("build_epoch"), out);
    head(9, 8, out);
    out.extend_from_slice(&1_700_000_000_u64.to_be_bytes());
    encode(&Value::Text("database_type"), out);
    encode(&Value::Text("Test-City"), out);
    encode(&Value::Text("languages"), out);
    encode(&Value::List(vec![Value::Text("en")]), out);
    encode(&Value::Text("description"), out);
    encode(&Value::Map(vec![("en", Value::Text("a test"))]), out);
}

fn encode(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            head(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) => {
            head(6, 4, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Map(fields) => {
            head(7, fields.len(), out);
            for (name, value) in fields {
                encode(&Value::Text(name), out);
                encode(value, out);
            }
        }
        Value::List(values) => {
            head(11, values.len(), out);
            values.iter().for_each(|value| encode(value, out));
        }
    }
}

/// The control byte; types from 8 on take one more.
fn head(kind: u8, size: usize, out: &mut Vec<u8>) {
    assert!(size < 29, "a small value");
    let size = u8::try_from(size).expect("below 29");
    if kind < 8 {
        out.push(kind << 5 | size);
    } else {
        out.extend_from_slice(&[size, kind - 7]);
    }
}
