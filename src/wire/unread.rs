//! Bytes that were read and not yet consumed.

use std::ops::Deref;

/// Bytes in the order they came. Taking some off the front moves nothing, and whoever takes all leaves an empty buffer.
#[derive(Debug, Default)]
pub struct Unread {
    bytes: Vec<u8>,
    /// What stands before this was consumed.
    start: usize,
}

impl Unread {
    /// Takes `n` bytes off the front; there must be so many.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        assert!(self.start <= self.bytes.len(), "only what was read can be consumed");
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Where more can be put behind what is there. If there is room for fewer bytes than `least`, room for `more` is made.
    pub(super) fn room(&mut self, least: usize, more: usize) -> &mut Vec<u8> {
        if self.bytes.capacity() - self.bytes.len() < least {
            self.bytes.drain(..self.start);
            self.start = 0;
            if self.bytes.capacity() - self.bytes.len() < least {
                self.bytes.reserve(more);
            }
        }
        &mut self.bytes
    }

    /// Whether the last read filled what room there was.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() == self.bytes.capacity()
    }

    /// Whether it holds memory.
    pub(super) fn has_memory(&self) -> bool {
        self.bytes.capacity() > 0
    }

    /// The memory, for reuse; what stood in it is forgotten.
    pub(super) fn into_memory(mut self) -> Vec<u8> {
        self.bytes.clear();
        self.bytes
    }

    /// Empty, with this memory.
    pub(super) fn of_memory(memory: Vec<u8>) -> Self {
        debug_assert!(memory.is_empty());
        Self { bytes: memory, start: 0 }
    }
}

impl Deref for Unread {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_consumed_makes_room_and_what_is_left_stays() {
        let mut unread = Unread::default();
        unread.room(4, 16).extend_from_slice(b"one two three");
        unread.consume(4);
        assert_eq!(&*unread, b"two three");
        let before = unread.bytes.capacity();
        unread.room(7, 1000).extend_from_slice(b" four!");
        assert_eq!((&*unread, unread.bytes.capacity()), (&b"two three four!"[..], before), "what was consumed is room");
        unread.consume(15);
        assert!(unread.is_empty() && unread.has_memory());
        assert_eq!(unread.room(1, 1).len(), 0);
    }

    #[test]
    #[should_panic(expected = "only what was read")]
    fn nobody_consumes_what_was_not_read() {
        let mut unread = Unread::default();
        unread.room(4, 16).extend_from_slice(b"one");
        unread.consume(4);
    }

    proptest::proptest! {
        #[test]
        fn it_is_a_queue(acts in proptest::collection::vec((0..3_u8, 0..40_usize, 0..80_usize), 0..60)) {
            let (mut unread, mut model, mut next) = (Unread::default(), std::collections::VecDeque::new(), 0_u8);
            for (act, least, count) in acts {
                match act {
                    0 => {
                        let room = unread.room(least, least + 8);
                        assert!(room.capacity() - room.len() >= least);
                        // As a read does: no more than there is room for.
                        for _ in 0..count.min(room.capacity() - room.len()) {
                            room.push(next);
                            model.push_back(next);
                            next = next.wrapping_add(1);
                        }
                    }
                    1 => {
                        let count = count.min(model.len());
                        unread.consume(count);
                        model.drain(..count);
                    }
                    _ if model.is_empty() => unread = Unread::of_memory(std::mem::take(&mut unread).into_memory()),
                    _ => {}
                }
                assert!(unread.iter().eq(&model), "{unread:?} {model:?}");
            }
        }
    }
}
