//! The facts of one request, looked up when asked for.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;

use smallvec::SmallVec;

use super::client::{Peer, client_ip};
use super::extractor::{Extractor, FactSources};
use super::source::{Reading, Source};
use crate::decide::{FactId, FactTrace, Facts, Found, RequestParts, Tried};

/// The facts of one request.
#[derive(Debug)]
pub struct RequestFacts<'a, R> {
    extractor: &'a Extractor,
    request: &'a R,
    found: &'a Found<'a>,
    peer: Peer,
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
    pub(super) fn new(extractor: &'a Extractor, request: &'a R, found: &'a Found<'a>, peer: Peer) -> Self {
        RequestFacts { extractor, request, found, peer, refused: RefCell::default(), failed: Cell::new(0) }
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

    fn ask(&self, source: &Source, plan: &FactSources) -> Outcome<'a> {
        if let Source::Header(name) = source
            && !self.peer.trusted
            && self.extractor.untrusted.contains(name)
        {
            return match self.request.header(name) {
                Some(_) => Outcome::Absent("the peer is not trusted"),
                None => Outcome::Absent("absent"),
            };
        }
        match source.read(self.request, self.found, plan.repeated) {
            Reading::Absent => Outcome::Absent("absent"),
            Reading::Bad(why) => Outcome::Refused(why),
            Reading::Value(value) => match plan.fit.check(&value) {
                Ok(()) => Outcome::Value(value),
                Err(why) => Outcome::Refused(why),
            },
        }
    }

    fn count_refused(&self, fact: FactId) {
        let mut refused = self.refused.borrow_mut();
        if !refused.contains(&fact) {
            refused.push(fact);
        }
    }

    fn client_address(&self) -> Option<Cow<'a, str>> {
        self.client_ip().map(|address| Cow::Owned(address.to_string()))
    }
}

impl<R: RequestParts> Facts for RequestFacts<'_, R> {
    fn get(&self, fact: FactId) -> Option<Cow<'_, str>> {
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
            trace.tried.push(Tried { source: source.to_string(), why: why.to_owned() });
        }
        if let (FactId::CLIENT_IP, Some(address)) = (fact, self.client_address()) {
            trace.value = Some(address.into_owned());
            trace.source = Some(String::from("client address"));
        }
        trace
    }
}
