//! Provinces and cities: the codes of GB/T 2260, brought to six digits, or codes of the user's own.

use std::borrow::Cow;

use super::fact::{FactId, Facts};

/// Which codes regions are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RegionCodes {
    /// Six digits; two and four are filled up with zeros, and the province follows from the city.
    #[default]
    GbT2260,
    /// Any text, compared as it is.
    Custom,
}

/// Why a code is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// Not a code of GB/T 2260.
    #[error(
        "`{code}` is no region code of GB/T 2260: write six digits, such as \"330000\", or set `region_codes: custom`"
    )]
    Unknown {
        /// The code as written.
        code: String,
        /// Its place among the codes given.
        index: usize,
    },
    /// A city where a province is wanted.
    #[error("`{code}` is not a province; its province is \"{province}\"")]
    NotAProvince {
        /// The code as written.
        code: String,
        /// The province it lies in.
        province: &'static str,
        /// Its place among the codes given.
        index: usize,
    },
    /// Nothing written.
    #[error("a region code cannot be empty")]
    Empty {
        /// Its place among the codes given.
        index: usize,
    },
}

impl RegionError {
    /// The place of the faulty code among the codes given.
    pub fn index(&self) -> usize {
        match self {
            RegionError::Unknown { index, .. }
            | RegionError::NotAProvince { index, .. }
            | RegionError::Empty { index } => *index,
        }
    }
}

/// Every code of a province, autonomous region, municipality and special administrative region, Taiwan included.
const PROVINCES: [&str; 34] = [
    "110000", "120000", "130000", "140000", "150000", "210000", "220000", "230000", "310000", "320000", "330000",
    "340000", "350000", "360000", "370000", "410000", "420000", "430000", "440000", "450000", "460000", "500000",
    "510000", "520000", "530000", "540000", "610000", "620000", "630000", "640000", "650000", "710000", "810000",
    "820000",
];

/// The place of a province by the first two digits of its code, or one beyond all: each request that names a region asks.
const BY_NUMBER: [u8; 100] = {
    let mut table = [u8::MAX; 100];
    let mut at = 0;
    while at < PROVINCES.len() {
        let code = PROVINCES[at].as_bytes();
        table[(code[0] - b'0') as usize * 10 + (code[1] - b'0') as usize] = at as u8;
        at += 1;
    }
    table
};

/// The code in six digits, unless it is none: `33` and `3301` are filled up, and the province has to exist.
pub(super) fn normal(code: &str) -> Option<Cow<'_, str>> {
    let province = province_of(code)?;
    match code.len() {
        6 => Some(Cow::Borrowed(code)),
        4 => Some(Cow::Owned(format!("{code}00"))),
        _ => Some(Cow::Borrowed(province)),
    }
}

/// The province in which a code lies, whether it names the province, a city or a district.
pub(super) fn province_of(code: &str) -> Option<&'static str> {
    if !matches!(code.len(), 2 | 4 | 6) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let [tens, ones, ..] = code.as_bytes() else { return None };
    let at = BY_NUMBER[usize::from(tens - b'0') * 10 + usize::from(ones - b'0')];
    PROVINCES.get(usize::from(at)).copied()
}

/// The value of `province_code` or `city_id` in six digits, from values as they were written, which `written` gives. Where
/// a city is known the province follows from it, whatever else was said of the province: the two never contradict.
pub fn region<'v>(fact: FactId, written: impl Fn(FactId) -> Option<Cow<'v, str>>) -> Option<Cow<'v, str>> {
    if fact == FactId::PROVINCE_CODE {
        let of = |fact| written(fact).and_then(|code| province_of(code.trim()));
        return of(FactId::CITY_ID).or_else(|| of(FactId::PROVINCE_CODE)).map(Cow::Borrowed);
    }
    match written(fact)? {
        Cow::Borrowed(code) => normal(code.trim()),
        Cow::Owned(code) => {
            // Six digits stay where they are.
            let full = normal(code.trim())?;
            let copied = if *full == *code { None } else { Some(full.into_owned()) };
            Some(Cow::Owned(copied.unwrap_or(code)))
        }
    }
}

/// The value of `province_code` or `city_id` in six digits. Who gives the facts has settled which province it is (see
/// [`Facts::get`]); where none is given, it follows from the city here.
pub(super) fn read<F: Facts>(facts: &F, fact: FactId) -> Option<Cow<'_, str>> {
    if fact == FactId::PROVINCE_CODE {
        let own = facts.get(FactId::PROVINCE_CODE).and_then(|code| province_of(code.trim()));
        let follows = || facts.get(FactId::CITY_ID).and_then(|code| province_of(code.trim()));
        return own.or_else(follows).map(Cow::Borrowed);
    }
    region(fact, |fact| facts.get(fact))
}

/// The code of a condition or whitelist as it is compared.
pub(super) fn configured(fact: FactId, code: &str, index: usize) -> Result<Box<str>, RegionError> {
    let unknown = || RegionError::Unknown { code: code.to_owned(), index };
    let full = normal(code).ok_or_else(unknown)?;
    if fact == FactId::PROVINCE_CODE && !PROVINCES.contains(&&*full) {
        let province = province_of(code).ok_or_else(unknown)?;
        return Err(RegionError::NotAProvince { code: code.to_owned(), province, index });
    }
    Ok(full.into())
}

/// The whitelist of a release.
#[derive(Debug, Clone, Default)]
pub struct Regions {
    codes: RegionCodes,
    provinces: Codes,
    cities: Codes,
}

/// Codes in order: most releases list a few, for which a table would be mostly room.
#[derive(Debug, Clone, Default)]
struct Codes(Box<[Box<str>]>);

impl Codes {
    fn contains(&self, code: &str) -> bool {
        self.0.binary_search_by(|known| (**known).cmp(code)).is_ok()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Box<str>> for Codes {
    fn from_iter<I: IntoIterator<Item = Box<str>>>(codes: I) -> Self {
        let mut codes: Vec<Box<str>> = codes.into_iter().collect();
        codes.sort_unstable();
        codes.dedup();
        Self(codes.into_boxed_slice())
    }
}

impl Regions {
    /// The whitelist of these codes, each as written in the configuration.
    pub fn new<S: AsRef<str>>(
        codes: RegionCodes,
        provinces: &[S],
        cities: &[S],
    ) -> Result<Regions, (FactId, RegionError)> {
        let set = |fact: FactId, list: &[S]| -> Result<Codes, (FactId, RegionError)> {
            list.iter()
                .enumerate()
                .map(|(index, code)| {
                    let code = code.as_ref().trim();
                    match codes {
                        RegionCodes::GbT2260 => configured(fact, code, index),
                        RegionCodes::Custom if code.is_empty() => Err(RegionError::Empty { index }),
                        RegionCodes::Custom => Ok(code.into()),
                    }
                    .map_err(|error| (fact, error))
                })
                .collect()
        };
        Ok(Regions { codes, provinces: set(FactId::PROVINCE_CODE, provinces)?, cities: set(FactId::CITY_ID, cities)? })
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.provinces.is_empty() && self.cities.is_empty()
    }

    /// Whether everything that is listed here is listed there too.
    pub fn is_within(&self, other: &Regions) -> bool {
        let inside = |here: &Codes, there: &Codes| here.0.iter().all(|code| there.contains(code));
        self.is_empty()
            || (self.codes == other.codes
                && inside(&self.provinces, &other.provinces)
                && inside(&self.cities, &other.cities))
    }

    /// Whether the request's province or city is listed.
    pub fn admit<F: Facts>(&self, facts: &F) -> bool {
        let listed =
            |set: &Codes, fact| !set.is_empty() && self.value(facts, fact).is_some_and(|code| set.contains(&code));
        listed(&self.cities, FactId::CITY_ID) || listed(&self.provinces, FactId::PROVINCE_CODE)
    }

    /// A region of the request as it is compared with the list.
    pub(super) fn value<'f, F: Facts>(&self, facts: &'f F, fact: FactId) -> Option<Cow<'f, str>> {
        match self.codes {
            RegionCodes::GbT2260 => read(facts, fact),
            RegionCodes::Custom => facts.get(fact),
        }
    }
}

impl RegionCodes {
    /// Whether a text can be a region.
    pub fn accept(self, code: &str) -> bool {
        match self {
            RegionCodes::GbT2260 => province_of(code.trim()).is_some(),
            RegionCodes::Custom => !code.trim().is_empty(),
        }
    }

    /// Whether two codes name the same region, however many digits each is written with.
    pub fn same(self, one: &str, other: &str) -> bool {
        let full = |code| normal(code).filter(|_| self == RegionCodes::GbT2260);
        one == other || full(one).is_some_and(|one| full(other) == Some(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_in_six_digits_is_not_copied() {
        for (written, kept) in [("330100", true), ("3301", false), (" 330100", false)] {
            let code = written.to_owned();
            let at = code.as_ptr();
            let code = std::cell::Cell::new(Some(Cow::Owned(code)));
            let city = region(FactId::CITY_ID, |_| code.take()).unwrap();
            assert_eq!((&*city, city.as_ptr() == at), ("330100", kept), "{written}");
        }
    }
}
