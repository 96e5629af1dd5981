//! Where facts come from.

use crate::config::read::mirror;
use crate::config::text::At;

mirror! {
    /// One source of a fact: exactly one field.
    #[schemars(rename = "Source", extend("minProperties" = 1, "maxProperties" = 1))]
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
        /// A claim of a verified JWT.
        jwt: At<String>,
        /// A member of the W3C `baggage` header.
        baggage: At<String>,
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
        ]
        .into_iter()
        .filter_map(|(word, value)| value.as_ref().map(|value| (word, value)))
        .collect()
    }
}
