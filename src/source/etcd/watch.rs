//! The stream of changes: one JSON object a line.

use bytes::{Buf, BytesMut};
use serde_json::json;

use super::answers::{Line, WatchAnswer, key_text};
use super::client::{self, Client, EtcdError};
use super::store::end_of;
use crate::outbound::Stream;
use crate::source::SourceError;

/// An open watch.
pub(super) struct Watch {
    stream: Stream,
    buffer: BytesMut,
    /// How much of the buffer was looked at for the end of a line.
    looked: usize,
    /// The longest line.
    most: usize,
}

impl Watch {
    /// Watches a prefix from this revision on.
    pub(super) async fn open(client: &mut Client, prefix: &[u8], from: u64, most: usize) -> Result<Self, EtcdError> {
        let question = json!({ "create_request": {
            "key": key_text(prefix),
            "range_end": key_text(&end_of(prefix)),
            "start_revision": from.to_string(),
            "progress_notify": true,
        }});
        let stream = client.open("/v3/watch", &question).await?;
        Ok(Self { stream, buffer: BytesMut::new(), looked: 0, most })
    }

    /// The next thing that the server tells. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<WatchAnswer, EtcdError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[self.looked..]) {
                let line = self.buffer.split_to(self.looked + end);
                self.buffer.advance(1);
                self.looked = 0;
                return read(&line);
            }
            self.looked = self.buffer.len();
            if self.looked > self.most {
                return Err(SourceError::TooLarge(format!("a change of more than {} bytes", self.most)).into());
            }
            match self.stream.next().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Err(SourceError::Unreachable("the server ended the watch".to_owned()).into()),
            }
        }
    }
}

fn read(line: &[u8]) -> Result<WatchAnswer, EtcdError> {
    let line: Line = client::parsed(line)?;
    match (line.result, line.error) {
        (Some(answer), _) => Ok(answer),
        (None, Some(fault)) => Err(client::failure(&fault)),
        (None, None) => Err(SourceError::Garbled("a line of the watch says nothing".to_owned()).into()),
    }
}
