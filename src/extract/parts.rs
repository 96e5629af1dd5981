//! Single parts of a request, read as facts are read from them: for whoever has requests that are not whole.

use std::borrow::Cow;

use super::extractor::Extractor;
use super::source::{Reading, Source};
use crate::decide::{FactId, Found, RequestParts};

impl Extractor {
    /// Where a fact is looked for, in this order.
    pub fn sources_of(&self, fact: FactId) -> &[Source] {
        self.sources.of(fact).map_or(&[], |plan| &plan.sources)
    }

    /// What one source in the head of a request gives for a fact. Values that do not fit, and sources beyond the head, give
    /// nothing.
    pub fn read_part<'a, R: RequestParts>(
        &self,
        fact: FactId,
        source: &Source,
        request: &'a R,
        found: &'a Found<'a>,
    ) -> Option<Cow<'a, str>> {
        let plan = self.sources.of(fact)?;
        match source.read(request, found, plan.repeated) {
            Reading::Value(value) => plan.checked(value).ok(),
            Reading::Absent | Reading::Bad(_) => None,
        }
    }

    /// A value as one of a fact's sources gives it, if it fits; in the unit that conditions count.
    pub fn accept<'v>(&self, fact: FactId, value: Cow<'v, str>) -> Option<Cow<'v, str>> {
        self.sources.of(fact)?.checked(value).ok()
    }
}
