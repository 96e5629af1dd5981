//! The table of every fact that a configuration can speak of.

use super::fact::{FactId, FactKind, FactOrigin};
use super::region::RegionCodes;
use super::word::nearest;

#[derive(Debug, Clone)]
struct Entry {
    name: Box<str>,
    kind: FactKind,
    origin: FactOrigin,
}

/// Every fact that a configuration can speak of: the built-in ones, then those declared, then the headers and query
/// parameters that conditions name.
#[derive(Debug, Clone)]
pub struct FactTable {
    entries: Vec<Entry>,
    codes: RegionCodes,
}

const BUILT_IN: [(&str, FactKind); 11] = [
    ("user_id", FactKind::Code),
    ("device_id", FactKind::Code),
    ("sku_id", FactKind::Code),
    ("category_id", FactKind::Code),
    ("user_tier", FactKind::Code),
    ("tags", FactKind::Tags),
    ("order_amount", FactKind::Number),
    ("stock_level", FactKind::Number),
    ("province_code", FactKind::Region),
    ("city_id", FactKind::Region),
    ("client_ip", FactKind::Address),
];

impl FactTable {
    /// The greatest number of facts.
    pub const MAX: usize = 1024;

    /// The built-in facts, with regions in GB/T 2260.
    pub fn new() -> FactTable {
        let entries = BUILT_IN
            .iter()
            .map(|(name, kind)| Entry { name: (*name).into(), kind: *kind, origin: FactOrigin::BuiltIn })
            .collect();
        FactTable { entries, codes: RegionCodes::GbT2260 }
    }

    /// Which codes regions are written in; to be said before conditions are compiled.
    pub fn set_region_codes(&mut self, codes: RegionCodes) {
        self.codes = codes;
        let kind = match codes {
            RegionCodes::GbT2260 => FactKind::Region,
            RegionCodes::Custom => FactKind::Code,
        };
        for fact in [FactId::PROVINCE_CODE, FactId::CITY_ID] {
            self.entries[fact.index()].kind = kind;
        }
    }

    /// Which codes regions are written in.
    pub fn region_codes(&self) -> RegionCodes {
        self.codes
    }

    /// Adds a fact of the user's own. The name of a built-in fact gives that one, as its sources are declared the
    /// same way.
    pub fn declare(&mut self, name: &str) -> Result<FactId, FactError> {
        if let Some(known) = self.id(name) {
            return match self.entries[known.index()].origin {
                FactOrigin::BuiltIn => Ok(known),
                _ => Err(FactError::Duplicate { name: name.to_owned() }),
            };
        }
        if !is_fact_name(name) {
            let why = "write letters, digits, `_`, `-` and `.`, a letter first, 64 at most; `tag` is taken";
            return Err(FactError::Invalid { name: name.to_owned(), why });
        }
        self.push(name.into(), FactOrigin::Declared)
    }

    /// The fact that a condition's key names: a fact, `tag`, `header:NAME` or `query:NAME`.
    pub fn resolve(&mut self, key: &str) -> Result<FactId, FactError> {
        if key == "tag" {
            return Ok(FactId::TAGS);
        }
        if let Some(name) = key.strip_prefix("header:") {
            let name = name.trim().to_ascii_lowercase();
            if !is_token(&name) {
                let why = "`header:` is followed by the name of a header";
                return Err(FactError::Invalid { name: key.to_owned(), why });
            }
            return self.implicit(format!("header:{name}"), FactOrigin::Header(name.into()));
        }
        if let Some(name) = key.strip_prefix("query:") {
            if name.is_empty() {
                let why = "`query:` is followed by the name of a query parameter";
                return Err(FactError::Invalid { name: key.to_owned(), why });
            }
            return self.implicit(key.to_owned(), FactOrigin::Query(name.into()));
        }
        self.id(key).ok_or_else(|| FactError::Unknown {
            name: key.to_owned(),
            nearest: nearest(key, self.names().chain(["tag"])).map(str::to_owned),
        })
    }

    /// The fact of this name.
    pub fn id(&self, name: &str) -> Option<FactId> {
        self.entries.iter().position(|entry| *entry.name == *name).map(|index| FactId(index as u16))
    }

    /// The name of a fact of this table.
    pub fn name(&self, fact: FactId) -> &str {
        self.entries.get(fact.index()).map_or("", |entry| &entry.name)
    }

    /// What the values of a fact are.
    pub fn kind(&self, fact: FactId) -> FactKind {
        self.entries.get(fact.index()).map_or(FactKind::Open, |entry| entry.kind)
    }

    /// Where a fact of this table comes from.
    pub fn origin(&self, fact: FactId) -> &FactOrigin {
        self.entries.get(fact.index()).map_or(&FactOrigin::Declared, |entry| &entry.origin)
    }

    /// Every name, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.name)
    }

    /// Every fact.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = FactId> + use<> {
        (0..self.entries.len()).map(|index| FactId(index as u16))
    }

    fn implicit(&mut self, name: String, origin: FactOrigin) -> Result<FactId, FactError> {
        match self.id(&name) {
            Some(known) => Ok(known),
            None => self.push(name.into(), origin),
        }
    }

    fn push(&mut self, name: Box<str>, origin: FactOrigin) -> Result<FactId, FactError> {
        if self.entries.len() == FactTable::MAX {
            return Err(FactError::TooMany);
        }
        self.entries.push(Entry { name, kind: FactKind::Open, origin });
        Ok(FactId((self.entries.len() - 1) as u16))
    }
}

impl Default for FactTable {
    fn default() -> FactTable {
        FactTable::new()
    }
}

fn is_fact_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    name != "tag"
        && bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
}

/// The characters of a header's name, RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Why a name cannot be a fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// Nothing of this name is known.
    #[error("unknown fact `{name}`{}", suggestion(.nearest))]
    Unknown {
        /// The name as written.
        name: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// Declared before.
    #[error("fact `{name}` is declared twice")]
    Duplicate {
        /// The name as written.
        name: String,
    },
    /// Not the form of a name.
    #[error("`{name}` is no name for a fact: {why}")]
    Invalid {
        /// The name as written.
        name: String,
        /// What a name looks like.
        why: &'static str,
    },
    /// The table is full.
    #[error("more than {} facts", FactTable::MAX)]
    TooMany,
}

fn suggestion(nearest: &Option<String>) -> String {
    match nearest {
        Some(word) => format!(", did you mean `{word}`?"),
        None => String::from("; declare it under `facts`, or write `header:NAME` or `query:NAME`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_facts_have_the_places_of_their_constants() {
        let table = FactTable::new();
        for (name, fact) in [
            ("user_id", FactId::USER_ID),
            ("tags", FactId::TAGS),
            ("stock_level", FactId::STOCK_LEVEL),
            ("city_id", FactId::CITY_ID),
            ("client_ip", FactId::CLIENT_IP),
        ] {
            assert_eq!(table.id(name), Some(fact));
            assert_eq!(table.name(fact), name);
        }
    }

    #[test]
    fn a_declared_fact_is_known_afterwards_and_only_once() {
        let mut table = FactTable::new();
        let region = table.declare("region").unwrap();
        assert_eq!(table.resolve("region"), Ok(region));
        assert_eq!(table.declare("region").unwrap_err().to_string(), "fact `region` is declared twice");
        assert_eq!(table.declare("user_id"), Ok(FactId::USER_ID));
        assert!(table.declare("tag").is_err() && table.declare("a b").is_err() && table.declare("").is_err());
    }

    #[test]
    fn keys_of_conditions_resolve() {
        let mut table = FactTable::new();
        assert_eq!(table.resolve("tag"), Ok(FactId::TAGS));
        let header = table.resolve("header:X-App-Version").unwrap();
        assert_eq!(table.resolve("header:x-app-version"), Ok(header));
        assert_eq!(table.origin(header), &FactOrigin::Header("x-app-version".into()));
        assert_ne!(table.resolve("query:a"), table.resolve("query:A"));
        assert!(table.resolve("header:").is_err() && table.resolve("header:a b").is_err());
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = FactTable::new().resolve("catgory_id").unwrap_err();
        assert_eq!(error.to_string(), "unknown fact `catgory_id`, did you mean `category_id`?");
        let error = FactTable::new().resolve("moon").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown fact `moon`; declare it under `facts`, or write `header:NAME` or `query:NAME`"
        );
    }
}
