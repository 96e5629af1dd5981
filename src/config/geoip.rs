//! Where an address lies, by a database in MaxMind's format, in the codes of GB/T 2260.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use maxminddb::{PathElement, Reader};

use super::watched::Watched;
use crate::decide::{RegionCodes, is_no_city};

/// The provinces by their letters in ISO 3166-2:CN and by the digits used there before 2017, which are those of
/// GB/T 2260. Hong Kong, Macao and Taiwan also by their codes as countries.
const PROVINCES: [(&str, &str); 34] = [
    ("BJ", "110000"),
    ("TJ", "120000"),
    ("HE", "130000"),
    ("SX", "140000"),
    ("NM", "150000"),
    ("LN", "210000"),
    ("JL", "220000"),
    ("HL", "230000"),
    ("SH", "310000"),
    ("JS", "320000"),
    ("ZJ", "330000"),
    ("AH", "340000"),
    ("FJ", "350000"),
    ("JX", "360000"),
    ("SD", "370000"),
    ("HA", "410000"),
    ("HB", "420000"),
    ("HN", "430000"),
    ("GD", "440000"),
    ("GX", "450000"),
    ("HI", "460000"),
    ("CQ", "500000"),
    ("SC", "510000"),
    ("GZ", "520000"),
    ("YN", "530000"),
    ("XZ", "540000"),
    ("SN", "610000"),
    ("GS", "620000"),
    ("QH", "630000"),
    ("NX", "640000"),
    ("XJ", "650000"),
    ("TW", "710000"),
    ("HK", "810000"),
    ("MO", "820000"),
];
/// Those whose records name them as countries.
const AS_COUNTRIES: [&str; 3] = ["TW", "HK", "MO"];
/// Most bytes of the file of cities.
const MOST_CITY_BYTES: u64 = 8 << 20;

/// How addresses are looked up.
#[derive(Debug, Clone)]
pub struct GeoipPlan {
    /// The database, read again when its file changes.
    pub data: Arc<Watched<GeoipData>>,
    /// Where a record says its province.
    pub province: GeoipPath,
    /// Where a record says its city.
    pub city: GeoipPath,
    /// Where a record says its country.
    pub country: GeoipPath,
    /// What codes regions are written in.
    pub codes: RegionCodes,
}

/// A way into a record: names, and numbers for places of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeoipPath(Vec<String>);

/// A database and the codes of its cities.
pub struct GeoipData {
    reader: Reader<Vec<u8>>,
    cities: HashMap<Box<str>, Box<str>>,
}

impl GeoipPath {
    /// Steps separated by `/`, with or without one at the beginning; nothing where a step is empty.
    pub fn parse(text: &str) -> Option<GeoipPath> {
        let steps: Vec<String> = text.strip_prefix('/').unwrap_or(text).split('/').map(str::to_owned).collect();
        (!steps.iter().any(String::is_empty) && steps.len() <= 16).then_some(GeoipPath(steps))
    }

    fn elements(&self) -> Vec<PathElement<'_>> {
        let step = |step: &'_ String| step.parse().map_or(None, |index| Some(PathElement::Index(index)));
        self.0.iter().map(|text| step(text).unwrap_or(PathElement::Key(text.as_str()))).collect()
    }
}

/// A word of a record, whatever kind it is of there.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(u64),
}

impl GeoipData {
    /// Reads the database, and the codes of cities where a file holds some.
    pub fn read(database: &Path, cities: Option<&Path>, codes: RegionCodes) -> Result<GeoipData, String> {
        let named = |path: &Path, why: String| format!("`{}`: {why}", path.display());
        let reader = Reader::open_readfile(database).map_err(|error| named(database, error.to_string()))?;
        let cities = match cities {
            None => HashMap::new(),
            Some(path) => read_cities(path, codes).map_err(|why| named(path, why))?,
        };
        Ok(GeoipData { reader, cities })
    }

    /// Whether there is a record of an address.
    fn holds(&self, address: IpAddr) -> bool {
        self.reader.lookup(address).is_ok_and(|found| found.has_data())
    }

    fn word(&self, address: IpAddr, path: &GeoipPath) -> Option<String> {
        let found = self.reader.lookup(address).ok()?;
        match found.decode_path::<Word>(&path.elements()).ok()?? {
            Word::Text(text) => Some(text),
            Word::Number(number) => Some(number.to_string()),
        }
    }
}

impl std::fmt::Display for GeoipPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl std::fmt::Debug for GeoipData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeoipData").field("cities", &self.cities.len()).finish_non_exhaustive()
    }
}

impl GeoipPlan {
    /// The province of an address; nothing where it is not found or not mapped.
    pub fn province_of(&self, address: IpAddr) -> Option<String> {
        let data = self.data.get();
        let country = data.word(address, &self.country);
        if let Some(country) = country.as_deref().filter(|country| AS_COUNTRIES.contains(country)) {
            return province(country).map(str::to_owned);
        }
        let word = data.word(address, &self.province)?;
        if self.codes == RegionCodes::Custom {
            return Some(word);
        }
        // `HE` is Hebei here and Hessen elsewhere.
        if country.is_some_and(|country| country != "CN") {
            return None;
        }
        province(&word).map(str::to_owned)
    }

    /// The city of an address; nothing where it is not found or not mapped.
    pub fn city_of(&self, address: IpAddr) -> Option<String> {
        let data = self.data.get();
        let word = data.word(address, &self.city)?;
        let mapped = data.cities.get(word.as_str()).map(|code| code.to_string());
        mapped.or_else(|| (self.codes == RegionCodes::Custom).then_some(word))
    }

    /// Why [`GeoipPlan::province_of`] gives nothing, for an explanation.
    pub fn why_no_province(&self, address: IpAddr) -> String {
        let data = self.data.get();
        let country = data.word(address, &self.country).filter(|country| country != "CN");
        match (country, data.word(address, &self.province)) {
            _ if !data.holds(address) => format!("{address} is not in the database"),
            (Some(country), _) if self.codes == RegionCodes::GbT2260 => {
                format!("{address} lies in `{country}`, of which no province is mapped")
            }
            (_, None) => format!("the record of {address} has no `{}`", self.province),
            (_, Some(word)) => format!("{address} lies in `{word}`, which is no province of ISO 3166-2:CN"),
        }
    }

    /// Why [`GeoipPlan::city_of`] gives nothing, for an explanation.
    pub fn why_no_city(&self, address: IpAddr) -> String {
        let data = self.data.get();
        match data.word(address, &self.city) {
            _ if !data.holds(address) => format!("{address} is not in the database"),
            None => format!("the record of {address} has no `{}`", self.city),
            Some(word) => format!("{address} lies in `{word}`, which `cities` does not map"),
        }
    }
}

/// The province of a subdivision's code: `ZJ`, `CN-ZJ`, `33`, `CN-33`, or the six digits themselves.
pub fn province(code: &str) -> Option<&'static str> {
    let code = code.strip_prefix("CN-").unwrap_or(code);
    let known = |(letters, digits): &&(&str, &'static str)| *letters == code || *digits == code || digits[..2] == *code;
    PROVINCES.iter().find(known).map(|(_, digits)| *digits)
}

/// Lines `id: code` or `id,code`, `#` before a comment. A province that has cities is none, and no city has two
/// codes.
fn read_cities(path: &Path, codes: RegionCodes) -> Result<HashMap<Box<str>, Box<str>>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MOST_CITY_BYTES {
        return Err(format!("it is larger than {} MiB", MOST_CITY_BYTES >> 20));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let bare = |part: &str| part.trim().trim_matches(['"', '\'']).to_owned();
    let mut cities: HashMap<Box<str>, Box<str>> = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let at = |why: String| Err(format!("line {}: {why}", number + 1));
        let pair = line.rsplit_once([':', ',']).map(|(name, code)| (bare(name), bare(code)));
        let Some((name, code)) = pair.filter(|(name, code)| !name.is_empty() && codes.accept(code)) else {
            return at(String::from("write `1808926: \"330100\"`, a name or number and a region code"));
        };
        if codes == RegionCodes::GbT2260 && is_no_city(&code) {
            return at(format!("`{code}` is a province, and a city is wanted, such as \"330100\""));
        }
        match cities.get(name.as_str()) {
            Some(known) if !codes.same(known, &code) => return at(format!("`{name}` is `{known}` on an earlier line")),
            _ => _ = cities.insert(name.into_boxed_str(), code.into_boxed_str()),
        }
    }
    Ok(cities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provinces_are_known_by_letters_and_digits() {
        for (code, expected) in [
            ("ZJ", Some("330000")),
            ("CN-ZJ", Some("330000")),
            ("33", Some("330000")),
            ("CN-33", Some("330000")),
            ("330000", Some("330000")),
            ("HK", Some("810000")),
            ("MO", Some("820000")),
            ("TW", Some("710000")),
            ("71", Some("710000")),
            ("NX", Some("640000")),
            ("XX", None),
            ("3301", None),
            ("", None),
            ("CA", None),
        ] {
            assert_eq!(province(code), expected, "{code}");
        }
        assert!(PROVINCES.iter().all(|(_, code)| RegionCodes::GbT2260.accept(code)));
    }

    #[test]
    fn cities_are_lines_and_a_wrong_one_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            read_cities(file.path(), RegionCodes::GbT2260)
        };
        let cities = read("# ours\n1808926: \"330100\"   # Hangzhou\n\nShenzhen,4403\n").unwrap();
        assert_eq!((cities.get("1808926").map(|code| &**code), cities.len()), (Some("330100"), 2));
        assert!(read("1: 330100\n2: moon\n").unwrap_err().starts_with("line 2"));
        assert!(read("330100\n").is_err());
        for province in ["33", "3300", "330000"] {
            let why = read(&format!("1: 330100\n2: {province}\n")).unwrap_err();
            assert!(why.starts_with(&format!("line 2: `{province}` is a province")), "{why}");
        }
        assert_eq!(read("1: 330100\n1: 440100\n").unwrap_err(), "line 2: `1` is `330100` on an earlier line");
        assert_eq!(read("1: 330100\n1: \"330100\"\n1: 3301\n").unwrap().len(), 1);
        let cities = read("1819729: \"810000\"\n1821274: 82\n1668341: 7100\n1816670: 110000\n1796236: 31\n");
        assert_eq!(cities.unwrap().len(), 5, "they are cities themselves, or have none with a code");
    }

    #[test]
    fn ways_into_records_have_no_empty_step() {
        assert!(GeoipPath::parse("/subdivisions/0/iso_code").is_some_and(|path| path.0.len() == 3));
        assert_eq!(GeoipPath::parse("city/geoname_id"), GeoipPath::parse("/city/geoname_id"));
        assert!(GeoipPath::parse("").is_none() && GeoipPath::parse("a//b").is_none());
    }
}
