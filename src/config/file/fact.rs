//! Where facts come from.

use crate::config::read::{OneOrMany, mirror, words};
use crate::config::text::At;
use crate::config::units::{Size, Time};

mirror! {
    /// One source of a fact: exactly one field, and `field` beside `lookup`.
    #[schemars(rename = "Source", extend("minProperties" = 1, "maxProperties" = 2))]
    struct FileSource("a source") {
        /// A request header. Believed from trusted peers only.
        header: At<String>,
        /// A cookie.
        cookie: At<String>,
        /// A query parameter.
        query: At<String>,
        /// A parameter of the route's path, as `sku_id` in `/sku/{sku_id}`.
        path: At<String>,
        /// A JSON pointer into the request body.
        #[schemars(extend("examples" = ["/items/0/sku_id"]))]
        json: At<String>,
        /// What the GeoIP database says of the client address: `province` or `city`.
        #[schemars(extend("enum" = ["province", "city"]))]
        geoip: At<String>,
        /// A claim of a verified JWT: its name, or a JSON pointer into the claims. Believed from any peer.
        jwt: At<String>,
        /// A member of the W3C `baggage` header. Believed from trusted peers only.
        baggage: At<String>,
        /// A store of `lookups`; `field` says what of it.
        lookup: At<String>,
        /// The field of what was looked up.
        field: At<String>,
    }
}

impl FileSource {
    /// The sources that were written, with their words: one in a valid file.
    pub(in crate::config) fn written(&self) -> Vec<(&'static str, &At<String>)> {
        [
            ("header", &self.header),
            ("cookie", &self.cookie),
            ("query", &self.query),
            ("path", &self.path),
            ("json", &self.json),
            ("geoip", &self.geoip),
            ("jwt", &self.jwt),
            ("baggage", &self.baggage),
            ("lookup", &self.lookup),
        ]
        .into_iter()
        .filter_map(|(word, value)| value.as_ref().map(|value| (word, value)))
        .collect()
    }
}

words! {
    /// What the number of an amount counts.
    pub enum AmountUnit("a unit of money") {
        /// Yuan.
        Yuan = "yuan",
        /// A hundredth of a yuan.
        Fen = "fen",
    }
}

mirror! {
    /// What is read of JSON bodies.
    #[schemars(rename = "JsonBody")]
    struct FileJsonBody("`json_body`") {
        /// The longest body that is read; a longer one passes, and its facts are absent.
        #[schemars(extend("default" = "64KiB"))]
        max: At<Size>,
    }
}

mirror! {
    /// The database behind `geoip` sources.
    #[schemars(rename = "Geoip")]
    struct FileGeoip("`geoip`") {
        /// A file in MaxMind's format. Read again when it changes.
        [required] database: At<String>,
        /// Where a record has the code of the province (ISO 3166-2:CN, letters or digits).
        #[schemars(extend("default" = "subdivisions/0/iso_code"))]
        province: At<String>,
        /// Where a record has the number or name of the city.
        #[schemars(extend("default" = "city/geoname_id"))]
        city: At<String>,
        /// Where a record has the code of the country.
        #[schemars(extend("default" = "country/iso_code"))]
        country: At<String>,
        /// A file with a line `1808926: "330100"` for each city: its number or name, and its code. Without one, no city is
        /// known. Read again when it changes.
        cities: At<String>,
    }
}

mirror! {
    /// Which tokens `jwt` sources believe.
    #[schemars(rename = "Jwt")]
    struct FileJwt("`jwt`") {
        /// The file with the keys, a JWKS (RFC 7517). Read again when it changes.
        [required] jwks: At<String>,
        /// The header that carries the token.
        #[schemars(extend("default" = "authorization"))]
        header: At<String>,
        /// The cookie that carries the token, in place of a header.
        cookie: At<String>,
        /// What tokens may be signed with.
        #[schemars(extend("default" = ["HS256", "RS256", "ES256"]))]
        algorithms: OneOrMany<At<String>>,
        /// Who may have issued a token. Default: anybody who has a key.
        issuer: OneOrMany<At<String>>,
        /// For whom a token may be. Default: for anybody.
        audience: OneOrMany<At<String>>,
        /// How far clocks may differ.
        #[schemars(extend("default" = "60s"))]
        leeway: At<Time>,
    }
}

mirror! {
    /// A store of product facts: a Redis hash or a JSON object for each key.
    #[schemars(rename = "Lookup")]
    struct FileLookup("a lookup") {
        /// A Redis server.
        #[schemars(extend("examples" = ["redis://127.0.0.1:6379/0"]))]
        redis: At<String>,
        /// The key of the hash, with facts in braces.
        #[schemars(extend("examples" = ["product:{sku_id}"]))]
        key: At<String>,
        /// In place of `redis` and `key`: the URL of a JSON object, with facts in braces.
        #[schemars(extend("examples" = ["http://127.0.0.1:9100/products/{sku_id}"]))]
        http: At<String>,
        /// How long a request waits at most; later, the fact is absent.
        #[schemars(extend("default" = "20ms"))]
        deadline: At<Time>,
        /// How long what was found counts.
        #[schemars(extend("default" = "5s"))]
        ttl: At<Time>,
        /// How much longer it is given while it is looked up anew.
        #[schemars(extend("default" = "60s"))]
        stale: At<Time>,
        /// How long it counts that nothing was found.
        #[schemars(extend("default" = "1s"))]
        negative_ttl: At<Time>,
        /// Most records that are kept.
        #[schemars(extend("default" = 10000, "minimum" = 1))]
        entries: At<u32>,
    }
}
