//! How facts are read from requests, compiled once from a configuration.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use regex::Regex;
use rust_decimal::Decimal;

use super::ahead::{Ahead, Needs};
use super::client::{Peer, Trust};
use super::fit::Fit;
use super::jwt::Verifier;
use super::pointer::Pointers;
use super::request_facts::RequestFacts;
use super::source::{Repeated, Source};
use super::untrusted::Untrusted;
use crate::config::GeoipPlan;
use crate::decide::{FactId, FactKind, FactOrigin, FactTable, Found, Program, RequestParts, RouteId, number};
use crate::lookup::Lookup;

/// The sources of every fact, in the order they are tried, and the values that count.
#[derive(Debug, Clone)]
pub struct Sources(Vec<FactSources>);

#[derive(Debug, Clone)]
pub(super) struct FactSources {
    pub(super) sources: Vec<Source>,
    pub(super) fit: Fit,
    pub(super) repeated: Repeated,
    /// Its numbers count hundredths of what conditions count.
    pub(super) in_hundredths: bool,
}

/// What facts come from besides the head of a request.
#[derive(Debug, Default)]
pub struct Beyond {
    /// The longest JSON body that is read, in bytes.
    pub json_body_max: usize,
    /// Who verifies tokens.
    pub verifier: Option<Verifier>,
    /// Where addresses lie.
    pub geoip: Option<GeoipPlan>,
    /// Stores of product facts, by index.
    pub lookups: Vec<Arc<Lookup>>,
}

impl Sources {
    /// The sources that the configuration declares, and those that `header:NAME` and `query:NAME` are by themselves.
    pub fn new(table: &FactTable, declared: impl IntoIterator<Item = (FactId, Vec<Source>)>) -> Sources {
        let mut sources = Sources(table.ids().map(|fact| FactSources::implicit(table, fact)).collect());
        for (fact, list) in declared {
            if let Some(place) = sources.0.get_mut(fact.index()) {
                place.sources = list;
            }
        }
        sources
    }

    /// With a format for `sku_id` other than ours.
    pub fn with_sku_format(self, format: Regex) -> Sources {
        self.with_fit(FactId::SKU_ID, Fit::Format(format))
    }

    /// With the list of known categories.
    pub fn with_categories(self, categories: impl IntoIterator<Item = String>) -> Sources {
        let known: HashSet<Box<str>> = categories.into_iter().map(String::into_boxed_str).collect();
        self.with_fit(FactId::CATEGORY_ID, Fit::OneOf(known))
    }

    /// The headers that are named as sources of facts. A condition's own `header:NAME` is none: it claims no
    /// identity.
    pub fn identity_headers<'a>(&'a self, table: &'a FactTable) -> impl Iterator<Item = &'a str> {
        let named = table.ids().filter(|fact| !matches!(table.origin(*fact), FactOrigin::Header(_)));
        named.filter_map(|fact| self.0.get(fact.index())).flat_map(|place| &place.sources).filter_map(|source| {
            match source {
                Source::Header(name) => Some(&**name),
                _ => None,
            }
        })
    }

    /// With amounts of `order_amount` in hundredths: they are brought to whole units.
    pub fn with_amounts_in_fen(mut self) -> Sources {
        if let Some(place) = self.0.get_mut(FactId::ORDER_AMOUNT.index()) {
            place.in_hundredths = true;
        }
        self
    }

    pub(super) fn of(&self, fact: FactId) -> Option<&FactSources> {
        self.0.get(fact.index())
    }

    pub(super) fn all(&self) -> &[FactSources] {
        &self.0
    }

    fn with_fit(mut self, fact: FactId, fit: Fit) -> Sources {
        if let Some(place) = self.0.get_mut(fact.index()) {
            place.fit = fit;
        }
        self
    }
}

impl FactSources {
    fn implicit(table: &FactTable, fact: FactId) -> FactSources {
        let sources = match table.origin(fact) {
            FactOrigin::Header(name) => vec![Source::Header(name.clone())],
            FactOrigin::Query(name) => vec![Source::Query(name.clone())],
            FactOrigin::BuiltIn | FactOrigin::Declared => Vec::new(),
        };
        let repeated = match table.kind(fact) {
            FactKind::Tags => Repeated::Joined,
            _ => Repeated::First,
        };
        FactSources { sources, fit: Fit::of(table, fact), repeated, in_hundredths: false }
    }

    /// A value as a source gave it, in the unit that conditions count; else why it does not count.
    pub(super) fn checked<'v>(&self, value: Cow<'v, str>) -> Result<Cow<'v, str>, &'static str> {
        self.fit.check(&value)?;
        if self.in_hundredths { hundredths(&value).map(Cow::Owned).ok_or("not a number") } else { Ok(value) }
    }
}

/// A number of hundredths in whole units, exactly.
fn hundredths(value: &str) -> Option<String> {
    let whole = number(value)?.checked_div(Decimal::ONE_HUNDRED)?;
    Some(whole.normalize().to_string())
}

/// Everything that reading a request's facts needs.
#[derive(Debug, Clone)]
pub struct Extractor {
    pub(super) sources: Sources,
    pub(super) untrusted: Untrusted,
    pub(super) trust: Arc<Trust>,
    pub(super) beyond: Arc<Beyond>,
    /// What is wanted of a JSON body.
    pub(super) pointers: Pointers,
    /// At the index of their `RouteId`.
    needs: Box<[Needs]>,
}

impl Extractor {
    /// Reads facts from `sources` for the conditions of `program`, and believes the peers of `trust`.
    pub fn new(program: &Program, sources: Sources, trust: Trust) -> Extractor {
        let overrides = program.releases().iter().filter_map(|release| release.developer.as_ref()?.header.as_deref());
        let untrusted = Untrusted::new(sources.identity_headers(program.facts()), overrides);
        let (pointers, beyond, needs) = (sources.pointers(), Arc::default(), Box::default());
        let trust = Arc::new(trust);
        Extractor { sources, untrusted, trust, beyond, pointers, needs }.with(program, Beyond::default())
    }

    /// With what stands behind sources that are not in the head of a request.
    pub fn with(mut self, program: &Program, beyond: Beyond) -> Extractor {
        let routes = (0..program.routes().len()).filter_map(RouteId::from_index);
        let needs = routes.map(|route| Needs::of(&program.needed_facts(route), &self.sources, &beyond.lookups));
        self.needs = needs.collect();
        self.beyond = Arc::new(beyond);
        self
    }

    /// What has to be waited for before a decision on this route.
    pub fn needs(&self, route: RouteId) -> &Needs {
        const NOTHING: &Needs = &Needs::NOTHING;
        self.needs.get(route.index()).unwrap_or(NOTHING)
    }

    /// The longest JSON body that is read, in bytes.
    pub fn json_body_max(&self) -> usize {
        self.beyond.json_body_max
    }

    /// The stores of product facts.
    pub fn lookups(&self) -> &[Arc<Lookup>] {
        &self.beyond.lookups
    }

    /// The facts of one request, which `peer` sent and `found` is the route of.
    pub fn facts<'a, R: RequestParts>(
        &'a self,
        request: &'a R,
        found: &'a Found<'a>,
        peer: Peer,
    ) -> RequestFacts<'a, R> {
        RequestFacts::new(self, request, found, peer, None)
    }

    /// The same, with what was waited for.
    pub fn facts_with<'a, R: RequestParts>(
        &'a self,
        request: &'a R,
        found: &'a Found<'a>,
        peer: Peer,
        ahead: &'a Ahead,
    ) -> RequestFacts<'a, R> {
        RequestFacts::new(self, request, found, peer, Some(ahead))
    }

    /// Whether a value can be the fact's: of the format, on the list.
    pub fn fits(&self, fact: FactId, value: &str) -> bool {
        self.sources.of(fact).is_some_and(|plan| plan.fit.check(value).is_ok())
    }

    /// The peers that are believed.
    pub fn trust(&self) -> &Arc<Trust> {
        &self.trust
    }

    /// Whether a header may be such a one; names come in any case.
    pub fn may_be_untrusted_header(&self, name: &[u8]) -> bool {
        self.untrusted.may_contain(name)
    }

    /// Whether a header, its name in lower case, is removed from requests of peers that are not trusted.
    pub fn is_untrusted_header(&self, name: &str) -> bool {
        self.untrusted.contains(name)
    }
}
