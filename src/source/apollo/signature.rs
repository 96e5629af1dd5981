//! The access key signature of Apollo: HMAC-SHA1 over the time and the path with its query, in base 64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Signs a request; `timestamp` is in milliseconds since the epoch.
pub(super) fn signature(secret: &str, timestamp: &str, path_with_query: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("a key of any length is taken");
    mac.update(timestamp.as_bytes());
    mac.update(b"\n");
    mac.update(path_with_query.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_apollo_s_own_tests_is_signed_alike() {
        let path = "/configs/100004458/default/application?ip=10.0.0.1";
        let signed = signature("df23df3f59884980844ff3dada30fa97", "1576478257344", path);
        assert_eq!(signed, "EoKyziXvKqzHgwx+ijDJwgVTDgE=");
    }
}
