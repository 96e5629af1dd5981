//! From a configuration's settings to an [`Extractor`].

use super::client::Trust;
use super::extractor::{Extractor, Sources};
use super::source::Source;
use crate::config::{EncodedWord, FactSource, Settings};
use crate::decide::AllowEncoded;

impl Extractor {
    /// As the settings say.
    pub fn of(settings: &Settings) -> Extractor {
        let lists = settings.facts.lists.iter();
        let declared = lists.map(|(fact, list)| (*fact, list.iter().filter_map(source).collect()));
        let mut sources = Sources::new(settings.program.facts(), declared);
        if let Some(format) = &settings.facts.sku_format {
            sources = sources.with_sku_format(format.clone());
        }
        if !settings.facts.categories.is_empty() {
            sources = sources.with_categories(settings.facts.categories.iter().cloned());
        }
        Extractor::new(&settings.program, sources, Trust::new(settings.trust.iter().copied()))
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

/// Sources that this version does not evaluate were warned of when the configuration was loaded.
fn source(source: &FactSource) -> Option<Source> {
    match source {
        FactSource::Header(name) => Some(Source::header(name)),
        FactSource::Cookie(name) => Some(Source::Cookie(name.as_str().into())),
        FactSource::Query(name) => Some(Source::Query(name.as_str().into())),
        FactSource::Path(name) => Some(Source::Path(name.as_str().into())),
        FactSource::Json(_) | FactSource::Geoip(_) | FactSource::Jwt(_) | FactSource::Baggage(_) => None,
    }
}
