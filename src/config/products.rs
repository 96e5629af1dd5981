//! The product data that a configuration was made for, and who is told when a change concerns products.

/// The binding to a snapshot of the product data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductsPlan {
    /// The number of the snapshot.
    pub version: Option<u64>,
    /// The Redis server by its URL, and its channel.
    pub redis: Option<(String, String)>,
    /// The URL that is called.
    pub webhook: Option<String>,
}
