//! What was read and watched so far.

use std::collections::BTreeMap;

use super::answers::Header;
use super::client::EtcdError;
use crate::config::SourceBounds;
use crate::source::{Documents, Link, Order, SourceError};

/// Every document as bytes, with the revision up to which all changes are in it.
pub(super) struct Store {
    cluster: u64,
    pub(super) revision: u64,
    documents: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

impl Store {
    pub(super) fn new(cluster: u64, revision: u64) -> Self {
        Self { cluster, revision, documents: BTreeMap::new(), bytes: 0 }
    }

    pub(super) fn put(&mut self, name: &[u8], value: Vec<u8>) {
        self.bytes += value.len();
        if let Some(before) = self.documents.insert(name.to_vec(), value) {
            self.bytes -= before.len();
        }
    }

    pub(super) fn delete(&mut self, name: &[u8]) {
        if let Some(before) = self.documents.remove(name) {
            self.bytes -= before.len();
        }
    }

    /// The bytes of all documents.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many documents there are.
    pub(super) fn documents(&self) -> usize {
        self.documents.len()
    }

    /// Whether it is small enough to be kept.
    pub(super) fn is_within(&self, bounds: &SourceBounds) -> bool {
        self.documents.len() <= bounds.documents && self.bytes <= bounds.total_bytes
    }

    /// A server that is another one, or that knows less than was watched, cannot be followed from here.
    pub(super) fn refuse_other(&self, header: &Header) -> Result<(), EtcdError> {
        let is_other = header.cluster != self.cluster || header.revision < self.revision;
        if is_other { Err(EtcdError::Compacted) } else { Ok(()) }
    }

    /// Everything, as it is posted.
    pub(super) fn documents_for(&self, link: &Link) -> Result<Documents, SourceError> {
        let mut texts = Vec::with_capacity(self.documents.len());
        for (name, value) in &self.documents {
            let name = std::str::from_utf8(name)
                .map_err(|_| SourceError::Garbled("the name of a key is no UTF-8 text".to_owned()))?;
            texts.push(link.text(name, value.clone())?);
        }
        let order = Order { lineage: format!("{:x}", self.cluster), number: self.revision };
        Ok(Documents { revision: self.revision.to_string(), order: Some(order), texts })
    }
}

/// The first key behind all that begin with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // Every key: the API's word for it.
    vec![0]
}
