//! What has to be waited for before a decision: a JSON body, and records of product facts.
//!
//! Who reads requests asks [`Extractor::needs`](super::Extractor::needs), brings what is wanted, and hands it in. Where a
//! route needs nothing of it, nothing is asked and nothing is allocated.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::client::Peer;
use super::extractor::{Extractor, Sources};
use super::json::{JsonText, Scalar};
use super::jwt::TokenFault;
use super::pointer::{Pointer, Pointers};
use super::source::{Repeated, Source};
use crate::config::LookupStore;
use crate::decide::{FactId, Found, RequestParts};
use crate::lookup::{Answer, Lookup, NOT_THERE};

/// What stays as it is where a fact becomes part of a URL: the unreserved characters of RFC 3986.
const IN_URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The facts of one route for which somebody may have to wait.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Those that a JSON body may give, parts of keys too.
    json: Vec<FactId>,
    /// Those that a record may give.
    records: Vec<FactId>,
}

impl Needs {
    pub(super) const NOTHING: Needs = Needs { json: Vec::new(), records: Vec::new() };

    pub(super) fn of(facts: &[FactId], sources: &Sources, lookups: &[Arc<Lookup>]) -> Needs {
        let mut needs = Needs::default();
        let mut all = facts.to_vec();
        let list = |fact: FactId| sources.of(fact).map_or(&[][..], |plan| &plan.sources);
        for fact in facts {
            let stores = list(*fact).iter().filter_map(|source| match source {
                Source::Lookup { lookup, .. } => lookups.get(*lookup),
                _ => None,
            });
            let mut is_looked_up = false;
            for store in stores {
                is_looked_up = true;
                all.extend(store.plan().key.facts());
            }
            if is_looked_up {
                needs.records.push(*fact);
            }
        }
        // The province of a key follows from the city.
        if all.contains(&FactId::PROVINCE_CODE) {
            all.push(FactId::CITY_ID);
        }
        all.sort_unstable();
        all.dedup();
        needs.json = all;
        needs.json.retain(|fact| list(*fact).iter().any(|source| matches!(source, Source::Json(_))));
        needs
    }

    /// Whether nobody has to wait for anything.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.json.is_empty() && self.records.is_empty()
    }

    /// Whether a record may be wanted.
    pub fn has_records(&self) -> bool {
        !self.records.is_empty()
    }
}

/// A request's body.
#[derive(Debug, Clone, Copy)]
pub enum Body<'b> {
    /// All of it.
    Whole(&'b [u8]),
    /// It was not read, for this reason.
    Unread(&'static str),
}

/// A record that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRecord {
    /// The place of its store.
    pub lookup: usize,
    /// What to ask there.
    pub key: String,
}

/// What was brought for one request.
#[derive(Debug, Default)]
pub struct Ahead {
    body: Option<Values>,
    records: Vec<(usize, Answer)>,
    /// The request's token, verified when a fact first asks for it.
    pub(super) token: OnceLock<Token>,
}

/// What became of a request's token.
#[derive(Debug, Clone)]
pub(super) enum Token {
    /// There is none.
    Absent,
    /// It is believed: its claims.
    Claims(String),
    /// It is not.
    Faulty(TokenFault),
}

#[derive(Debug)]
enum Values {
    /// Each with whether a list was joined.
    Read(Vec<(Pointer, bool, Scalar<'static>)>),
    Unread(&'static str),
}

impl Ahead {
    /// Takes the body in: what sources want of it is read now, so that it may go on its way.
    pub fn take_body(&mut self, extractor: &Extractor, body: Body<'_>) {
        self.body = Some(match body {
            Body::Unread(why) => Values::Unread(why),
            Body::Whole([]) => Values::Unread("there is no body"),
            Body::Whole(bytes) => match JsonText::new(bytes) {
                None => Values::Unread("the body is not UTF-8"),
                Some(text) => {
                    let values = text.scalars(&extractor.pointers);
                    Values::Read(values.map(|(at, joins, value)| (at.clone(), joins, value.into_owned())).collect())
                }
            },
        });
    }

    /// Takes a record in.
    pub fn take_record(&mut self, lookup: usize, answer: Answer) {
        self.records.push((lookup, answer));
    }

    /// Whether the body was asked for, whatever came of it.
    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether a store said what it has, a record or none; nothing where it was not asked.
    pub(super) fn has_said(&self, lookup: usize) -> Option<bool> {
        let answer = self.records.iter().find(|(known, _)| *known == lookup).map(|(_, answer)| answer)?;
        Some(match answer {
            Answer::Found(_) | Answer::Unusable(_) => true,
            Answer::Nothing(why) => *why == NOT_THERE,
        })
    }

    /// What stands at a pointer of the body, lists joined or not; the fault in words.
    pub(super) fn json(&self, pointer: &Pointer, repeated: Repeated) -> Result<Option<&str>, &'static str> {
        let values = match &self.body {
            None => return Err("the body was not read"),
            Some(Values::Unread(why)) => return Err(why),
            Some(Values::Read(values)) => values,
        };
        let wanted = (pointer, repeated == Repeated::Joined);
        match values.iter().find(|(known, joins, _)| (known, *joins) == wanted).map(|(_, _, value)| value) {
            Some(Scalar::Value(text)) => Ok(Some(text)),
            Some(Scalar::NotOne) => Err("not one value"),
            Some(Scalar::NotJson) => Err("the body is not JSON"),
            Some(Scalar::Absent) | None => Ok(None),
        }
    }

    /// A field of a record; the fault in words.
    pub(super) fn field(&self, lookup: usize, field: &str) -> Result<Option<&str>, &'static str> {
        match self.records.iter().find(|(known, _)| *known == lookup).map(|(_, answer)| answer) {
            None => Err("not looked up"),
            Some(Answer::Nothing(why) | Answer::Unusable(why)) => Err(why),
            Some(Answer::Found(record)) => Ok(record.field(field)),
        }
    }
}

impl Extractor {
    /// Whether the body has to be read: a fact of the route may come from it, and no earlier source gives one.
    pub fn wants_body<R: RequestParts>(&self, request: &R, found: &Found<'_>, peer: Peer, ahead: &Ahead) -> bool {
        let facts = self.facts_with(request, found, peer, ahead);
        let needs = self.needs(found.route);
        needs.json.iter().any(|fact| facts.reaches(*fact, |source| matches!(source, Source::Json(_))))
    }

    /// The records that have to be looked up: each once. A fact that is missing in a key leaves its record out.
    pub fn wanted_records<R: RequestParts>(
        &self,
        request: &R,
        found: &Found<'_>,
        peer: Peer,
        ahead: &Ahead,
    ) -> Vec<WantedRecord> {
        self.records_for(&self.needs(found.route).records, request, found, peer, ahead)
    }

    /// The records of `facts`, for an explanation of more facts than a decision needs.
    pub(super) fn records_for<R: RequestParts>(
        &self,
        wanted: &[FactId],
        request: &R,
        found: &Found<'_>,
        peer: Peer,
        ahead: &Ahead,
    ) -> Vec<WantedRecord> {
        let facts = self.facts_with(request, found, peer, ahead);
        let mut records: Vec<WantedRecord> = Vec::new();
        for (place, lookup) in self.lookups().iter().enumerate() {
            let is_it = |source: &Source| matches!(source, Source::Lookup { lookup, .. } if *lookup == place);
            if !wanted.iter().any(|fact| facts.reaches(*fact, is_it)) {
                continue;
            }
            let in_url = lookup.plan().store == LookupStore::Http;
            let key = lookup.plan().key.fill(|fact, out| {
                use crate::decide::Facts;
                let Some(value) = facts.get(fact) else { return false };
                match in_url {
                    true => write!(out, "{}", utf8_percent_encode(&value, IN_URL)).is_ok(),
                    false => {
                        out.push_str(&value);
                        true
                    }
                }
            });
            records.extend(key.map(|key| WantedRecord { lookup: place, key }));
        }
        records
    }
}

impl Sources {
    /// All that is wanted of a body, whatever the route: it is read once.
    pub(super) fn pointers(&self) -> Pointers {
        Pointers::new(self.all().iter().flat_map(|plan| {
            plan.sources.iter().filter_map(|source| match source {
                Source::Json(pointer) => Some((pointer.clone(), plan.repeated == Repeated::Joined)),
                _ => None,
            })
        }))
    }
}

/// Why the body of a request is not read, whatever it holds; `length` where it is known.
pub fn unread(request: &impl RequestParts, length: Option<u64>, most: usize) -> Option<&'static str> {
    if length == Some(0) {
        return Some("there is no body");
    }
    if request.header("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return Some("the body is encoded");
    }
    if !request.header("content-type").is_some_and(is_json) {
        return Some("the content type is not JSON");
    }
    length.is_some_and(|length| length > most as u64).then_some(TOO_LONG)
}

/// Why a body is not read that is longer than is allowed.
pub const TOO_LONG: &str = "the body is longer than is read";

/// `application/json`, or anything that ends with `+json` (RFC 6839 section 3.1), with or without parameters.
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let ends_in =
        |end: &[u8]| essence.len() >= end.len() && essence[essence.len() - end.len()..].eq_ignore_ascii_case(end);
    essence.eq_ignore_ascii_case(b"application/json") || ends_in(b"+json")
}
