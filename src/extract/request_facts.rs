//! The facts of one request, looked up when asked for.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;

use smallvec::SmallVec;

use super::ahead::{Ahead, Token};
use super::client::{Peer, client_ip};
use super::extractor::{Extractor, FactSources};
use super::fit::Fit;
use super::json::{JsonText, Scalar};
use super::jwt::{TokenFault, Verifier};
use super::pointer::Pointer;
use super::source::{Reading, Region, Repeated, Source, cookie, header};
use crate::config::TokenPlace;
use crate::decide::{FactId, FactTrace, Facts, Found, RegionCodes, RequestParts, Tried, region};

/// The facts of one request.
#[derive(Debug)]
pub struct RequestFacts<'a, R> {
    extractor: &'a Extractor,
    request: &'a R,
    found: &'a Found<'a>,
    peer: Peer,
    ahead: Option<&'a Ahead>,
    /// The token where nothing was brought that could hold it.
    token: OnceCell<Token>,
    /// Facts of which a value was refused; a fact asked for twice is counted once.
    refused: RefCell<SmallVec<[FactId; 4]>>,
    /// Expressions that could not be computed.
    failed: Cell<u32>,
}

/// What a source came to, after everything was checked.
enum Outcome<'a> {
    Value(Cow<'a, str>),
    Absent(&'static str),
    Refused(&'static str),
}

impl<'a, R: RequestParts> RequestFacts<'a, R> {
    pub(super) fn new(
        extractor: &'a Extractor,
        request: &'a R,
        found: &'a Found<'a>,
        peer: Peer,
        ahead: Option<&'a Ahead>,
    ) -> Self {
        let (token, refused, failed) = (OnceCell::new(), RefCell::default(), Cell::new(0));
        RequestFacts { extractor, request, found, peer, ahead, token, refused, failed }
    }

    /// Why the request's token is not believed, where a fact asked for it.
    pub fn token_fault(&self) -> Option<TokenFault> {
        match self.ahead.map_or(self.token.get(), |ahead| ahead.token.get()) {
            Some(Token::Faulty(fault)) => Some(*fault),
            _ => None,
        }
    }

    /// Whether looking for a fact gets as far as a source of this sort: no source before gives a value.
    pub(super) fn reaches(&self, fact: FactId, is_it: impl Fn(&Source) -> bool) -> bool {
        let Some(plan) = self.extractor.sources.of(fact) else { return false };
        for source in &plan.sources {
            if is_it(source) {
                return true;
            }
            if matches!(self.ask(source, plan), Outcome::Value(_)) {
                return false;
            }
        }
        false
    }

    /// Whether a fact without a value was looked for wherever it may stand, so that it can be said to be absent. One without
    /// sources was not; nor one whose body or record no rule of the route wanted, or whose store did not answer. A province may
    /// follow from the city, so that has to be looked for as well where it has sources.
    pub fn was_looked_for(&self, fact: FactId) -> bool {
        let sources = self.extractor.sources_of(fact);
        let is_open = |fact| self.extractor.sources_of(fact).iter().any(|source| !self.was_read(source));
        let follows_from_open = fact == FactId::PROVINCE_CODE && is_open(FactId::CITY_ID);
        !(sources.is_empty() || is_open(fact) || follows_from_open)
    }

    fn was_read(&self, source: &Source) -> bool {
        match (source, self.ahead) {
            (Source::Jwt(_), _) => self.extractor.beyond.verifier.is_some(),
            (Source::Geoip(_), _) => self.extractor.beyond.geoip.is_some(),
            (Source::Json(_), ahead) => ahead.is_some_and(Ahead::has_body),
            (Source::Lookup { .. }, None) => false,
            (Source::Lookup { lookup, .. }, Some(ahead)) => {
                ahead.has_said(*lookup).unwrap_or_else(|| self.lacks_key_of(*lookup))
            }
            _ => true,
        }
    }

    /// Whether a record could not be asked for, since a fact in its key is absent. No record gives a part of a key.
    fn lacks_key_of(&self, lookup: usize) -> bool {
        let Some(store) = self.extractor.lookups().get(lookup) else { return false };
        store.plan().key.facts().any(|fact| self.get(fact).is_none() && self.was_looked_for(fact))
    }

    /// The client's address; see [`client_ip`].
    pub fn client_ip(&self) -> Option<IpAddr> {
        client_ip(self.peer, &self.extractor.trust, |each| self.request.for_each_header("x-forwarded-for", each))
    }

    /// The facts of which a value was refused so far.
    pub fn refused(&self) -> SmallVec<[FactId; 4]> {
        self.refused.borrow().clone()
    }

    /// How many expressions could not be computed so far.
    pub fn expressions_failed(&self) -> u32 {
        self.failed.get()
    }

    fn ask(&self, source: &Source, plan: &FactSources) -> Outcome<'_> {
        let outcome = match source {
            Source::Header(name) if self.is_unbelieved(name) => self.unbelieved(name),
            Source::Baggage(_) if !self.peer.trusted => self.unbelieved("baggage"),
            Source::Jwt(claim) => self.claim(claim, plan.repeated),
            Source::Json(pointer) => brought(self.ahead.map(|ahead| ahead.json(pointer, plan.repeated))),
            Source::Lookup { lookup, field, .. } => brought(self.ahead.map(|ahead| ahead.field(*lookup, field))),
            Source::Geoip(region) => self.region(*region),
            _ => match source.read(self.request, self.found, plan.repeated) {
                Reading::Absent => Outcome::Absent("absent"),
                Reading::Bad(why) => Outcome::Refused(why),
                Reading::Value(value) => Outcome::Value(value),
            },
        };
        match outcome {
            Outcome::Value(value) => plan.checked(value).map_or_else(Outcome::Refused, Outcome::Value),
            other => other,
        }
    }

    fn is_unbelieved(&self, header: &str) -> bool {
        !self.peer.trusted && self.extractor.untrusted.contains(header)
    }

    fn unbelieved(&self, header: &str) -> Outcome<'static> {
        match self.request.header(header) {
            Some(_) => Outcome::Absent("the peer is not trusted"),
            None => Outcome::Absent("absent"),
        }
    }

    fn claim(&self, claim: &Pointer, repeated: Repeated) -> Outcome<'_> {
        let Some(verifier) = &self.extractor.beyond.verifier else { return Outcome::Absent("no keys are configured") };
        let read = || self.read_token(verifier);
        match self.ahead.map_or_else(|| self.token.get_or_init(read), |ahead| ahead.token.get_or_init(read)) {
            Token::Absent => Outcome::Absent("absent"),
            Token::Faulty(fault) => Outcome::Absent(fault.in_words()),
            Token::Claims(claims) => {
                let text = JsonText::new(claims.as_bytes());
                match text.map(|text| text.scalar(claim, repeated == Repeated::Joined)) {
                    Some(Scalar::Value(value)) => Outcome::Value(value),
                    Some(Scalar::NotOne) => Outcome::Refused("not one value"),
                    _ => Outcome::Absent("absent"),
                }
            }
        }
    }

    fn read_token(&self, verifier: &Verifier) -> Token {
        let reading = match verifier.place() {
            TokenPlace::Header(name) => header::read(self.request, name, Repeated::First),
            TokenPlace::Cookie(name) => cookie::read(self.request, name),
        };
        let Reading::Value(value) = reading else { return Token::Absent };
        let is_authorization = matches!(verifier.place(), TokenPlace::Header(name) if name == "authorization");
        let token = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ if is_authorization || value.is_empty() => return Token::Absent,
            _ => &value,
        };
        match verifier.verify(token) {
            Ok(claims) => Token::Claims(claims),
            Err(fault) => Token::Faulty(fault),
        }
    }

    fn region(&self, region: Region) -> Outcome<'static> {
        let Some(geoip) = &self.extractor.beyond.geoip else { return Outcome::Absent("no database is configured") };
        let Some(address) = self.client_ip() else { return Outcome::Absent("no client address") };
        let found = match region {
            Region::Province => geoip.province_of(address),
            Region::City => geoip.city_of(address),
        };
        found.map_or(Outcome::Absent("the address is not in the database, or not mapped"), |code| {
            Outcome::Value(Cow::Owned(code))
        })
    }

    /// The value as its source gave it.
    fn written(&self, fact: FactId) -> Option<Cow<'_, str>> {
        let plan = self.extractor.sources.of(fact)?;
        for source in &plan.sources {
            match self.ask(source, plan) {
                Outcome::Value(value) => return Some(value),
                Outcome::Refused(_) => self.count_refused(fact),
                Outcome::Absent(_) => {}
            }
        }
        if fact == FactId::CLIENT_IP { self.client_address() } else { None }
    }

    /// Why the client's address gives no region: what an explanation says and a decision has no time for.
    fn why_no_region(&self, region: Region) -> Option<String> {
        let (geoip, address) = self.extractor.beyond.geoip.as_ref().zip(self.client_ip())?;
        Some(match region {
            Region::Province => geoip.why_no_province(address),
            Region::City => geoip.why_no_city(address),
        })
    }

    fn count_refused(&self, fact: FactId) {
        let mut refused = self.refused.borrow_mut();
        if !refused.contains(&fact) {
            refused.push(fact);
        }
    }

    fn client_address(&self) -> Option<Cow<'_, str>> {
        self.client_ip().map(|address| Cow::Owned(address.to_string()))
    }
}

/// What was brought before, or not.
fn brought<'b>(found: Option<Result<Option<&'b str>, &'static str>>) -> Outcome<'b> {
    match found {
        None => Outcome::Absent("it was not waited for"),
        Some(Err(why @ ("not one value" | "the body is not JSON" | "the body is not UTF-8"))) => Outcome::Refused(why),
        Some(Err(why)) => Outcome::Absent(why),
        Some(Ok(None)) => Outcome::Absent("absent"),
        Some(Ok(Some(value))) => Outcome::Value(Cow::Borrowed(value)),
    }
}

impl<R: RequestParts> Facts for RequestFacts<'_, R> {
    /// A region comes in six digits, the province of the city where one is known: what is logged and what a store is asked
    /// for is what conditions see.
    fn get(&self, fact: FactId) -> Option<Cow<'_, str>> {
        match self.extractor.sources.of(fact)?.fit {
            Fit::Region(RegionCodes::GbT2260) => region(fact, |fact| self.written(fact)),
            _ => self.written(fact),
        }
    }

    fn expression_failed(&self) {
        self.failed.set(self.failed.get().saturating_add(1));
    }

    fn trace(&self, fact: FactId) -> FactTrace {
        let mut trace = FactTrace::default();
        let Some(plan) = self.extractor.sources.of(fact) else {
            return trace;
        };
        for source in &plan.sources {
            let why = match self.ask(source, plan) {
                Outcome::Value(value) => {
                    trace.value = Some(value.into_owned());
                    trace.source = Some(source.to_string());
                    return trace;
                }
                Outcome::Refused(why) | Outcome::Absent(why) => why,
            };
            let why = match source {
                Source::Geoip(region) => self.why_no_region(*region),
                _ => None,
            }
            .unwrap_or_else(|| why.to_owned());
            trace.tried.push(Tried { source: source.to_string(), why });
        }
        if fact == FactId::CLIENT_IP {
            let source = String::from("client address");
            match self.client_address() {
                Some(address) => (trace.value, trace.source) = (Some(address.into_owned()), Some(source)),
                None => trace.tried.push(Tried { source, why: String::from("absent") }),
            }
        }
        trace
    }
}
