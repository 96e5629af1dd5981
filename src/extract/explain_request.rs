//! A request as a person writes it down: method, URL, headers.

use std::net::IpAddr;

use crate::decide::RequestParts;

/// A request to be explained.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExplainRequest {
    method: String,
    host: Option<String>,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    client_ip: Option<IpAddr>,
}

/// Why what was written down is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainRequestError {
    /// The method.
    #[error("`{0}` is no method; methods are written like GET")]
    Method(String),
    /// The URL.
    #[error("`{0}` is no URL; write http://host/path or /path")]
    Url(String),
    /// A header.
    #[error("`{0}` is no header; write 'name: value'")]
    Header(String),
    /// The client's address.
    #[error("`{0}` is no address")]
    ClientIp(String),
}

impl ExplainRequest {
    /// A request of this method for an absolute URL or a path.
    pub fn new(method: &str, url: &str) -> Result<ExplainRequest, ExplainRequestError> {
        if !is_token(method) {
            return Err(ExplainRequestError::Method(method.to_owned()));
        }
        let bad = || ExplainRequestError::Url(url.to_owned());
        if url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(bad());
        }
        let target = url.split_once('#').map_or(url, |(target, _)| target);
        let (host, target) = match target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")) {
            Some(rest) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, target) = rest.split_at(end);
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                if host.is_empty() {
                    return Err(bad());
                }
                (Some(host.to_owned()), target)
            }
            None if target.starts_with('/') => (None, target),
            None => return Err(bad()),
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        Ok(ExplainRequest { method: method.to_owned(), host, path, query, ..ExplainRequest::default() })
    }

    /// With a header, written `name: value`.
    pub fn with_header_line(self, line: impl AsRef<[u8]>) -> Result<ExplainRequest, ExplainRequestError> {
        let line = line.as_ref();
        let bad = || ExplainRequestError::Header(String::from_utf8_lossy(line).into_owned());
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(bad)?;
        let name = std::str::from_utf8(&line[..colon]).map_err(|_| bad())?;
        self.with_header(name, &line[colon + 1..])
    }

    /// With a header, whose value may be any bytes. `Host` names the host unless the URL does.
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<ExplainRequest, ExplainRequestError> {
        let (name, value) = (name.trim(), value.as_ref().trim_ascii());
        let text = String::from_utf8_lossy(value);
        if !is_token(name) || value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(ExplainRequestError::Header(format!("{name}: {text}")));
        }
        if name.eq_ignore_ascii_case("host") {
            self.host.get_or_insert_with(|| text.into_owned());
        }
        self.headers.push((name.to_ascii_lowercase(), value.to_vec()));
        Ok(self)
    }

    /// With a body.
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> ExplainRequest {
        ExplainRequest { body: body.into(), ..self }
    }

    /// As sent by a peer of this address; without one, by a trusted peer.
    pub fn with_client_ip(self, address: &str) -> Result<ExplainRequest, ExplainRequestError> {
        let parsed = address.parse().map_err(|_| ExplainRequestError::ClientIp(address.to_owned()))?;
        Ok(ExplainRequest { client_ip: Some(parsed), ..self })
    }

    /// The address of the peer that sends it.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl RequestParts for ExplainRequest {
    fn method(&self) -> &str {
        &self.method
    }

    fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    fn for_each_header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.headers.iter().filter(|(known, _)| known == name).for_each(|(_, value)| each(value));
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_may_be_absolute_or_paths() {
        let request = ExplainRequest::new("GET", "http://Shop.example:8080/a/b?x=1&y=2#top").unwrap();
        assert_eq!(
            (request.host(), request.path(), request.query()),
            (Some("Shop.example:8080"), "/a/b", Some("x=1&y=2"))
        );
        let request = ExplainRequest::new("GET", "http://shop.example").unwrap();
        assert_eq!((request.path(), request.query()), ("/", None));
        let request = ExplainRequest::new("GET", "/a?b").unwrap().with_header_line("Host: shop.example").unwrap();
        assert_eq!((request.host(), request.query()), (Some("shop.example"), Some("b")));
    }

    #[test]
    fn headers_keep_colons_and_order() {
        let request = ExplainRequest::new("GET", "/").unwrap();
        let request = request.with_header_line("X-A: b:c").unwrap().with_header_line("x-a:d").unwrap();
        assert_eq!(request.header("x-a"), Some(&b"b:c"[..]));
        let mut all = Vec::new();
        request.for_each_header("x-a", &mut |value| all.push(value.to_vec()));
        assert_eq!(all, [b"b:c".to_vec(), b"d".to_vec()]);
    }

    #[test]
    fn what_is_no_request_says_so() {
        assert!(ExplainRequest::new("GE T", "/").is_err());
        for url in ["", "a/b", "http:///x", "ftp://x/", "/a b"] {
            assert!(ExplainRequest::new("GET", url).is_err(), "{url}");
        }
        let request = || ExplainRequest::new("GET", "/").unwrap();
        let latin = ExplainRequest::new("GET", "/").unwrap().with_header_line(b"x-user-id: Jos\xe9").unwrap();
        assert_eq!(latin.header("x-user-id"), Some(&b"Jos\xe9"[..]), "bytes stay as they are");
        for line in ["no-colon", ": value", "a b: c", "a: b\r\nc: d"] {
            assert!(request().with_header_line(line).is_err(), "{line}");
        }
        assert!(request().with_client_ip("300.1.1.1").is_err());
    }
}
