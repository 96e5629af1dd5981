//! What stands behind the sources of facts that are not in a request itself: databases, keys, stores.

use std::sync::Arc;
use std::time::Duration;

use super::KeyFiles;
use super::address::is_token;
use super::process::{count, positive, time};
use crate::config::file::{FileConfig, FileGeoip, FileJwt, FileLookup, FileSource, RegionCodes};
use crate::config::geoip::{GeoipData, GeoipPath, GeoipPlan};
use crate::config::jwt::{JWT_ALGORITHMS, JwtPlan, KeySet, TokenPlace};
use crate::config::lookup::{KeyTemplate, LookupPlan, LookupStore};
use crate::config::problem::Findings;
use crate::config::reach::readable;
use crate::config::settings::{FactSource, FactSources};
use crate::config::text::{At, Texts};
use crate::config::units::Time;
use crate::config::watched::Watched;
use crate::decide::{self, FactId, FactTable};

/// The database, which has to be there and whole.
pub(super) fn geoip(config: &FileConfig, texts: &Texts, findings: &mut Findings) -> Option<GeoipPlan> {
    let written = config.geoip.as_ref()?;
    let codes = match config.region_codes.as_ref().map(|codes| codes.value) {
        Some(RegionCodes::Custom) => decide::RegionCodes::Custom,
        _ => decide::RegionCodes::GbT2260,
    };
    let mut way = |written: Option<&At<String>>, default: &str| {
        let found = GeoipPath::parse(written.map_or(default, |written| &written.value));
        if let (None, Some(written)) = (&found, written) {
            findings
                .error(written.at, format!("`{}` is no way into a record", written.value))
                .help("write `city/geoname_id`");
        }
        found
    };
    let province = way(written.province.as_ref(), "subdivisions/0/iso_code");
    let city = way(written.city.as_ref(), "city/geoname_id");
    let country = way(written.country.as_ref(), "country/iso_code");
    let data = database(written, codes, texts, findings)?;
    Some(GeoipPlan { data: Arc::new(data), province: province?, city: city?, country: country?, codes })
}

fn database(
    written: &FileGeoip,
    codes: decide::RegionCodes,
    texts: &Texts,
    findings: &mut Findings,
) -> Option<Watched<GeoipData>> {
    let place = written.database.as_ref()?;
    let database = readable(place, texts, findings)?;
    let cities = match &written.cities {
        Some(cities) => Some(readable(cities, texts, findings)?),
        None => None,
    };
    let files = std::iter::once(database.clone()).chain(cities.clone()).collect();
    match Watched::open(files, move || GeoipData::read(&database, cities.as_deref(), codes)) {
        Ok(data) => Some(data),
        Err(why) => {
            findings.error(place.at, format!("the GeoIP database cannot be used: {why}"));
            None
        }
    }
}

/// The keys and what a token has to say.
pub(super) fn jwt(
    written: Option<&FileJwt>,
    key_files: KeyFiles,
    texts: &Texts,
    findings: &mut Findings,
) -> Option<JwtPlan> {
    let written = written?;
    let place = token_place(written, findings);
    let mut algorithms = Vec::new();
    for word in written.algorithms.iter().flat_map(|list| &list.0) {
        match JWT_ALGORITHMS.iter().find(|(name, _)| *name == word.value) {
            Some((_, algorithm)) => algorithms.push(*algorithm),
            None => {
                let known = JWT_ALGORITHMS.map(|(name, _)| name);
                findings
                    .error(word.at, format!("`{}` is not an algorithm that tokens may be signed with", word.value))
                    .suggest_or_list(&word.value, known);
            }
        }
    }
    if written.algorithms.is_none() {
        algorithms.extend(JWT_ALGORITHMS.map(|(_, algorithm)| algorithm));
    }
    let texts_of = |list: &Option<crate::config::read::OneOrMany<At<String>>>| {
        list.iter().flat_map(|list| &list.0).map(|text| text.value.clone()).collect::<Vec<_>>()
    };
    Some(JwtPlan {
        keys: Arc::new(keys(written.jwks.as_ref()?, key_files, texts, findings)?),
        place,
        algorithms,
        issuers: texts_of(&written.issuer),
        audiences: texts_of(&written.audience),
        leeway: time(written.leeway.as_ref(), Duration::from_secs(60)).as_secs(),
    })
}

fn token_place(written: &FileJwt, findings: &mut Findings) -> TokenPlace {
    if let (Some(cookie), Some(header)) = (&written.cookie, &written.header) {
        findings.error(cookie.at, "the token stands in a header or in a cookie, not in both").also(header.at, "header");
    }
    for (what, name) in [("header", &written.header), ("cookie", &written.cookie)] {
        if let Some(name) = name.as_ref().filter(|name| !is_token(name)) {
            findings.error(name.at, format!("`{}` is no name of a {what}", name.value));
        }
    }
    match (&written.cookie, &written.header) {
        (Some(cookie), _) => TokenPlace::Cookie(cookie.value.clone()),
        (None, Some(header)) => TokenPlace::Header(header.value.to_ascii_lowercase()),
        (None, None) => TokenPlace::Header("authorization".to_owned()),
    }
}

fn keys(file: &At<String>, key_files: KeyFiles, texts: &Texts, findings: &mut Findings) -> Option<Watched<KeySet>> {
    let path = readable(file, texts, findings)?;
    let shown = path.display().to_string();
    let is_missing = !path.exists();
    let (files, read) = (vec![path.clone()], move || KeySet::read(&path));
    if is_missing && key_files == KeyFiles::MayBeAbsent {
        findings.warn(file.at, format!("key file `{shown}` is not here; `run` needs it"));
        return Some(Watched::missing(KeySet::default(), files, read));
    }
    match Watched::open(files, read) {
        Ok(keys) => Some(keys),
        Err(why) => {
            findings.error(file.at, format!("cannot use the keys of `{shown}`: {why}"));
            None
        }
    }
}

/// A `lookup` source: its store has to be there, and a field to be named.
pub(super) fn looked_up(
    written: &FileSource,
    store: &At<String>,
    stores: &[&str],
    findings: &mut Findings,
) -> Option<FactSource> {
    let place = stores.iter().position(|name| *name == store.value);
    if place.is_none() {
        findings
            .error(store.at, format!("unknown lookup `{}`", store.value))
            .suggest_or_list(&store.value, stores.iter().copied());
    }
    let field = written.field.as_ref().filter(|field| !field.value.is_empty());
    if field.is_none() && !written.flawed {
        findings
            .error(store.at, "a `lookup` source names the field of what is looked up")
            .help(format!("write `{{ lookup: {}, field: stock_level }}`", store.value));
    }
    Some(FactSource::Lookup { lookup: place?, name: store.value.clone(), field: field?.value.clone() })
}

/// The stores, each at the place of its name.
pub(super) fn lookups(
    config: &FileConfig,
    table: &mut FactTable,
    sources: &FactSources,
    findings: &mut Findings,
) -> Vec<LookupPlan> {
    let entries = config.lookups.iter().flat_map(|table| &table.entries).enumerate();
    let plans = entries.filter_map(|(place, (name, written))| {
        let fields = fields(place, sources);
        if fields.is_empty() {
            findings.warn(name.at, format!("nothing uses the lookup `{}`", name.value));
        }
        let plan = lookup(&name.value, written.as_ref()?, table, sources, findings)?;
        Some(LookupPlan { fields, ..plan })
    });
    plans.collect()
}

/// The fields that sources name of the store at `place`.
fn fields(place: usize, sources: &FactSources) -> Vec<String> {
    let all = sources.lists.iter().flat_map(|(_, list)| list);
    let named = all.filter_map(|source| match source {
        FactSource::Lookup { lookup, field, .. } if *lookup == place => Some(field.clone()),
        _ => None,
    });
    let mut fields: Vec<String> = named.collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn lookup(
    name: &str,
    written: &FileLookup,
    table: &mut FactTable,
    sources: &FactSources,
    findings: &mut Findings,
) -> Option<LookupPlan> {
    let (store, template) = store(written, findings)?;
    let key = KeyTemplate::parse(&template.value, |fact| match table.resolve(fact) {
        Ok(id) => {
            let is_looked_up = |id: FactId| {
                let list = sources.lists.iter().find(|(there, _)| *there == id).map(|(_, list)| list);
                list.is_some_and(|list| list.iter().any(|one| matches!(one, FactSource::Lookup { .. })))
            };
            if is_looked_up(id) {
                Err(format!("`{fact}` is looked up itself, so it cannot be part of a key"))
            } else if id == FactId::PROVINCE_CODE && is_looked_up(FactId::CITY_ID) {
                Err(format!("`{fact}` follows from `city_id`, which is looked up, so it cannot be part of a key"))
            } else {
                Ok(id)
            }
        }
        Err(error) => Err(error.to_string()),
    });
    let key = match key {
        Ok(key) => key,
        Err(why) => {
            findings.error(template.at, why);
            return None;
        }
    };
    let mut span = |written: Option<&At<Time>>, default, what| positive(written, default, what, findings);
    Some(LookupPlan {
        name: name.to_owned(),
        store,
        key,
        fields: Vec::new(),
        deadline: span(written.deadline.as_ref(), Duration::from_millis(20), "deadline"),
        ttl: span(written.ttl.as_ref(), Duration::from_secs(5), "ttl"),
        negative_ttl: span(written.negative_ttl.as_ref(), Duration::from_secs(1), "negative_ttl"),
        stale: time(written.stale.as_ref(), Duration::from_secs(60)),
        entries: match &written.entries {
            Some(entries) => count(entries, "entries", 10_000_000, findings)?,
            None => 10_000,
        },
    })
}

fn store<'w>(written: &'w FileLookup, findings: &mut Findings) -> Option<(LookupStore, &'w At<String>)> {
    match (&written.redis, &written.key, &written.http) {
        (Some(redis), Some(key), None) => {
            if let Err(error) = redis::Client::open(redis.value.as_str()) {
                findings
                    .error(redis.at, format!("`redis` is no URL of a Redis server: {error}"))
                    .help("write `redis://127.0.0.1:6379/0`");
                return None;
            }
            Some((LookupStore::Redis(redis.value.clone()), key))
        }
        (None, None, Some(http)) => {
            let uri = http.value.replace(['{', '}'], "");
            let is_web = uri
                .parse::<http::Uri>()
                .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some());
            if !is_web {
                findings
                    .error(http.at, format!("`{}` is no URL", http.value))
                    .help("write `http://127.0.0.1:9100/products/{sku_id}`");
                return None;
            }
            Some((LookupStore::Http, http))
        }
        _ if written.flawed => None,
        _ => {
            findings
                .error(written.at, "a lookup is `redis` with `key`, or `http`")
                .help("write `{ redis: \"redis://127.0.0.1:6379\", key: \"product:{sku_id}\" }`");
            None
        }
    }
}

/// Sources whose database or keys are not named give nothing.
pub(super) fn warn_of_missing(config: &FileConfig, findings: &mut Findings) {
    let sources = || config.facts.iter().flat_map(|table| table.iter()).flat_map(|(_, sources)| &sources.0);
    let geoip = sources().find_map(|source| source.geoip.as_ref()).filter(|_| config.geoip.is_none());
    if let Some(source) = geoip {
        findings
            .warn(source.at, "no `geoip` database is named, so a `geoip` source gives nothing")
            .help("write `geoip: { database: geo.mmdb }`");
    }
    let jwt = sources().find_map(|source| source.jwt.as_ref()).filter(|_| config.jwt.is_none());
    if let Some(source) = jwt {
        findings
            .warn(source.at, "no `jwt` keys are named, so a `jwt` source gives nothing")
            .help("write `jwt: { jwks: keys.json }`");
    }
}
