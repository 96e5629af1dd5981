//! The parts of a request that deciding looks at, so that this room knows no HTTP library.

/// A request as far as routes and facts are concerned. Names of headers are asked for in lower case.
pub trait RequestParts {
    /// The method, as sent.
    fn method(&self) -> &str;
    /// The host, as sent: with or without a port.
    fn host(&self) -> Option<&str>;
    /// The path, raw as sent, without the query.
    fn path(&self) -> &str;
    /// The query, raw, without the `?`.
    fn query(&self) -> Option<&str>;
    /// The first value of a header.
    fn header(&self, name: &str) -> Option<&[u8]>;
    /// Every value of a header, in the order sent.
    fn for_each_header(&self, name: &str, each: &mut dyn FnMut(&[u8]));
}
