//! Everything under a prefix.

use std::collections::BTreeSet;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, pipe};

use super::failure;
use crate::config::{self, SourceBounds};
use crate::source::{Documents, Link, SourceError};

/// Keys that the server looks at for one answer of `SCAN`, and commands sent together.
const BATCH: usize = 1000;
/// Bytes of documents asked for together.
const BATCH_BYTES: usize = 4 << 20;

/// Reads every document. The lengths are asked for before the bytes, and of each document no more bytes than are taken,
/// so that neither a huge value nor one that grows in between costs more than the bounds.
pub(super) async fn documents(
    connection: &mut MultiplexedConnection,
    prefix: &str,
    link: &mut Link,
) -> Result<Documents, SourceError> {
    let bounds = link.bounds();
    let keys: Vec<String> = keys(connection, prefix, &bounds).await?.into_iter().collect();
    let lengths = lengths(connection, &keys, prefix, &bounds).await?;
    let mut texts = Vec::with_capacity(keys.len());
    let mut rest = keys.iter().zip(lengths).peekable();
    while rest.peek().is_some() {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some((key, length)) = rest.next_if(|_| batch.len() < BATCH && bytes < BATCH_BYTES) {
            bytes += length;
            batch.push(key);
        }
        let mut read = pipe();
        read.atomic();
        for key in &batch {
            read.cmd("GETRANGE").arg(key.as_str()).arg(0).arg(bounds.document_bytes);
        }
        let values: Vec<Vec<u8>> = read.query_async(connection).await.map_err(failure)?;
        for (key, value) in batch.into_iter().zip(values) {
            // A key that was deleted in between reads as nothing; an empty document says as much.
            if !value.is_empty() {
                texts.push(link.text(&key[prefix.len()..], value)?);
            }
        }
    }
    Ok(Documents { revision: revision(&texts), order: None, texts })
}

/// `SCAN`, which lets other commands through in between; it may tell a key twice.
async fn keys(
    connection: &mut MultiplexedConnection,
    prefix: &str,
    bounds: &SourceBounds,
) -> Result<BTreeSet<String>, SourceError> {
    let pattern = format!("{}*", escape(prefix));
    let mut keys = BTreeSet::new();
    let mut cursor = 0u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(BATCH);
        let (next, found): (u64, Vec<Vec<u8>>) = scan.query_async(connection).await.map_err(failure)?;
        for key in found {
            let key = String::from_utf8(key).map_err(|_| SourceError::Garbled("a key is no UTF-8 text".to_owned()))?;
            keys.insert(key);
        }
        if keys.len() > bounds.documents {
            return Err(SourceError::TooLarge(format!("more than {} documents", bounds.documents)));
        }
        if next == 0 {
            return Ok(keys);
        }
        cursor = next;
    }
}

async fn lengths(
    connection: &mut MultiplexedConnection,
    keys: &[String],
    prefix: &str,
    bounds: &SourceBounds,
) -> Result<Vec<usize>, SourceError> {
    let mut lengths = Vec::with_capacity(keys.len());
    for batch in keys.chunks(BATCH) {
        let mut ask = pipe();
        for key in batch {
            ask.cmd("STRLEN").arg(key);
        }
        let answer: Result<Vec<usize>, RedisError> = ask.query_async(connection).await;
        lengths.extend(answer.map_err(failure)?);
    }
    if let Some((key, length)) = keys.iter().zip(&lengths).find(|(_, length)| **length > bounds.document_bytes) {
        let (name, most) = (&key[prefix.len()..], bounds.document_bytes);
        return Err(SourceError::TooLarge(format!("`{name}` has {length} bytes, at most {most} are taken")));
    }
    let total: usize = lengths.iter().sum();
    if total > bounds.total_bytes {
        return Err(SourceError::TooLarge(format!("{total} bytes in all, at most {} are taken", bounds.total_bytes)));
    }
    Ok(lengths)
}

/// A name of the whole state: the server has none.
fn revision(texts: &[config::Source]) -> String {
    crate::source::link::digest(texts).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// A prefix as a pattern that stands for itself.
pub(super) fn escape(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_for_itself() {
        assert_eq!(escape("graylane/prod/"), "graylane/prod/");
        assert_eq!(escape(r"a*b?[c]\"), r"a\*b\?\[c\]\\");
    }
}
