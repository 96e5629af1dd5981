//! The facts of a logged request under one configuration, with a note of what the log does not hold.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use super::judge::Placed;
use super::line::{Known, Line, Named};
use crate::config::Settings;
use crate::decide::{AllowEncoded, Bucket, Decision, FactId, Facts, Found, Reason, RegionCodes, Release, RequestParts};
use crate::decide::{bucket, region};
use crate::extract::{self, Extractor, Source};

/// One of the two configurations, ready to be asked.
pub(super) struct Side<'s> {
    pub(super) settings: &'s Settings,
    pub(super) allow: AllowEncoded,
    extractor: Extractor,
    /// Whether a route asks for the host.
    by_host: bool,
}

/// Why a lane cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why<'s> {
    /// The log does not hold this fact.
    Fact(&'s str),
    /// The bucket was made with another salt than this release's.
    Salt(&'s str),
    /// The bucket was made from another fact than this release hashes.
    HashKey(&'s str),
    /// Routes ask for a host or a header that the log does not hold.
    Route,
    /// An override or a mark decided, and this configuration has another release there.
    Voice,
}

impl Why<'_> {
    /// The kind, for scripts.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Why::Fact(_) => "fact",
            Why::Salt(_) => "salt",
            Why::HashKey(_) => "hash_key",
            Why::Route => "route",
            Why::Voice => "override_or_mark",
        }
    }

    /// For people.
    pub(super) fn in_words(&self) -> String {
        match self {
            Why::Fact(name) => format!("the log does not hold `{name}`"),
            Why::Salt(release) => format!("the log has no bucket under a salt of release `{release}`"),
            Why::HashKey(release) => format!("the logged bucket is not of what release `{release}` hashes"),
            Why::Route => String::from("the log does not hold a host or header that routes ask for"),
            Why::Voice => {
                String::from("an override or a lane mark decided, and what it would say now the log does not tell")
            }
        }
    }
}

impl<'s> Side<'s> {
    pub(super) fn new(settings: &'s Settings) -> Side<'s> {
        Side {
            settings,
            allow: extract::allow_encoded(settings),
            extractor: Extractor::of(settings),
            by_host: settings.program.routes().iter().any(|route| !route.hosts.is_empty()),
        }
    }

    /// Whether every request is looked at for a fact: it stands in the head, where it costs no wait.
    pub(super) fn is_always_read(&self, fact: FactId) -> bool {
        let sources = self.extractor.sources_of(fact);
        !sources.is_empty() && !sources.iter().any(|source| matches!(source, Source::Json(_) | Source::Lookup { .. }))
    }

    /// The name of the lane where a request goes.
    pub(super) fn lane(&self, placed: &Placed) -> Option<&'s str> {
        placed.lane.map(|lane| self.settings.program.lanes().name(lane))
    }
}

/// A logged request as routes see it. Whether it was asked for what the log does not hold is noted.
pub(super) struct Asked<'l> {
    line: &'l Line<'l>,
    by_host: bool,
    gap: Cell<bool>,
}

impl<'l> Asked<'l> {
    pub(super) fn new(line: &'l Line<'l>, side: &Side<'_>) -> Asked<'l> {
        Asked { line, by_host: side.by_host, gap: Cell::new(false) }
    }

    /// Whether an answer was missing.
    pub(super) fn has_gap(&self) -> bool {
        self.gap.get()
    }

    /// What came of asking, and whether an answer was missing for it. The request's own note stays as it was.
    fn listen<T>(&self, ask: impl FnOnce() -> T) -> (T, bool) {
        let before = self.gap.replace(false);
        (ask(), self.gap.replace(before))
    }

    fn note(&self, matters: bool) {
        self.gap.set(self.gap.get() || matters);
    }
}

impl RequestParts for Asked<'_> {
    fn method(&self) -> &str {
        &self.line.method
    }

    fn host(&self) -> Option<&str> {
        // Every search begins with the host, so that it was asked for says nothing.
        self.note(self.by_host && self.line.host == Known::Unknown);
        self.line.host.value()
    }

    fn path(&self) -> &str {
        &self.line.path
    }

    fn query(&self) -> Option<&str> {
        self.note(self.line.query == Known::Unknown);
        self.line.query.value()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let header = named(&self.line.headers, name);
        self.note(matches!(header, None | Some(Known::Unknown)));
        header?.value().map(str::as_bytes)
    }

    fn for_each_header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        if let Some(value) = self.header(name) {
            each(value);
        }
    }
}

/// The facts of a logged request on a route.
pub(super) struct LineFacts<'s, 'f> {
    side: &'s Side<'s>,
    asked: &'f Asked<'f>,
    found: &'f Found<'f>,
    release: Option<&'s Release>,
    /// The first fact that was asked for and is not in the log.
    missing: OnceCell<FactId>,
    /// Whether the release's bucket is not known, and whether the experiment's is not.
    no_bucket: Cell<bool>,
    no_group: Cell<bool>,
    other_key: Cell<bool>,
}

impl<'s, 'f> LineFacts<'s, 'f> {
    pub(super) fn new(
        side: &'s Side<'s>,
        asked: &'f Asked<'f>,
        found: &'f Found<'f>,
        release: Option<&'s Release>,
    ) -> LineFacts<'s, 'f> {
        let no = || Cell::new(false);
        LineFacts {
            side,
            asked,
            found,
            release,
            missing: OnceCell::new(),
            no_bucket: no(),
            no_group: no(),
            other_key: no(),
        }
    }

    /// What the log says of a fact, by its name, else through the configuration's sources.
    pub(super) fn known(&self, fact: FactId) -> Known<'_> {
        let table = self.side.settings.program.facts();
        let line = self.asked.line;
        let given = match fact {
            FactId::USER_ID => &line.user,
            FactId::DEVICE_ID => &line.device,
            FactId::CLIENT_IP => &line.client,
            fact => named(&line.facts, table.name(fact)).unwrap_or(&Known::Unknown),
        };
        let value = match given {
            Known::Unknown => return self.of_sources(fact),
            Known::Absent => return self.of_parameter(fact),
            Known::Value(value) => Cow::Borrowed(&**value),
        };
        // Our own log has facts as conditions saw them, and hashes of users; another one has what a source would give.
        let extractor = &self.side.extractor;
        let own = line.buckets.is_some();
        match own && (matches!(fact, FactId::USER_ID | FactId::DEVICE_ID) || extractor.fits(fact, &value)) {
            true => Known::Value(value),
            false if own => Known::Absent,
            false => extractor.accept(fact, value).map_or(Known::Absent, Known::Value),
        }
    }

    /// The province that follows from the city, where one is known: a live request believes it before all else that was said of
    /// its province. `Unknown` where the city is. Our own log has the province as it was believed.
    fn of_city(&self) -> Known<'_> {
        let is_settled = self.asked.line.buckets.is_some() && self.is_logged(FactId::PROVINCE_CODE);
        if is_settled || self.side.settings.program.facts().region_codes() != RegionCodes::GbT2260 {
            return Known::Absent;
        }
        match self.known(FactId::CITY_ID) {
            Known::Unknown => Known::Unknown,
            city => {
                let city = city.value();
                let alone = |fact| city.filter(|_| fact == FactId::CITY_ID).map(Cow::Borrowed);
                region(FactId::PROVINCE_CODE, alone)
                    .map_or(Known::Absent, |province| Known::Value(province.into_owned().into()))
            }
        }
    }

    /// Whether the log says something of a fact by its name.
    fn is_logged(&self, fact: FactId) -> bool {
        let name = self.side.settings.program.facts().name(fact);
        named(&self.asked.line.facts, name).is_some_and(|known| *known != Known::Unknown)
    }

    /// A fact that was absent: the route that was asked then may lack a parameter that this one has.
    fn of_parameter(&self, fact: FactId) -> Known<'_> {
        let has = |source: &&Source| matches!(source, Source::Path(name) if self.found.parameter(name).is_some());
        let mut parameters = self.side.extractor.sources_of(fact).iter().filter(has).peekable();
        if parameters.peek().is_some() && self.is_hash(fact) {
            return Known::Unknown;
        }
        let mut known = parameters.map(|source| self.of_source(fact, source));
        known.find(|known| *known != Known::Absent).unwrap_or(Known::Absent)
    }

    /// Where user and device are hashes, a path or a query would give them as they are: two keys for one user.
    fn is_hash(&self, fact: FactId) -> bool {
        self.asked.line.buckets.is_some() && matches!(fact, FactId::USER_ID | FactId::DEVICE_ID)
    }

    fn of_sources(&self, fact: FactId) -> Known<'_> {
        let sources = self.side.extractor.sources_of(fact);
        if self.is_hash(fact) && !sources.is_empty() {
            return Known::Unknown;
        }
        sources
            .iter()
            .map(|source| self.of_source(fact, source))
            .find(|known| *known != Known::Absent)
            .unwrap_or(Known::Absent)
    }

    fn of_source(&self, fact: FactId, source: &Source) -> Known<'_> {
        let extractor = &self.side.extractor;
        match source {
            // What the log does not show stands there by its name.
            Source::Path(name) if self.found.parameter(name).is_some_and(is_hidden) => return Known::Unknown,
            Source::Cookie(name) => match named(&self.asked.line.cookies, name) {
                Some(Known::Value(value)) => {
                    return extractor.accept(fact, plain(value).into()).map_or(Known::Absent, Known::Value);
                }
                Some(Known::Absent) => return Known::Absent,
                Some(Known::Unknown) | None => {}
            },
            Source::Jwt(_) | Source::Json(_) | Source::Geoip(_) | Source::Lookup { .. } => return Known::Unknown,
            Source::Path(_) | Source::Query(_) | Source::Header(_) | Source::Baggage(_) => {}
        }
        let (value, has_gap) = self.asked.listen(|| extractor.read_part(fact, source, self.asked, self.found));
        if has_gap { Known::Unknown } else { Known::of(value) }
    }

    /// Why the decision that was made from these facts may be another one; nothing where it is certain.
    pub(super) fn gap(&self, decision: &Decision) -> Option<Why<'s>> {
        if let Some(fact) = self.missing.get() {
            return Some(Why::Fact(self.side.settings.program.facts().name(*fact)));
        }
        let release = self.release?;
        // The release's bucket is always worked out and only sometimes matters.
        let mattered = matches!(decision.decided.reason, Reason::Bucket | Reason::BucketOut);
        if self.no_group.get() || self.no_bucket.get() && mattered {
            return Some(if self.other_key.get() { Why::HashKey(&release.name) } else { Why::Salt(&release.name) });
        }
        None
    }
}

impl Facts for LineFacts<'_, '_> {
    fn get(&self, fact: FactId) -> Option<Cow<'_, str>> {
        let mut asked = fact;
        let mut known = Known::Absent;
        if fact == FactId::PROVINCE_CODE {
            (asked, known) = (FactId::CITY_ID, self.of_city());
        }
        if known == Known::Absent {
            (asked, known) = (fact, self.known(fact));
        }
        match known {
            Known::Value(value) => Some(value),
            Known::Absent => None,
            Known::Unknown => {
                let _ = self.missing.set(asked);
                None
            }
        }
    }

    fn bucket(&self, salt: &str, fact: FactId, key: &str) -> Bucket {
        let Some(buckets) = &self.asked.line.buckets else { return bucket(salt, key) };
        let same_key = buckets.key.as_deref() == Some(self.side.settings.program.facts().name(fact));
        match buckets.known.iter().find(|(_, known)| *known == salt) {
            Some((bucket, _)) if same_key => return *bucket,
            Some(_) => self.other_key.set(true),
            None => {}
        }
        // A release may share its salt with its experiment: then both are in doubt.
        let release = self.release;
        let own = release.is_some_and(|release| release.salt == salt);
        let experiment = release.and_then(|release| release.ab.as_ref()).map(|ab| ab.experiment().salt());
        self.no_bucket.set(self.no_bucket.get() || own);
        self.no_group.set(self.no_group.get() || !own || experiment == Some(salt));
        Bucket::FIRST
    }
}

/// Whether this is the name that stands in a logged path in place of what is not shown.
fn is_hidden(value: &str) -> bool {
    value.starts_with('{') && value.ends_with('}')
}

/// A cookie's value as it is read from the header: without blanks and quotes around it.
fn plain(cookie: &str) -> &str {
    let cookie = cookie.trim_ascii();
    cookie.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(cookie)
}

fn named<'l>(list: &'l Named<'_>, name: &str) -> Option<&'l Known<'l>> {
    list.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}
