//! From a configuration's settings to an [`Extractor`].

use std::sync::Arc;

use super::client::Trust;
use super::extractor::{Beyond, Extractor, Sources};
use super::jwt::Verifier;
use super::pointer::Pointer;
use super::source::{Region, Source};
use crate::config::{AmountUnit, EncodedWord, FactSource, Settings};
use crate::decide::AllowEncoded;
use crate::lookup::Lookup;

impl Extractor {
    /// As the settings say.
    pub fn of(settings: &Settings) -> Extractor {
        let lists = settings.facts.lists.iter();
        let declared = lists.map(|(fact, list)| (*fact, list.iter().map(source).collect()));
        let mut sources = Sources::new(settings.program.facts(), declared);
        if let Some(format) = &settings.facts.sku_format {
            sources = sources.with_sku_format(format.clone());
        }
        if !settings.facts.categories.is_empty() {
            sources = sources.with_categories(settings.facts.categories.iter().cloned());
        }
        if settings.facts.amount_unit == Some(AmountUnit::Fen) {
            sources = sources.with_amounts_in_fen();
        }
        let beyond = Beyond {
            json_body_max: settings.facts.json_body_max,
            verifier: settings.jwt.clone().map(Verifier::new),
            geoip: settings.geoip.clone(),
            lookups: settings.lookups.iter().cloned().map(Lookup::new).map(Arc::new).collect(),
        };
        Extractor::new(
            &settings.program,
            sources,
            Trust::new(settings.trust.iter().copied()).with_names(settings.trust_names.clone()),
        )
        .with(&settings.program, beyond)
    }
}

/// The encoded characters that the settings let a path hold.
pub fn allow_encoded(settings: &Settings) -> AllowEncoded {
    let allows = |word| settings.allow_encoded.contains(&word);
    AllowEncoded {
        slash: allows(EncodedWord::Slash),
        backslash: allows(EncodedWord::Backslash),
        nul: allows(EncodedWord::Nul),
    }
}

fn source(source: &FactSource) -> Source {
    match source {
        FactSource::Header(name) => Source::header(name),
        FactSource::Cookie(name) => Source::Cookie(name.as_str().into()),
        FactSource::Query(name) => Source::Query(name.as_str().into()),
        FactSource::Path(name) => Source::Path(name.as_str().into()),
        FactSource::Baggage(name) => Source::Baggage(name.as_str().into()),
        FactSource::Jwt(claim) => Source::Jwt(Pointer::claim(claim)),
        FactSource::Json(pointer) => Source::Json(Pointer::new(pointer)),
        FactSource::Geoip(what) if what == "city" => Source::Geoip(Region::City),
        FactSource::Geoip(_) => Source::Geoip(Region::Province),
        FactSource::Lookup { lookup, name, field } => {
            Source::Lookup { lookup: *lookup, name: name.as_str().into(), field: field.as_str().into() }
        }
    }
}
