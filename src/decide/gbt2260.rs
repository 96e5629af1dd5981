//! The cities of GB/T 2260: the prefecture-level divisions as of 2024, by the first four digits of their codes.
//!
//! Two digits of the province, then the numbers of its cities. Municipalities have `01` for their districts (Chongqing `02`
//! for its counties), and `90` stands for the counties and cities that a province administers itself. Hong Kong, Macao and
//! Taiwan have no cities. The last two digits name a district or county, of which there is no table here.

/// Ranges of city numbers by province, both ends included.
type Cities = (&'static str, &'static [(u8, u8)]);

const CITIES: [Cities; 31] = [
    ("11", &[(1, 1)]),
    ("12", &[(1, 1)]),
    ("13", &[(1, 11)]),
    ("14", &[(1, 11)]),
    ("15", &[(1, 9), (22, 22), (25, 25), (29, 29)]),
    ("21", &[(1, 14)]),
    ("22", &[(1, 8), (24, 24)]),
    ("23", &[(1, 12), (27, 27)]),
    ("31", &[(1, 1)]),
    ("32", &[(1, 13)]),
    ("33", &[(1, 11)]),
    ("34", &[(1, 8), (10, 13), (15, 18)]),
    ("35", &[(1, 9)]),
    ("36", &[(1, 11)]),
    ("37", &[(1, 11), (13, 17)]),
    ("41", &[(1, 17), (90, 90)]),
    ("42", &[(1, 3), (5, 13), (28, 28), (90, 90)]),
    ("43", &[(1, 13), (31, 31)]),
    ("44", &[(1, 9), (12, 20), (51, 53)]),
    ("45", &[(1, 14)]),
    ("46", &[(1, 4), (90, 90)]),
    ("50", &[(1, 2)]),
    ("51", &[(1, 1), (3, 11), (13, 20), (32, 34)]),
    ("52", &[(1, 6), (23, 23), (26, 27)]),
    ("53", &[(1, 1), (3, 9), (23, 23), (25, 26), (28, 29), (31, 31), (33, 34)]),
    ("54", &[(1, 6), (25, 25)]),
    ("61", &[(1, 10)]),
    ("62", &[(1, 12), (29, 30)]),
    ("63", &[(1, 2), (22, 23), (25, 28)]),
    ("64", &[(1, 5)]),
    ("65", &[(1, 2), (4, 5), (23, 23), (27, 32), (40, 40), (42, 43), (90, 90)]),
];

/// The municipalities, which are provinces and cities at once.
const MUNICIPALITIES: [&str; 4] = ["11", "12", "31", "50"];

/// Whether a code names a province and no city. A municipality is both, and Hong Kong, Macao and Taiwan, where no city has
/// a code of its own, can be named for their cities by nothing else.
pub fn is_no_city(code: &str) -> bool {
    let Some(code) = super::region::normal(code.trim()) else { return false };
    code.ends_with("0000") && has_cities(&code) && !MUNICIPALITIES.contains(&&code[..2])
}

fn has_cities(code: &str) -> bool {
    CITIES.iter().any(|(province, _)| code.starts_with(province))
}

/// What is odd about a code where a city is meant; nothing where it names a city, or a district of one. A request that names
/// such a code for its city has it all the same: codes are compared as they are.
pub fn odd_city(code: &str) -> Option<&'static str> {
    let code = super::region::normal(code.trim())?;
    if code.ends_with("0000") && has_cities(&code) {
        return Some("is a province, not a city: none of its cities is meant by it");
    }
    (!is_known(&code)).then_some("is no city of GB/T 2260: only a request with this very code has it")
}

/// Whether a code of six digits lies in a city that exists, or names a province. Whether its district exists is not known.
fn is_known(code: &str) -> bool {
    let (Some(province), Some(city)) = (code.get(..2), code.get(2..4).and_then(|digits| digits.parse::<u8>().ok()))
    else {
        return false;
    };
    if code.ends_with("0000") {
        return super::region::province_of(code).is_some();
    }
    match CITIES.iter().find(|(known, _)| *known == province) {
        Some((_, cities)) => cities.iter().any(|(from, to)| (*from..=*to).contains(&city)),
        // Hong Kong, Macao and Taiwan: districts of their own numbering, of which there is no table.
        None => super::region::province_of(code).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_333_prefecture_level_divisions() {
        let own = |province: &str| !matches!(province, "11" | "12" | "31" | "50");
        let cities = CITIES.iter().filter(|(province, _)| own(province)).flat_map(|(_, cities)| *cities);
        let count: usize = cities.filter(|(from, _)| *from != 90).map(|(from, to)| usize::from(to - from) + 1).sum();
        assert_eq!(count, 333);
    }

    #[test]
    fn a_province_is_no_city_unless_it_has_none_or_is_one() {
        for code in ["33", "3300", "330000", " 440000 "] {
            assert!(is_no_city(code) && odd_city(code).is_some(), "{code}");
        }
        for code in ["71", "810000", "8200"] {
            assert!(!is_no_city(code) && odd_city(code).is_none(), "{code}");
        }
        for code in ["110000", "31"] {
            assert!(!is_no_city(code) && odd_city(code).is_some(), "{code}");
        }
        assert!(!is_no_city("330100") && !is_no_city("moon"));
    }

    #[test]
    fn cities_that_exist_are_known_and_others_are_not() {
        for code in ["110000", "110100", "330100", "440300", "440305", "653200", "469001", "429004", "500200", "810001"]
        {
            assert!(is_known(code), "{code}");
        }
        for code in ["990000", "331200", "441000", "379900", "371200", "341400", "33"] {
            assert!(!is_known(code), "{code}");
        }
    }
}
